package actors

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"orderyard/cluster/bus"
	"orderyard/messages"
)

// sender is how far another node was heard. known says that everything it told up to seen is in the view. Behind a gap it remembers one run
// of numbers without a gap, so that a snapshot which reaches up to that run also covers what came while it was on its way.
type sender struct {
	known   bool
	seen    uint64
	low     uint64 // the run behind the gap: low to high; 0 = none
	high    uint64
	top     uint64 // the highest number that is known to exist
	heardAt time.Time

	failed int       // asks for a snapshot since the last that succeeded
	again  time.Time // no ask before
}

// heard notes a delta, or a heartbeat (full is false), whose content is in the view. A process begins with number 1: whoever hears that
// has missed nothing. A number that comes late is not counted: the gap it leaves costs a snapshot, and the bus does not reorder.
func (o *sender) heard(number uint64, full bool) {
	o.top = max(o.top, number)
	if !o.known && (number == 0 || number == 1 && full) {
		o.known = true
	}
	switch {
	case !full || o.known && number <= o.seen:
	case o.known && number == o.seen+1:
		o.seen = number
	case o.low > 0 && number == o.high+1:
		o.high = number
	case o.low > 0 && number <= o.high:
	default:
		o.low, o.high = number, number
	}
	o.join()
}

// learned notes that everything up to a number is in the view, by a snapshot.
func (o *sender) learned(number uint64) {
	o.known, o.seen, o.top = true, max(o.seen, number), max(o.top, number)
	o.join()
}

// join closes the gap when there is none.
func (o *sender) join() {
	if o.known && o.low > 0 && o.low <= o.seen+1 {
		o.seen = max(o.seen, o.high)
		o.low, o.high = 0, 0
	}
}

// behind says that something it told is missing.
func (o *sender) behind() bool { return !o.known || o.seen < o.top }

// healing is the loop that asks for what was missed: one sender after the other, each with growing pauses while it does not answer.
func (s *Sharing) healing(ctx context.Context) {
	again := time.NewTimer(0)
	defer again.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.heal:
		case <-again.C:
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(healAfter):
		}
		if next := s.healAll(ctx); next > 0 {
			again.Reset(next)
		}
	}
}

// healAll asks everybody of whom something is missing, and says when to look again: 0 = at a nudge.
func (s *Sharing) healAll(ctx context.Context) (next time.Duration) {
	due, _ := s.missed()
	for _, id := range due {
		s.healOne(ctx, id)
	}
	_, next = s.missed()
	return next
}

// healOne fetches what one sender knows.
func (s *Sharing) healOne(ctx context.Context, id string) {
	s.mu.Lock()
	one := s.senders[id]
	behind := one != nil && one.behind() // the snapshot of another may have held it
	s.mu.Unlock()
	if !behind {
		return
	}
	s.stats.Gaps.Add(1)
	err := s.fetch(ctx, id)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case err == nil:
		one.failed = 0
	case errors.Is(err, bus.ErrNobody):
		// Whoever takes its partitions over tells everything anew. Should it live all the same, it is a stranger at its next word.
		delete(s.senders, id)
	default:
		pause := min(healAgainMin<<min(one.failed, 10), healAgainMax)
		one.failed++
		one.again = s.clock().Add(pause)
		s.log.Debug("missed news cannot be fetched yet", "from", id, "again_in", pause, "error", err)
	}
}

// missed lists the senders of whom something is missing and who may be asked now, sorted, and says when to look again: 0 = at a nudge.
func (s *Sharing) missed() (due []string, next time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.synced {
		return nil, 0
	}
	for _, id := range slices.Sorted(maps.Keys(s.senders)) {
		one := s.senders[id]
		if !one.behind() {
			continue
		}
		wait := max(one.again.Sub(s.clock()), 1)
		if wait == 1 {
			due = append(due, id)
		}
		if next == 0 || wait < next {
			next = wait
		}
	}
	return due, next
}

// deltaBytesMax is how large a part of the news grows: as much as a NATS server passes on without holding others up.
const deltaBytesMax = 256 << 10

// deltas cuts stock and sites into deltas. send may not keep what it is given.
type deltas struct {
	from string
	send func(*messages.ViewDelta) error

	delta messages.ViewDelta
	bytes int
	found []*messages.StockLevel // of one SKU, used again
	spare []*messages.StockLevel
}

// write sends buckets and sites, the last part included. newsOnly is as with levels.
func (w *deltas) write(skus []*skuStock, newsOnly bool, sites func(func(*messages.SiteView) bool)) error {
	for _, s := range skus {
		if err := w.stock(s, newsOnly); err != nil {
			return err
		}
	}
	var err error
	sites(func(v *messages.SiteView) bool {
		var b []byte
		if b, err = v.MarshalVT(); err == nil {
			err = w.room(len(b) + 8)
		}
		if err == nil {
			w.delta.Sites = append(w.delta.Sites, b)
		}
		return err == nil
	})
	if err != nil {
		return err
	}
	return w.flush()
}

// stock takes a SKU's buckets. It sends only after the SKU's lock is free again: sending a snapshot waits for the asker.
func (w *deltas) stock(s *skuStock, newsOnly bool) error {
	w.found = w.found[:0]
	s.levels(newsOnly, func(sku, site string, atp int64, version uint64) {
		w.found = append(w.found, w.level(sku, site, atp, version))
	})
	for _, l := range w.found {
		if err := w.room(l.SizeVT() + 4); err != nil {
			return err
		}
		w.delta.Stock = append(w.delta.Stock, l)
	}
	return nil
}

// level gives a StockLevel, a used one if there is one: a snapshot of a million buckets allocates a part's worth.
func (w *deltas) level(sku, site string, atp int64, version uint64) *messages.StockLevel {
	l := &messages.StockLevel{}
	if n := len(w.spare); n > 0 {
		l, w.spare = w.spare[n-1], w.spare[:n-1]
	}
	l.Sku, l.Site, l.Atp, l.Version = sku, site, atp, version
	return l
}

// room sends what is gathered when so many bytes more would be too much.
func (w *deltas) room(bytes int) error {
	if w.bytes > 0 && w.bytes+bytes > deltaBytesMax {
		if err := w.flush(); err != nil {
			return err
		}
	}
	w.bytes += bytes
	return nil
}

func (w *deltas) flush() error {
	if w.bytes == 0 {
		return nil
	}
	w.delta.From = w.from
	err := w.send(&w.delta)
	w.spare = append(w.spare, w.delta.Stock...)
	w.delta.Stock, w.delta.Sites, w.bytes = w.delta.Stock[:0], w.delta.Sites[:0], 0
	return err
}
