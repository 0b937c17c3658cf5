package sim

import (
	"context"
	"fmt"
	"time"

	"orderyard/actors/entity"
	"orderyard/gateway/egress"
	"orderyard/persistence"
)

// feeds is the egress of one node: the partitions it serves, published over one connection at a time. What it decides by is the real one:
// egress.Translation, Window and Redo. The journal is read where production reads the feed of recent commits first.
type feeds struct {
	n       *node
	lanes   map[int]*feed
	order   []int // their partitions, as they came
	session int   // counts connections; what was sent on one that ended does not arrive
	up      bool
	lastAt  int64 // when the last message on this connection arrives: they keep their order
}

// feed is one partition from serve to release.
type feed struct {
	e         *feeds
	partition int
	loaded    bool
	running   bool
	released  bool
	at        uint64        // every commit up to here is sent
	acked     egress.Cursor // everything up to here is published
	saved     uint64
	window    egress.Window
	tr        *egress.Translation // of one session: what fails in the middle of a commit leaves it in the middle
	redo      egress.Redo
	refused   bool
	life      int // counts sessions
}

const windowEvents = 16

func newFeeds(n *node) *feeds {
	return &feeds{n: n, lanes: map[int]*feed{}, session: 1, up: true}
}

func (e *feeds) serve(partition int) *feed {
	f := &feed{e: e, partition: partition, tr: egress.NewTranslation()}
	e.lanes[partition] = f
	e.order = append(e.order, partition)
	e.n.process(f.load)
	return f
}

// release stops publishing at once; the cursor is saved behind it.
func (e *feeds) release(partition int) {
	f := e.lanes[partition]
	if f == nil {
		return
	}
	f.released = true
	delete(e.lanes, partition)
	for i, p := range e.order {
		if p == partition {
			e.order = append(e.order[:i:i], e.order[i+1:]...)
			break
		}
	}
	f.settle()
	if c := f.acked; f.loaded && c.Position != f.saved {
		e.n.process(func() { _ = e.n.store.saveCursor(partition, c) }) // else the next owner publishes a little more again
	}
}

// floor is the saved cursor: what lies above it is still needed. 0 = unknown.
func (e *feeds) floor(partition int) uint64 {
	if f := e.lanes[partition]; f != nil {
		return f.saved
	}
	return 0
}

func (e *feeds) each(do func(*feed)) {
	for _, p := range append([]int(nil), e.order...) {
		if f := e.lanes[p]; f != nil {
			do(f)
		}
	}
}

// end is the end of the connection; begin is its successor's beginning: every partition goes back to what was acknowledged.
func (e *feeds) end() {
	if !e.up {
		return
	}
	e.up = false
	e.session++
	e.each((*feed).settle)
}

func (e *feeds) begin() {
	if e.up || e.n.cut || e.n.gone {
		return
	}
	e.up, e.lastAt = true, 0
	e.each((*feed).wake)
}

// fail ends the connection for the sake of the order.
func (e *feeds) fail() {
	e.end()
	e.n.after(50, e.begin)
}

func (e *feeds) beat() {
	before := e.now().Add(-15 * time.Second)
	e.each(func(f *feed) {
		if f.window.Overdue(before) {
			f.refused = true
			e.fail()
		}
		if c := f.acked; f.loaded && c.Position != f.saved {
			e.n.process(func() {
				if e.n.store.saveCursor(f.partition, c) == nil {
					f.saved = max(f.saved, c.Position)
				}
			})
		}
		f.wake()
	})
}

func (e *feeds) now() time.Time { return time.UnixMilli(e.n.w.now) }

func (f *feed) load() {
	for !f.released {
		c, err := f.e.n.store.cursor(f.partition)
		if err == nil {
			f.at, f.acked, f.saved, f.loaded = c.Position, c, c.Position, true
			f.window = egress.NewWindow(windowEvents, c)
			f.wake()
			return
		}
		if !f.e.n.w.sleep(100) {
			return
		}
	}
}

// settle ends what was sent in one session.
func (f *feed) settle() {
	if f.refused {
		f.redo.Refused(&f.window, fmt.Sprintf("%s.%d", f.e.n.incarnation, f.life))
	}
	f.refused = false
	f.life++
	f.window, f.tr = egress.NewWindow(windowEvents, f.acked), egress.NewTranslation()
	f.at = f.acked.Position
}

// wake has what is new published.
func (f *feed) wake() {
	if f.loaded && !f.running && !f.released && f.e.up {
		f.running = true
		f.e.n.process(f.publish)
	}
}

// publish follows the journal to its end within one session.
func (f *feed) publish() {
	defer func() { f.running = false }()
	e, session := f.e, f.e.session
	ended := func() bool { return f.released || !e.up || e.session != session }
	for !ended() {
		from := f.at
		err := e.n.w.storage.disk.Read(context.Background(), f.partition, from, func(position uint64, record []byte) error {
			if position > f.known() {
				return errGone // not told by the committer yet
			}
			h, payload, err := persistence.DecodeRecord(record)
			if err != nil {
				return err
			}
			if h.Kind == persistence.RecordCommit {
				c, err := entity.DecodeCommit(payload)
				if err == nil {
					err = f.tr.Commit(c, func(ev egress.Event) error { return f.send(position, ev, ended) })
				}
				if err != nil {
					return err
				}
			}
			f.window.Complete(position)
			f.acked = f.window.Done()
			f.at = position
			return nil
		})
		if err != nil || f.at == from {
			return
		}
	}
}

// known is the newest commit that this node knows to be durable.
func (f *feed) known() uint64 { return f.e.n.lanes[f.partition].head.Position }

// send publishes one event, waiting for room in the window.
func (f *feed) send(position uint64, ev egress.Event, ended func() bool) error {
	w := f.e.n.w
	for {
		if ended() {
			return errGone
		}
		number, ok := f.window.Take(position, f.e.now())
		if !ok {
			if !w.sleep(2) {
				return errGone
			}
			continue
		}
		id, life := f.redo.MessageID(ev.ID, position), f.life
		e, session := f.e, f.e.session
		e.lastAt = max(e.lastAt, w.now+w.between(0, 2))
		name := ev.ID
		w.after(e.lastAt-w.now, func() {
			if e.session != session || e.n.cut {
				return // lost with its connection
			}
			answer, stored := w.stream.take(f.partition, name, id)
			e.n.after(w.between(0, 2), func() {
				if e.session != session || f.released || f.life != life {
					return
				}
				f.answered(number, answer, stored)
			})
		})
		return nil
	}
}

// answered takes the stream's answer. A refusal ends the session.
func (f *feed) answered(number uint64, answer egress.Ack, stored bool) {
	disordered := false
	if stored {
		_, disordered = f.window.Acknowledge(number, answer)
		f.acked = f.window.Done()
	}
	if !stored || disordered {
		f.refused = true
		f.e.fail()
	}
}

// early is a planted bug: what is decided is told before it is durable.
func (f *feed) early(entry []byte) {
	c, err := entity.DecodeCommit(entry)
	if err != nil {
		return
	}
	_ = egress.NewTranslation().Commit(c, func(ev egress.Event) error {
		f.e.n.w.stream.take(f.partition, ev.ID, ev.ID)
		return nil
	})
}

// stream is OY_EVENTS: it drops what it has by message id, and refuses something now and then.
type stream struct {
	w      *world
	stored []string          // ids of events
	ids    map[string]uint64 // of messages, with their place
}

func newStream(w *world) *stream {
	return &stream{w: w, ids: map[string]uint64{}}
}

// take stores a message unless it has it; false = it was refused.
func (s *stream) take(partition int, id, messageID string) (egress.Ack, bool) {
	if s.w.full || s.w.strikes(faultEvents) && s.w.chance(0.5) {
		return egress.Ack{}, false
	}
	s.w.result.Events++
	if place := s.ids[messageID]; place != 0 {
		s.w.result.Repeats++
		return egress.Ack{Place: place, Repeat: true}, true
	}
	s.stored = append(s.stored, id)
	s.ids[messageID] = uint64(len(s.stored))
	s.w.checks.published(partition, id)
	return egress.Ack{Place: uint64(len(s.stored))}, true
}
