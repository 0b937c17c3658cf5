package egress

import (
	"log/slog"
	"sync"

	"orderyard/messages"
)

// Translation turns commits into public events as the egress does, for whoever only wants to know which: the simulation and audits. It belongs to
// one goroutine.
type Translation struct{ t *translator }

// Event is what Translation tells of a public event. Key is the last token of its subject.
type Event struct {
	ID, Family, Name, Key string
	Data                  []byte // until the next event
}

// NewTranslation makes one.
func NewTranslation() *Translation {
	return &Translation{newTranslator(slog.New(slog.DiscardHandler), unread())}
}

// Commit gives every public event of a commit, in the order in which they are published.
func (t *Translation) Commit(c *messages.Commit, emit func(Event) error) error {
	return t.t.commit(c, func(o *outgoing) error {
		return emit(Event{ID: o.id, Family: o.family, Name: o.event, Key: o.key, Data: o.data})
	})
}

// unread are counters that nobody looks at, made once: a simulation makes translations by the thousand.
var unread = sync.OnceValue(func() *metrics { return newMetrics(nil, &Egress{}) })
