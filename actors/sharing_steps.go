package actors

import (
	"context"
	"log/slog"
	"time"
)

// SharingSteps is a Sharing that somebody else drives in one goroutine: the simulation. Sync and Learn are the Sharing's; Learn asks one after the other.
type SharingSteps struct{ *Sharing }

// ShareBySteps is Share without the loops.
func ShareBySteps(k *Knowledge, bus Bus, self string, sure func(partition int) bool, clock func() time.Time) (*SharingSteps, error) {
	s, err := newSharing(k, bus, self, sure, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	s.clock, s.stop, s.aside = clock, func() {}, func(ask func()) { ask() }
	return &SharingSteps{s}, nil
}

// News says whether something is to be told soon; asking takes the ring away.
func (s *SharingSteps) News() bool {
	select {
	case <-s.news.wake:
		return true
	default:
		return false
	}
}

// Tell tells what is new, as the loop does a moment after a ring.
func (s *SharingSteps) Tell() {
	if s.tell(false) {
		s.beat()
	}
}

// Beat tells what is new, the load of sites too, and how far the numbers are.
func (s *SharingSteps) Beat() {
	s.tell(true)
	s.beat()
}

// Missed says whether somebody may be behind; asking takes the ring away.
func (s *SharingSteps) Missed() bool {
	select {
	case <-s.heal:
		return true
	default:
		return false
	}
}

// Heal fetches what was missed, if anything was, and says when to look again; 0 = when more is heard.
func (s *SharingSteps) Heal(ctx context.Context) (next time.Duration) { return s.healAll(ctx) }
