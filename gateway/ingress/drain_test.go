package ingress

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nats.go/micro"

	"orderyard/messages"
)

// another opens the doors of one more node on the same server.
func (h *house) another(o Options) *Ingress {
	h.t.Helper()
	if o.Actors == nil {
		o.Actors = h.actors
	}
	o.Directory, o.Planner = h.directory, fakePlanner{}
	in, err := Start(context.Background(), h.connect(), o)
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { stopSoon(h.t, in) })
	return in
}

func stopSoon(t testing.TB, in *Ingress) {
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if err := in.Stop(ctx); err != nil {
		t.Error(err)
	}
}

// order is a good order with its own id.
func order(id string) string {
	return strings.Replace(goodOrder, `"external_id":"1"`, `"external_id":"`+id+`"`, 1)
}

// countingActors places everything, a moment later, and counts how often each order came and when it came first.
type countingActors struct {
	mu    sync.Mutex
	count map[string]int
	first map[string]time.Time
}

func (a *countingActors) Send(r messages.Request) {
	a.mu.Lock()
	if a.count[r.To.ID]++; a.count[r.To.ID] == 1 {
		a.first[r.To.ID] = time.Now()
	}
	a.mu.Unlock()
	time.AfterFunc(time.Millisecond, func() { r.Done(placed(r)) })
}

func (a *countingActors) orders() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.count)
}

// TestDrainInTurns proves that nodes which drain, stop and come back in turns, under requests and intake messages without a pause,
// fail none, take none twice, and let no intake message lie until its delivery is repeated.
func TestDrainInTurns(t *testing.T) {
	const rounds, clients = 8, 8
	h := openHouse(t, Limits{})
	stopSoon(t, h.in) // its actors are others
	actors := &countingActors{count: make(map[string]int), first: make(map[string]time.Time)}
	nodes := []*Ingress{h.another(Options{Actors: actors}), h.another(Options{Actors: actors})}

	var asked, failed atomic.Int64
	var over atomic.Bool
	var workers sync.WaitGroup
	for c := range clients {
		nc := h.connect()
		workers.Go(func() {
			for i := 0; !over.Load(); i++ {
				m, err := nc.Request(messages.PlaceSubject("web"), []byte(order(fmt.Sprintf("%d-%d", c, i))), 10*time.Second)
				asked.Add(1)
				if err != nil {
					failed.Add(1)
					t.Errorf("request %d of client %d: %v", i, c, err)
				} else if !strings.HasPrefix(string(m.Data), `{"ok":true`) {
					failed.Add(1)
					t.Errorf("request %d of client %d: %s", i, c, m.Data)
				}
			}
		})
	}
	sent := make(map[string]time.Time)
	workers.Go(func() {
		for i := 0; !over.Load(); i++ {
			sent[fmt.Sprintf("web-intake-%d", i)] = time.Now()
			h.drop("web", order(fmt.Sprintf("intake-%d", i)))
			if i/1000%2 == 1 { // pulls are drained full, and waiting
				time.Sleep(time.Millisecond)
			}
		}
	})
	var longest time.Duration
	for round := range rounds {
		before := asked.Load()
		eventually(t, "load", func() bool { return asked.Load() > before+100 })
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		began := time.Now()
		if err := nodes[round%2].Drain(ctx); err != nil {
			t.Error(err)
		}
		longest = max(longest, time.Since(began))
		if err := nodes[round%2].Stop(ctx); err != nil {
			t.Error(err)
		}
		cancel()
		nodes[round%2] = h.another(Options{Actors: actors})
	}
	over.Store(true)
	workers.Wait()
	total := int(asked.Load()) + len(sent)
	eventually(t, "every intake message", func() bool { return actors.orders() == total && h.pending() == 0 })

	actors.mu.Lock()
	defer actors.mu.Unlock()
	for id, n := range actors.count {
		if n != 1 {
			t.Errorf("%s came %d times", id, n)
		}
	}
	var waited []time.Duration
	for id, at := range sent {
		waited = append(waited, actors.first[id].Sub(at))
	}
	slices.Sort(waited)
	worst := waited[len(waited)-1]
	if limit := DefaultLimits().IntakeWait / 6; worst > limit {
		t.Errorf("an intake message waited %s, want less than %s", worst, limit)
	}
	t.Logf("%d requests, %d failed; %d intake messages, p99 %s, worst %s; longest drain %s",
		asked.Load(), failed.Load(), len(sent), waited[len(waited)*99/100], worst, longest)
}

// TestDrainGivesBack proves that a drain which runs out of time says what is left, that the doors are closed meanwhile, and that the
// stop behind it gives the open intake message to another node at once instead of when its delivery is repeated.
func TestDrainGivesBack(t *testing.T) {
	h := openHouse(t, Limits{})
	h.actors.set(nil)
	h.drop("web", goodOrder)
	eventually(t, "the actor is asked", func() bool { return len(h.actors.requests()) == 1 })
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	for range 2 {
		if err := h.in.Drain(ctx); err == nil || !strings.Contains(err.Error(), "1 requests are still in flight") {
			t.Errorf("drain: %v", err)
		}
	}
	if m, err := h.nc.Request(messages.OrderSubject("get"), []byte(`{"order_id":"web-1"}`), time.Second); err == nil {
		t.Errorf("a drained node answers %s", m.Data)
	}
	actors := &fakeActors{answer: placed}
	h.another(Options{Actors: actors})
	began := time.Now()
	stopSoon(t, h.in)
	eventually(t, "placed elsewhere", func() bool { return len(actors.requests()) == 1 && h.pending() == 0 })
	if took := time.Since(began); took > DefaultLimits().IntakeWait/6 {
		t.Errorf("given back after %s", took)
	}
}

// gatedDirectory prepares no order before the gate opens, which holds up the subscription.
type gatedDirectory struct {
	Directory
	gate chan struct{}
}

func (d gatedDirectory) Prepare(p *messages.PlaceOrder) error {
	<-d.gate
	return d.Directory.Prepare(p)
}

// TestDrainAnswersWhatIsDelivered proves that requests which lie in this process before a door has looked at them are waited for and
// answered by a drain and the stop behind it, as if nothing had happened.
func TestDrainAnswersWhatIsDelivered(t *testing.T) {
	const requests = 20
	h := openHouse(t, Limits{})
	stopSoon(t, h.in)
	gate := make(chan struct{})
	in, err := Start(context.Background(), h.connect(), Options{
		Actors: h.actors, Directory: gatedDirectory{h.directory, gate}, Planner: fakePlanner{},
	})
	if err != nil {
		t.Fatal(err)
	}
	inbox := h.nc.NewInbox()
	sub, err := h.nc.SubscribeSync(inbox)
	if err != nil {
		t.Fatal(err)
	}
	for i := range requests {
		if err := h.nc.PublishRequest(messages.PlaceSubject("web"), inbox, []byte(order(fmt.Sprint(i)))); err != nil {
			t.Fatal(err)
		}
	}
	if err := h.nc.FlushTimeout(5 * time.Second); err != nil { // the server has passed all of them on
		t.Fatal(err)
	}
	eventually(t, "the first is looked at", func() bool { return in.inFlight() == 1 })
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	handed, stopped := make(chan error, 1), make(chan error, 2)
	go func() { handed <- in.handed(ctx) }()
	go func() { stopped <- in.Drain(ctx); stopped <- in.Stop(ctx) }()
	select {
	case err := <-handed:
		t.Errorf("all is handed over while nothing was looked at: %v", err)
	case <-stopped:
		t.Error("drained while requests wait")
	case <-time.After(50 * time.Millisecond):
	}
	close(gate)
	for range requests {
		m, err := sub.NextMsg(5 * time.Second)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(string(m.Data), `{"ok":true`) {
			t.Fatalf("answer %s", m.Data)
		}
	}
	for _, ended := range []chan error{handed, stopped, stopped} {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

// TestDrainEnds proves that a drain of idle doors ends well, also when it is repeated, raced, or the connection is gone.
func TestDrainEnds(t *testing.T) {
	h := openHouse(t, Limits{})
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	var workers sync.WaitGroup
	for range 3 {
		workers.Go(func() {
			if err := h.in.Drain(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	workers.Wait()
	cut := h.another(Options{})
	cut.nc.Close()
	if err := cut.Drain(ctx); err != nil {
		t.Errorf("drain without a connection: %v", err)
	}
}

// TestNodesShareRequests proves that several nodes are each listed with their metadata by $SRV.INFO, and that every request is answered
// by one of them alone.
func TestNodesShareRequests(t *testing.T) {
	h := openHouse(t, Limits{})
	stopSoon(t, h.in)
	nodes := map[string]*fakeActors{"n1": {answer: placed}, "n2": {answer: placed}}
	for name, actors := range nodes {
		h.another(Options{Actors: actors, Metadata: map[string]string{"node": name, "incarnation": "i-" + name}})
	}
	for _, service := range []string{"orderyard-order", "orderyard-stock", "orderyard-site"} {
		found := make(map[string]string)
		inbox := h.nc.NewInbox()
		sub, err := h.nc.SubscribeSync(inbox)
		if err != nil {
			t.Fatal(err)
		}
		if err := h.nc.PublishRequest("$SRV.INFO."+service, inbox, nil); err != nil {
			t.Fatal(err)
		}
		for range nodes {
			m, err := sub.NextMsg(5 * time.Second)
			if err != nil {
				t.Fatal(err)
			}
			var info micro.Info
			if err := json.Unmarshal(m.Data, &info); err != nil {
				t.Fatal(err)
			}
			found[info.Metadata["node"]] = info.Metadata["incarnation"]
			for _, e := range info.Endpoints {
				if e.QueueGroup != micro.DefaultQueueGroup {
					t.Errorf("%s is in the queue group %q", e.Subject, e.QueueGroup)
				}
			}
		}
		if want := map[string]string{"n1": "i-n1", "n2": "i-n2"}; !maps.Equal(found, want) {
			t.Errorf("%s is listed as %v, want %v", service, found, want)
		}
	}
	const requests = 200
	inbox := h.nc.NewInbox()
	sub, err := h.nc.SubscribeSync(inbox)
	if err != nil {
		t.Fatal(err)
	}
	for i := range requests {
		if err := h.nc.PublishRequest(messages.PlaceSubject("web"), inbox, []byte(order(fmt.Sprint(i)))); err != nil {
			t.Fatal(err)
		}
	}
	for range requests {
		if _, err := sub.NextMsg(5 * time.Second); err != nil {
			t.Fatal(err)
		}
	}
	seen := make(map[string]int)
	for name, actors := range nodes {
		if len(actors.requests()) == 0 {
			t.Errorf("%s got none of %d requests", name, requests)
		}
		for _, r := range actors.requests() {
			seen[r.To.ID]++
		}
	}
	for id, n := range seen {
		if n != 1 {
			t.Errorf("%s reached actors %d times", id, n)
		}
	}
	if len(seen) != requests {
		t.Errorf("%d of %d requests reached an actor", len(seen), requests)
	}
}

// TestIntakeConsumerIsMadeAgain proves that the intake goes on when its consumer was deleted under it.
func TestIntakeConsumerIsMadeAgain(t *testing.T) {
	h := openHouse(t, Limits{})
	h.drop("web", order("1"))
	eventually(t, "placed", func() bool { return h.pending() == 0 })
	if err := h.js.DeleteConsumer(context.Background(), messages.StreamIntake, intakeConsumer); err != nil {
		t.Fatal(err)
	}
	h.drop("web", order("2"))
	eventually(t, "placed by the next consumer", func() bool { return h.pending() == 0 && len(h.actors.requests()) == 2 })
	var c jetstream.Consumer
	c, err := h.js.Consumer(context.Background(), messages.StreamIntake, intakeConsumer)
	if err != nil || c.CachedInfo().Config.MaxAckPending != intakePendingMax {
		t.Errorf("consumer %v, %v", c, err)
	}
}
