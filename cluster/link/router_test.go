package link

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"orderyard/messages"
)

func moved(req messages.Request) {
	if req.Done != nil {
		req.Done(messages.Refuse(messages.Retry(messages.CodeMoved, 20, "moving")))
	}
}

// TestLocal proves that a request of this node's own partitions is delivered as it is, by an owner that is the sender.
func TestLocal(t *testing.T) {
	w := newWorld(t)
	a := w.node("A", quick(), true)
	w.owned(a, a)
	w.answeredBy(a.ask("1"), a)
	got := make(chan messages.Request, 1)
	a.on(func(req messages.Request) { got <- req })
	task := messages.Request{To: messages.OrderRef("1"), Command: &messages.GetOrder{}, From: messages.OrderRef("2"), CommandID: "2/1"}
	a.links.Router().Send(task)
	if req := <-got; req.To != task.To || req.From != task.From || req.Done != nil || req.Command != task.Command {
		t.Errorf("got %+v", req)
	}
	if s := a.links.Stats(); s.Local != 2 || s.Remote != 0 {
		t.Errorf("stats %+v", s)
	}
}

// TestOwnerChanges proves that clients see no error while a partition moves, and that every try carries the same command id, by a request
// that is refused by the old owner until the map names another.
func TestOwnerChanges(t *testing.T) {
	w := newWorld(t)
	a, b, c := w.node("A", quick(), true), w.node("B", quick(), true), w.node("C", quick(), true)
	w.owned(b, a, b, c)
	var tries atomic.Int64
	b.on(func(req messages.Request) {
		if req.CommandID != "client/1" {
			t.Errorf("command id %q", req.CommandID)
		}
		tries.Add(1)
		moved(req)
	})
	answer := a.askFor(messages.Request{To: messages.OrderRef("1"), Command: &messages.CancelOrder{}, CommandID: "client/1"})
	w.eventually("tried again", func() bool { return tries.Load() >= 3 })
	w.owned(nil, a, b, c)
	w.eventually("nobody owns it", func() bool { return a.links.Stats().Unowned >= 2 })
	w.owned(c, a, b, c)
	w.answeredBy(answer, c)
	if s := a.links.Stats(); s.Waiting != 0 || s.GaveUp != 0 || s.Retries < 4 {
		t.Errorf("stats %+v", s)
	}
	if len(answer) != 0 {
		t.Error("answered twice")
	}
}

// TestRefusalsThatCount proves that a refusal which asking again cannot cure is given at once, `limit` too, by an owner that refuses.
func TestRefusalsThatCount(t *testing.T) {
	w := newWorld(t)
	a := w.node("A", quick(), true)
	w.owned(a, a)
	for _, f := range []*messages.Failure{
		messages.Retry(messages.CodeLimit, 50, "full"), messages.Fail(messages.CodeMoved, "", "for good"), messages.Fail(messages.CodeConflict, "", "other body"),
		messages.Retry(messages.CodeTimeout, 0, "late"),
	} {
		a.on(func(req messages.Request) { req.Done(messages.Refuse(f)) })
		w.refused(a.ask("1"), f.Code)
	}
	if s := a.links.Stats(); s.Retries != 0 {
		t.Errorf("stats %+v", s)
	}
}

// TestRetriesEnd proves that a client gets the last failure when its deadline comes, and that a pause is never shorter than it should be
// nor longer than the limit, by an owner that is always moving.
func TestRetriesEnd(t *testing.T) {
	w := newWorld(t)
	a := w.node("A", quick(), true)
	w.owned(a, a)
	var mu sync.Mutex
	var tries []time.Time
	a.on(func(req messages.Request) {
		mu.Lock()
		tries = append(tries, time.Now())
		mu.Unlock()
		moved(req)
	})
	began := time.Now()
	f := w.refused(a.askFor(messages.Request{
		To: messages.OrderRef("1"), Command: &messages.GetOrder{}, Deadline: began.Add(300 * time.Millisecond).UnixMilli(),
	}), messages.CodeMoved)
	if took := time.Since(began); f.Message != "moving" || took < 200*time.Millisecond {
		t.Errorf("%v after %v", f, took)
	}
	mu.Lock()
	defer mu.Unlock()
	for i := 1; i < len(tries); i++ {
		least := min(DefaultLimits().RetryMin<<(i-1), DefaultLimits().RetryMax) / 2
		if pause := tries[i].Sub(tries[i-1]); pause < least {
			t.Errorf("pause %d was %v, at least %v", i, pause, least)
		}
	}
	if len(tries) < 4 || a.links.Stats().GaveUp != 1 {
		t.Errorf("%d tries, stats %+v", len(tries), a.links.Stats())
	}
}

// TestTaskWithoutOwner proves that an entity learns after a pause that its task found no owner, and that the task is sent when one appears
// within it, by a map that owns nothing and one that owns the sender only.
func TestTaskWithoutOwner(t *testing.T) {
	w := newWorld(t)
	limits := quick()
	limits.OwnerPause = 30 * time.Millisecond
	a := w.node("A", limits, true)
	w.owned(nil, a)
	results := make(chan messages.Request, 2)
	a.on(func(req messages.Request) { results <- req })
	task := messages.Request{To: messages.OrderRef("1"), Command: &messages.GetOrder{}, From: messages.OrderRef("2"), CommandID: "2/1"}
	began := time.Now()
	a.links.Router().Send(task)
	w.eventually("the result waits for its entity's owner", func() bool { return a.links.Stats().Unowned >= 2 })
	if pause := time.Since(began); pause < limits.OwnerPause {
		t.Errorf("answered after %v", pause)
	}
	w.owned(a, a)
	req := <-results
	r, ok := req.Command.(*messages.TaskResult)
	if !ok || req.To != task.From || r.TaskId != "2/1" || r.Reply.GetFailure().GetCode() != messages.CodeMoved || !r.Reply.Failure.Retryable {
		t.Errorf("got %+v", req)
	}
	w.owned(nil, a)
	a.links.Router().Send(task)
	w.owned(a, a)
	if req := <-results; req.CommandID != "2/1" || req.From != task.From {
		t.Errorf("got %+v", req)
	}
}

// TestWaitingIsBounded proves that the router refuses what it cannot keep, by more requests without an owner than it may hold.
func TestWaitingIsBounded(t *testing.T) {
	w := newWorld(t)
	limits := quick()
	limits.RetriesMax, limits.RetryMin, limits.RetryMax = 5, time.Second, time.Second
	a := w.node("A", limits, true)
	w.owned(nil, a)
	var kept []<-chan *messages.Reply
	for range 5 {
		kept = append(kept, a.ask("1"))
	}
	w.refused(a.ask("6"), messages.CodeUnavailable)
	a.links.Close()
	for _, answer := range kept {
		w.refused(answer, messages.CodeMoved)
	}
}

// TestHeap proves that what is due first comes first, against sorting.
func TestHeap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var r Router
		began := time.Now()
		for _, ms := range rapid.SliceOf(rapid.IntRange(0, 50)).Draw(t, "due") {
			r.push(&parked{due: began.Add(time.Duration(ms))})
		}
		last := time.Time{}
		for len(r.heap) > 0 {
			p := r.shift()
			if p.due.Before(last) {
				t.Fatal("out of order")
			}
			last = p.due
		}
	})
}

// TestStorm proves that every request is answered exactly once, and at last well, whatever happens to links and owners meanwhile: clients
// ask on three nodes while ways are cut, streams end and partitions change hands at random.
func TestStorm(t *testing.T) {
	w := newWorld(t)
	limits := quick()
	limits.SilentMax = 100 * time.Millisecond
	nodes := []*node{w.node("A", limits, true), w.node("B", limits, true), w.node("C", limits, true)}
	for _, n := range nodes {
		n.on(func(req messages.Request) {
			if m := n.view.Load(); m.Owners[0].Incarnation != n.id {
				moved(req)
				return
			}
			n.echo(req)
		})
	}
	w.owned(nodes[0], nodes...)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	var asked, answered, failed atomic.Int64
	var askers sync.WaitGroup
	stop := make(chan struct{})
	for _, n := range nodes {
		for c := range 4 {
			askers.Go(func() {
				for i := 0; ; i++ {
					select {
					case <-stop:
						return
					default:
					}
					asked.Add(1)
					var once atomic.Int64
					id := fmt.Sprint(n.id, c, i)
					answer := make(chan *messages.Reply, 1)
					n.links.Router().Send(messages.Request{To: messages.OrderRef(id), Command: &messages.GetOrder{}, Done: func(r *messages.Reply) {
						if once.Add(1) > 1 {
							t.Errorf("%s answered twice", id)
							return
						}
						answer <- r
					}})
					r := <-answer
					answered.Add(1)
					if r.GetOrder().GetOrderId() != id {
						failed.Add(1)
						t.Errorf("%s: got %v", id, r)
					}
				}
			})
		}
	}
	for end := time.Now().Add(2 * time.Second); time.Now().Before(end); time.Sleep(time.Duration(random.IntN(20)) * time.Millisecond) {
		from, to := nodes[random.IntN(3)], nodes[random.IntN(3)]
		switch random.IntN(6) {
		case 0, 1:
			w.set(w.cut, from, to, random.IntN(2) == 0)
		case 2:
			w.set(w.mute, from, to, random.IntN(3) == 0)
		case 3:
			from.endStream(to)
		default:
			w.owned(to, nodes...)
		}
	}
	w.mu.Lock()
	clear(w.cut)
	clear(w.mute)
	w.mu.Unlock()
	close(stop)
	askers.Wait()
	if asked.Load() != answered.Load() || asked.Load() < 100 {
		t.Errorf("asked %d, answered %d", asked.Load(), answered.Load())
	}
	for _, n := range nodes {
		w.eventually("nothing is left", func() bool { s := n.links.Stats(); return s.Inflight == 0 && s.Waiting == 0 })
		t.Logf("%s: %+v", n.id, n.links.Stats())
	}
	t.Logf("%d requests", asked.Load())
}
