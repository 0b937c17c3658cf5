package link

import (
	"runtime"
	"strings"
	"testing"
	"time"

	"orderyard/messages"
)

// TestMetWhileForgotten proves that a peer which is met again while it is being forgotten gets numbers that the other end has not seen, so that what is
// asked of it is heard and answered, by meeting it while its closing is held up.
func TestMetWhileForgotten(t *testing.T) {
	w := newWorld(t)
	limits := quick()
	limits.SilentMax = 5 * time.Second
	a, b := w.node("A", limits, true), w.node("B", limits, true)
	w.owned(b, a, b)
	for range 20 {
		w.answeredBy(a.ask("before"), b)
	}
	p := a.links.peer("B", b.wire.addr, true)
	p.mu.Lock()
	last := p.direct.sent
	forgotten := make(chan struct{})
	go func() {
		defer close(forgotten)
		a.links.forget(p, "a test wants it")
	}()
	w.eventually("its closing waits", func() bool { return running("link.(*peer).close(") })
	a.links.peer("B", b.wire.addr, true) // as a batch does that comes now
	p.mu.Unlock()
	<-forgotten

	q := a.links.peer("B", b.wire.addr, true)
	q.mu.Lock()
	next := q.direct.sent
	q.mu.Unlock()
	if q == p || next <= last {
		t.Errorf("the same peer: %v; its numbers go on behind %d, the other end has seen %d", q == p, next, last)
	}
	w.answeredBy(a.ask("after"), b)
	if s := a.links.Stats(); s.Breaks != 0 || s.DetourBatches != 0 {
		t.Errorf("stats %+v", s)
	}
}

// running says whether a goroutine is inside of a function.
func running(function string) bool {
	stacks := make([]byte, 1<<20)
	return strings.Contains(string(stacks[:runtime.Stack(stacks, true)]), function)
}

// TestBatchMeetsClosedPeer proves that a batch which finds its peer closed and not yet forgotten costs no more than one that was lost on its way: its calls
// are answered `moved`, and the next are heard. It closes the peer first and has it forgotten later.
func TestBatchMeetsClosedPeer(t *testing.T) {
	w := newWorld(t)
	a, b := w.node("A", quick(), true), w.node("B", quick(), true)
	w.owned(b, a, b)
	w.answeredBy(a.ask("before"), b)
	p := a.links.peer("B", b.wire.addr, true)
	p.close()
	lost := b.raw(a, messages.Request{To: messages.OrderRef("1"), Command: &messages.GetOrder{}})
	w.eventually("the batch has come", func() bool { return a.links.Stats().Late > 0 })
	w.refused(a.raw(b, messages.Request{To: messages.OrderRef("1"), Command: &messages.GetOrder{}}), messages.CodeMoved)
	a.links.forget(p, "a test wants it")
	w.refused(lost, messages.CodeMoved)
	w.answeredBy(a.ask("after"), b)
	w.owned(a, a, b)
	w.answeredBy(b.ask("after"), a)
}
