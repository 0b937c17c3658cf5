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
// egress.Translation and Window. The journal is read where production reads the feed of recent commits first.
type feeds struct {
	n       *node
	lanes   map[int]*feed
	order   []int // their partitions, as they came
	session int   // counts connections; what was sent on one that ended does not arrive
	batches int
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
	life      int                 // counts sessions
	batch     string              // the one that was begun last
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
					err = f.tr.Commit(c, func(ev egress.Event) error { return f.send(ev, ended) })
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
		if err != nil {
			return
		}
		if f.at == from { // nothing follows
			f.end()
			return
		}
	}
}

// known is the newest commit that this node knows to be durable.
func (f *feed) known() uint64 { return f.e.n.lanes[f.partition].head.Position }

// send publishes one event, waiting for room in the window.
func (f *feed) send(ev egress.Event, ended func() bool) error {
	w := f.e.n.w
	for {
		if ended() {
			return errGone
		}
		number, ok := f.window.Take(f.e.now())
		if !ok {
			if !w.sleep(2) {
				return errGone
			}
			continue
		}
		if number == 1 {
			f.e.batches++
			f.batch = fmt.Sprintf("%s.%d", f.e.n.incarnation, f.e.batches)
		}
		batch, name, content := f.batch, ev.ID, contentOf(&ev)
		f.carry(batch, func() (streamAnswer, bool) { return w.stream.take(f.partition, batch, number, name, content) })
		return nil
	}
}

// end tells the stream that a batch is over.
func (f *feed) end() {
	number, ok := f.window.End(f.e.now())
	if !ok {
		return
	}
	batch := f.batch
	f.carry(batch, func() (streamAnswer, bool) { return f.e.n.w.stream.end(batch, number) })
}

// carry takes a message to the stream over this connection, and what it answers back.
func (f *feed) carry(batch string, arrive func() (a streamAnswer, answers bool)) {
	e, session, life, w := f.e, f.e.session, f.life, f.e.n.w
	e.lastAt = max(e.lastAt, w.now+w.between(0, 2))
	w.after(e.lastAt-w.now, func() {
		if e.session != session || e.n.cut {
			return // lost with its connection
		}
		a, answers := arrive()
		if !answers {
			return
		}
		e.n.after(w.between(0, 2), func() {
			if e.session == session && !f.released && f.life == life && f.batch == batch {
				f.answered(a)
			}
		})
	})
}

// answered takes the stream's answer to the batch. A refusal ends the session.
func (f *feed) answered(a streamAnswer) {
	whole := true
	if a.last {
		_, whole = f.window.Ended(a.number)
	} else {
		f.window.Stored(a.number)
	}
	f.acked = f.window.Done()
	switch {
	case a.refused || !whole:
		f.e.fail()
	case a.last:
		f.wake()
	}
}

// early is a planted bug: what is decided is told before it is durable.
func (f *feed) early(entry []byte) {
	c, err := entity.DecodeCommit(entry)
	if err != nil {
		return
	}
	_ = egress.NewTranslation().Commit(c, func(ev egress.Event) error {
		f.e.n.w.stream.store(f.partition, ev.ID, contentOf(&ev))
		return nil
	})
}

// stream is OY_EVENTS: it stores the events of a batch without a gap, says now and then how far it has come, and refuses something now and then.
type stream struct {
	w       *world
	stored  []string // ids of events
	seen    map[string]bool
	batches map[string]*streamBatch
}

type streamBatch struct {
	stored uint64
	over   bool
}

// streamAnswer is what it says of a batch.
type streamAnswer struct {
	number        uint64
	last, refused bool
}

func newStream(w *world) *stream {
	return &stream{w: w, seen: map[string]bool{}, batches: map[string]*streamBatch{}}
}

// take stores an event, unless it is refused or one before it is missing: then the batch is over.
func (s *stream) take(partition int, batch string, number uint64, id string, content uint64) (a streamAnswer, answers bool) {
	b := s.batches[batch]
	if b == nil {
		b = &streamBatch{}
		s.batches[batch] = b
	}
	switch {
	case b.over:
		return a, false
	case s.w.full || s.w.strikes(faultEvents) && s.w.chance(0.5):
		return streamAnswer{refused: true}, s.w.chance(90) // nobody may hear of it
	case number != b.stored+1:
		b.over = true
		return streamAnswer{refused: true}, true
	}
	s.store(partition, id, content)
	b.stored++
	return streamAnswer{number: b.stored}, b.stored%(windowEvents/4) == 0 || s.w.chance(30)
}

// end ends a batch.
func (s *stream) end(batch string, number uint64) (a streamAnswer, answers bool) {
	b := s.batches[batch]
	if b == nil || b.over || number != b.stored+1 {
		return streamAnswer{refused: true}, true
	}
	b.over = true
	return streamAnswer{number: b.stored, last: true}, true
}

func (s *stream) store(partition int, id string, content uint64) {
	s.w.result.Events++
	if s.seen[id] {
		s.w.result.Repeats++
	}
	s.seen[id] = true
	s.stored = append(s.stored, id)
	s.w.checks.published(partition, id, content)
}
