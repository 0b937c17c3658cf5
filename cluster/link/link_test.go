package link

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"orderyard/messages"
)

// TestAskTravelsWhole proves that a request arrives as it was sent, with what is left of its deadline, and that the answer comes back, by
// asking from one node to another.
func TestAskTravelsWhole(t *testing.T) {
	w := newWorld(t)
	a, b := w.node("A", quick(), true), w.node("B", quick(), true)
	w.owned(b, a, b)
	got := make(chan messages.Request, 1)
	b.on(func(req messages.Request) {
		got <- req
		b.echo(req)
	})
	deadline := time.Now().Add(5 * time.Second).UnixMilli()
	sent := messages.Request{
		To: messages.BucketRef("S", "den"), Command: &messages.ReserveStock{Sku: "S", Site: "den", Quantity: 3}, CommandID: "client/1", Deadline: deadline,
	}
	w.answeredBy(a.askFor(sent), b)
	req := <-got
	if req.To != sent.To || req.CommandID != sent.CommandID || !req.From.IsZero() || !proto.Equal(req.Command, sent.Command) {
		t.Errorf("got %+v", req)
	}
	if left := req.Deadline - deadline; left > 500 || left < -500 {
		t.Errorf("the deadline moved by %d ms", left)
	}
	s := a.links.Stats()
	if s.Batches != 1 || s.Items != 1 || s.Remote != 1 || s.DetourBatches != 0 {
		t.Errorf("stats %+v", s)
	}
}

// TestTaskComesBack proves that the answer to an entity's task returns to the entity as a TaskResult, and that the other node knows
// whose task it is, by sending one from an entity that lives on the asking node.
func TestTaskComesBack(t *testing.T) {
	w := newWorld(t)
	a, b := w.node("A", quick(), true), w.node("B", quick(), true)
	w.owned(b, a, b)
	from := messages.OrderRef("web-1")
	seen := make(chan messages.Request, 1)
	b.on(func(req messages.Request) {
		seen <- req
		w.owned(a, a, b) // the result finds its entity on A
		b.echo(req)
	})
	result := make(chan messages.Request, 1)
	a.on(func(req messages.Request) { result <- req })
	a.links.Router().Send(messages.Request{To: messages.BucketRef("S", "den"), Command: &messages.GetStock{}, CommandID: "web-1/1", From: from})
	if req := <-seen; req.From != from || req.Done == nil {
		t.Errorf("got %+v", req)
	}
	req := <-result
	r, ok := req.Command.(*messages.TaskResult)
	if !ok || req.To != from || r.TaskId != "web-1/1" || r.Reply.GetOrder().GetMessage() != "B" || req.Done != nil {
		t.Errorf("got %+v", req)
	}
}

// TestBatchesGrow proves that what is asked while a batch is under way goes in few batches, by a slow wire and many requests.
func TestBatchesGrow(t *testing.T) {
	w := newWorld(t)
	limits := quick()
	limits.WindowBatches, limits.SilentMax = 4, 5*time.Second
	a, b := w.node("A", limits, true), w.node("B", limits, true)
	w.owned(b, a, b)
	a.wire.slow.Store(int64(5 * time.Millisecond))
	var answers []<-chan *messages.Reply
	for i := range 2000 {
		answers = append(answers, a.ask(fmt.Sprint("web-", i)))
	}
	for _, answer := range answers {
		w.answeredBy(answer, b)
	}
	if s := a.links.Stats(); s.Items != 2000 || s.Batches > 40 || s.Inflight != 0 {
		t.Errorf("stats %+v", s)
	}
}

// TestBatchIsBounded proves that no batch exceeds its limits, and that a larger item goes alone, by filling the queue of a cut peer.
func TestBatchIsBounded(t *testing.T) {
	w := newWorld(t)
	limits := quick()
	limits.BatchItemsMax, limits.BatchBytesMax, limits.SilentMax = 10, 4000, 5*time.Second
	a, b := w.node("A", limits, false), w.node("B", limits, false)
	w.owned(b, a, b)
	p := a.links.peer("B", b.wire.addr, true)
	p.mu.Lock() // so that all gathers
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range 40 {
			note := ""
			if i%8 == 7 {
				note = strings.Repeat("x", 3500+i*100)
			}
			a.links.Router().Send(messages.Request{To: messages.OrderRef("web-1"), Command: &messages.HoldOrder{Note: note}})
		}
	}()
	p.mu.Unlock()
	<-done
	w.eventually("all arrived", func() bool { return a.links.Stats().Items == 40 && p.idle() })
	if s := a.links.Stats(); s.Batches < 10 {
		t.Errorf("stats %+v", s)
	}
}

// TestStreamEnd proves that calls under way are answered `moved` at once when the stream ends, that the peer is suspected, and that what
// comes next takes the detour, by ending the stream while the owner is silent.
func TestStreamEnd(t *testing.T) {
	w := newWorld(t)
	limits := quick()
	limits.SilentMax = 5 * time.Second
	a, b := w.node("A", limits, true), w.node("B", limits, true)
	w.owned(b, a, b)
	b.on(func(messages.Request) {})
	var answers []<-chan *messages.Reply
	for i := range 100 {
		answers = append(answers, a.raw(b, messages.Request{To: messages.OrderRef(fmt.Sprint(i)), Command: &messages.GetOrder{}}))
	}
	w.eventually("all sent", func() bool { return a.links.Stats().Items == 100 })
	w.set(w.cut, a, b, true)
	began := time.Now()
	a.endStream(b)
	for _, answer := range answers {
		if f := w.refused(answer, messages.CodeMoved); !f.Retryable {
			t.Fatalf("got %v", f)
		}
	}
	if took := time.Since(began); took > time.Second {
		t.Errorf("took %v", took)
	}
	if id := <-a.suspects; id != "B" {
		t.Errorf("suspected %s", id)
	}
	b.on(b.echo)
	w.answeredBy(a.ask("later"), b)
	if s := a.links.Stats(); s.DetourBatches == 0 || s.Broken != 100 || s.Breaks != 1 || a.links.Peers()[0].Direct {
		t.Errorf("stats %+v", s)
	}
}

// TestDirectComesBack proves that the direct way is probed while the detour is taken, and taken again once a probe is acknowledged, by
// cutting one direction after the other.
func TestDirectComesBack(t *testing.T) {
	for _, cut := range []string{"there", "back", "both"} {
		w := newWorld(t)
		a, b := w.node("A", quick(), true), w.node("B", quick(), true)
		w.owned(b, a, b)
		w.answeredBy(a.ask("first"), b)
		w.set(w.cut, a, b, cut != "back")
		w.set(w.cut, b, a, cut != "there")
		w.answeredBy(a.ask("cut"), b) // the router asks again once the silence is noticed
		w.eventually("probes", func() bool { return a.links.Stats().Probes >= 3 })
		w.answeredBy(a.ask("still"), b)
		if s := a.links.Stats(); s.DetourBatches == 0 || s.Breaks == 0 {
			t.Errorf("%s: stats %+v", cut, s)
		}
		w.set(w.cut, a, b, false)
		w.set(w.cut, b, a, false)
		w.eventually("direct again", func() bool { return a.links.Peers()[0].Direct && b.links.Peers()[0].Direct })
		after := a.links.Stats()
		w.answeredBy(a.ask("back"), b)
		if s := a.links.Stats(); s.DetourBatches != after.DetourBatches || s.Heals == 0 {
			t.Errorf("%s: stats %+v", cut, s)
		}
	}
}

// TestNoDetour proves that without a detour requests to a peer that cannot be reached are refused at once, and taken again later, by a cut
// that ends.
func TestNoDetour(t *testing.T) {
	w := newWorld(t)
	a, b := w.node("A", quick(), false), w.node("B", quick(), false)
	w.owned(b, a, b)
	w.set(w.cut, a, b, true)
	w.refused(a.raw(b, messages.Request{To: messages.OrderRef("1"), Command: &messages.GetOrder{}}), messages.CodeMoved)
	if p := a.links.Peers()[0]; p.Direct || p.Inflight != 0 || p.QueuedBytes != 0 {
		t.Errorf("peer %+v", p)
	}
	answer := a.ask("2") // tried again until the way is free
	w.set(w.cut, a, b, false)
	w.answeredBy(answer, b)
}

// TestBothWaysBroken proves that calls are answered `moved` also when neither way is acknowledged, by cutting both.
func TestBothWaysBroken(t *testing.T) {
	w := newWorld(t)
	a, b := w.node("A", quick(), true), w.node("B", quick(), true)
	w.owned(b, a, b)
	w.set(w.cut, a, b, true)
	w.set(w.mute, a, b, true)
	for range 2 {
		w.refused(a.raw(b, messages.Request{To: messages.OrderRef("1"), Command: &messages.GetOrder{}}), messages.CodeMoved)
	}
	if s := a.links.Stats(); s.DetourBatches == 0 {
		t.Errorf("stats %+v", s)
	}
}

// TestLostAnswers proves that calls whose answers were lost on the way back are answered `moved` as soon as the answerer notices, over
// whatever way is left, by ending its stream while its answers are in it.
func TestLostAnswers(t *testing.T) {
	for _, detour := range []bool{true, false} {
		lostAnswers(t, detour)
	}
}

func lostAnswers(t *testing.T, detour bool) {
	w := newWorld(t)
	limits := quick()
	limits.SilentMax = 5 * time.Second
	a, b := w.node("A", limits, detour), w.node("B", limits, detour)
	w.owned(b, a, b)
	w.set(w.cut, b, a, true)
	answer := a.raw(b, messages.Request{To: messages.OrderRef("1"), Command: &messages.GetOrder{}})
	w.eventually("answered into the void", func() bool { return b.wire.lost.Load() == 1 })
	w.set(w.cut, b, a, detour)
	b.endStream(a) // B tells over the detour, or by its first probe
	w.refused(answer, messages.CodeMoved)
	if s := a.links.Stats(); s.Gaps == 0 || s.Breaks != 0 {
		t.Errorf("stats %+v", s)
	}
}

// TestRefusedIncarnation proves that calls meant for a process that was replaced are answered at once, by a second process at the
// first one's address.
func TestRefusedIncarnation(t *testing.T) {
	w := newWorld(t)
	limits := quick()
	limits.SilentMax = 5 * time.Second
	a, b := w.node("A", limits, false), w.node("B", limits, false)
	w.owned(b, a, b)
	w.answeredBy(a.ask("1"), b)
	b.stop()
	c := w.node("C", limits, false)
	w.mu.Lock()
	w.wires[b.wire.addr] = c.wire // C took the port of B
	w.mu.Unlock()
	w.refused(a.raw(b, messages.Request{To: messages.OrderRef("2"), Command: &messages.GetOrder{}}), messages.CodeMoved)
	if id := <-a.suspects; id != "B" {
		t.Errorf("suspected %s", id)
	}
	if s := c.links.Stats(); s.Refused == 0 || s.Heard != 0 {
		t.Errorf("stats %+v", s)
	}
}

// TestPeerLeaves proves that calls to a peer that is no longer in the map are answered at once, and that it is met afresh when it comes
// back, by taking it out of the map and in again.
func TestPeerLeaves(t *testing.T) {
	w := newWorld(t)
	limits := quick()
	limits.SilentMax = 5 * time.Second
	a, b := w.node("A", limits, true), w.node("B", limits, true)
	w.owned(b, a, b)
	held := make(chan messages.Request, 2)
	b.on(func(req messages.Request) { held <- req })
	answer := a.raw(b, messages.Request{To: messages.OrderRef("1"), Command: &messages.GetOrder{}})
	old := <-held
	w.owned(nil, a)
	w.refused(answer, messages.CodeMoved)
	if len(a.links.Peers()) != 0 {
		t.Errorf("peers %+v", a.links.Peers())
	}
	w.owned(b, a, b)
	answer = a.raw(b, messages.Request{To: messages.OrderRef("2"), Command: &messages.GetOrder{}})
	second := <-held
	b.echo(old) // finds nobody, and above all not the new call
	b.echo(second)
	if r := w.within(answer); r.GetOrder().GetOrderId() != "2" {
		t.Errorf("got %v", r)
	}
}

// TestAnswerAfterReunion proves that an answer finds its asker although the answerer had lost sight of it meanwhile, by taking the asker
// out of the answerer's map and in again.
func TestAnswerAfterReunion(t *testing.T) {
	w := newWorld(t)
	limits := quick()
	limits.SilentMax = 5 * time.Second
	a, b := w.node("A", limits, true), w.node("B", limits, true)
	w.owned(b, a, b)
	held := make(chan messages.Request, 1)
	b.on(func(req messages.Request) { held <- req })
	answer := a.raw(b, messages.Request{To: messages.OrderRef("1"), Command: &messages.GetOrder{}})
	req := <-held
	w.owned(b, b)
	if len(b.links.Peers()) != 0 {
		t.Errorf("peers %+v", b.links.Peers())
	}
	w.owned(b, a, b)
	b.on(b.echo)
	w.answeredBy(b.ask("2"), b)
	w.answeredBy(b.raw(a, messages.Request{To: messages.OrderRef("3"), Command: &messages.GetOrder{}}), a) // B speaks: A finds the gap
	b.echo(req)
	w.refused(answer, messages.CodeMoved)
}

// TestLimits proves that each limit refuses the next request with `limit` and leaves room for entities, by a peer that does not answer.
func TestLimits(t *testing.T) {
	w := newWorld(t)
	limits := quick()
	limits.CallsMax, limits.TasksMax = 3, 5
	a, b := w.node("A", limits, true), w.node("B", limits, true)
	w.owned(b, a, b)
	held := make(chan messages.Request, 20)
	b.on(func(req messages.Request) { held <- req })
	var answers []<-chan *messages.Reply
	for i := range 3 {
		answers = append(answers, a.ask(fmt.Sprint(i)))
	}
	w.refused(a.ask("4"), messages.CodeLimit) // by the router too, at once
	results := make(chan messages.Request, 20)
	for i := range 6 {
		a.links.Router().Send(messages.Request{
			To: messages.OrderRef("x"), Command: &messages.GetOrder{}, From: messages.OrderRef("me"), CommandID: fmt.Sprint("task-", i),
		})
	}
	for range 8 {
		req := <-held
		if result, ok := req.Command.(*messages.TaskResult); ok {
			t.Fatalf("too early: %v", result)
		}
		b.echo(req)
		results <- req
	}
	for _, answer := range answers {
		w.answeredBy(answer, b)
	}
	var codes []string
	for range 6 { // five answers and a refusal, addressed to an entity that B owns
		codes = append(codes, (<-held).Command.(*messages.TaskResult).Reply.GetFailure().GetCode())
	}
	slices.Sort(codes)
	if got := strings.Join(codes, ","); got != ",,,,,limit" {
		t.Errorf("task results %q", got)
	}
	if s := a.links.Stats(); s.Limited != 2 {
		t.Errorf("stats %+v", s)
	}
}

// TestQueueIsBounded proves that bytes waiting for a peer that does not acknowledge are bounded, by large requests into a closed window.
func TestQueueIsBounded(t *testing.T) {
	w := newWorld(t)
	limits := quick()
	limits.QueueBytesMax, limits.WindowBatches, limits.SilentMax = 10_000, 1, 5*time.Second
	a, b := w.node("A", limits, true), w.node("B", limits, true)
	w.owned(b, a, b)
	w.set(w.cut, a, b, true)
	limited := 0
	for range 40 { // whoever asks when the first batch has just left finds room again
		select {
		case r := <-a.askFor(messages.Request{To: messages.OrderRef("1"), Command: &messages.HoldOrder{Note: strings.Repeat("x", 1000)}}):
			if r.GetFailure().GetCode() == messages.CodeLimit {
				limited++
			}
		default:
		}
	}
	if limited < 10 {
		t.Errorf("%d of 40 were told that there is no room", limited)
	}
	if s := a.links.Stats(); s.Queued > 10_000 || s.Queued == 0 {
		t.Errorf("stats %+v", s)
	}
}

// TestDeadlines proves that a call is answered `timeout` after its deadline and that one that comes too late is not sent, by an owner
// that does not answer.
func TestDeadlines(t *testing.T) {
	w := newWorld(t)
	a, b := w.node("A", quick(), true), w.node("B", quick(), true)
	w.owned(b, a, b)
	b.on(func(messages.Request) {})
	now := time.Now().UnixMilli()
	late := a.askFor(messages.Request{To: messages.OrderRef("1"), Command: &messages.GetOrder{}, Deadline: now - 1})
	w.refused(late, messages.CodeTimeout)
	if s := a.links.Stats(); s.Items != 0 {
		t.Errorf("stats %+v", s)
	}
	soon := a.askFor(messages.Request{To: messages.OrderRef("1"), Command: &messages.GetOrder{}, Deadline: now + 100})
	w.refused(soon, messages.CodeTimeout)
	if s := a.links.Stats(); s.Expired != 1 || s.Inflight != 0 {
		t.Errorf("stats %+v", s)
	}
}

// TestTooLargeForTheDetour proves that an item larger than NATS takes fails alone while the detour is taken, in both directions, by a
// large request and a large answer.
func TestTooLargeForTheDetour(t *testing.T) {
	w := newWorld(t)
	a, b := w.node("A", quick(), true), w.node("B", quick(), true)
	w.owned(b, a, b)
	w.set(w.cut, a, b, true)
	w.answeredBy(a.ask("cut"), b)
	large := strings.Repeat("x", 600<<10)
	w.refused(a.raw(b, messages.Request{To: messages.OrderRef("1"), Command: &messages.HoldOrder{Note: large}}), messages.CodeUnavailable)
	w.set(w.cut, b, a, true)
	b.endStream(a)
	b.on(func(req messages.Request) {
		req.Done(&messages.Reply{Body: &messages.Reply_Order{Order: &messages.OrderReply{Message: large}}})
	})
	answer := w.within(a.raw(b, messages.Request{To: messages.OrderRef("2"), Command: &messages.GetOrder{}}))
	if code := answer.GetFailure().GetCode(); code != messages.CodeUnavailable && code != messages.CodeMoved {
		t.Errorf("got %.100v", answer)
	}
	b.on(b.echo)
	w.answeredBy(a.ask("small"), b)
	w.set(w.cut, a, b, false)
	w.set(w.cut, b, a, false)
	w.eventually("direct again", func() bool { return a.links.Peers()[0].Direct && b.links.Peers()[0].Direct })
	w.answeredBy(a.askFor(messages.Request{To: messages.OrderRef("3"), Command: &messages.HoldOrder{Note: large}}), b)
}

// TestIdleIsSilent proves that the last thing heard is acknowledged once and then nothing goes, by counting batches.
func TestIdleIsSilent(t *testing.T) {
	w := newWorld(t)
	a, b := w.node("A", quick(), true), w.node("B", quick(), true)
	w.owned(b, a, b)
	w.answeredBy(a.ask("1"), b)
	p := b.links.peer("A", a.wire.addr, true)
	w.eventually("all acknowledged", p.idle)
	sent := a.wire.sent.Load() + b.wire.sent.Load()
	if sent != 3 { // request, reply, acknowledgement
		t.Errorf("%d batches", sent)
	}
	time.Sleep(4 * quick().AckWithin) // nothing is to happen: only time can show it
	if now := a.wire.sent.Load() + b.wire.sent.Load(); now != sent {
		t.Errorf("%d more batches", now-sent)
	}
}

// TestFlush proves that Flush returns when all is acknowledged and gives up with its context, by a free and a cut way.
func TestFlush(t *testing.T) {
	w := newWorld(t)
	a, b := w.node("A", quick(), true), w.node("B", quick(), true)
	w.owned(b, a, b)
	w.answeredBy(a.ask("1"), b)
	if err := a.links.Flush(t.Context()); err != nil {
		t.Error(err)
	}
	if err := b.links.Flush(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestClose proves that closing answers what is under way and what comes later, by an owner that does not answer.
func TestClose(t *testing.T) {
	w := newWorld(t)
	a, b := w.node("A", quick(), true), w.node("B", quick(), true)
	w.owned(b, a, b)
	b.on(func(messages.Request) {})
	under := a.ask("1")
	w.eventually("sent", func() bool { return a.links.Stats().Items == 1 })
	a.links.Close()
	a.links.Close()
	if f := w.within(under).GetFailure(); !f.GetRetryable() {
		t.Errorf("got %v", f)
	}
	w.refused(a.ask("2"), messages.CodeUnavailable)
}
