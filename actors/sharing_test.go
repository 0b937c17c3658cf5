package actors

import (
	"context"
	"fmt"
	"maps"
	"math/rand"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"orderyard/cluster"
	"orderyard/messages"
)

// world is a cluster without entities: what they would have made durable, and nodes that observe it.
type world struct {
	*net
	t       interface{ Fatalf(string, ...any) }
	truth   map[messages.Ref]messages.Message // the newest summary of every bucket and site
	members map[string]*member
	owners  []string // by partition
	joined  int
	dice    *rand.Rand // the test's own; the net's belongs to its lock
}

type member struct {
	*knower
	*Sharing
	port   *port
	asleep atomic.Bool // it has not renewed its lease
}

func newWorld(t interface{ Fatalf(string, ...any) }, seed int64, partitions int) *world {
	return &world{
		net: newNet(seed), t: t, truth: make(map[messages.Ref]messages.Message), members: make(map[string]*member),
		owners: make([]string, partitions), dice: rand.New(rand.NewSource(seed + 1)),
	}
}

// join starts a process, which gets the partitions nobody has.
func (w *world) join() string {
	w.joined++
	id := fmt.Sprintf("n%d", w.joined)
	m := &member{knower: newKnower(), port: w.net.join(id)}
	m.SplitBy(len(w.owners))
	var err error
	if m.Sharing, err = Share(m.Knowledge, m.port, id, func(int) bool { return !m.asleep.Load() }, nil); err != nil {
		w.t.Fatalf("share: %v", err)
	}
	_ = m.Sync(context.Background(), slices.Sorted(maps.Keys(w.members))) // may fail while the net is bad
	w.members[id] = m
	for p, owner := range w.owners {
		if owner == "" {
			w.move(p, id)
		}
	}
	return id
}

// kill ends a process; others take its partitions over.
func (w *world) kill(id string, heir string) {
	w.members[id].Stop()
	w.leave(id)
	delete(w.members, id)
	for p, owner := range w.owners {
		if owner == id {
			w.move(p, heir)
		}
	}
}

// end stops every process, so that no goroutine stays.
func (w *world) end() {
	for id, m := range w.members {
		m.Stop()
		w.leave(id)
	}
}

// move gives a partition to a node, which reads everything of it back.
func (w *world) move(partition int, to string) {
	if from := w.members[w.owners[partition]]; from != nil {
		from.Forget(partition)
	}
	w.owners[partition] = to
	w.members[to].Remember(partition)
	for ref, summary := range w.truth {
		if cluster.PartitionOf(ref, len(w.owners)) == partition {
			w.members[to].Observe(ref, summary, nil)
		}
	}
	w.members[to].Cover(partition)
}

// promises checks what coverage says: whoever believes to know a partition whole knows every bucket that it had at this moment and that
// nobody made since in another node's hands.
func (w *world) promises(existed []messages.Ref) {
	for id, m := range w.members {
		for _, p := range m.coverage.all() {
			for _, ref := range existed {
				sku, _, ok := messages.SplitBucket(ref.ID)
				if ok && cluster.PartitionOf(ref, len(w.owners)) == int(p) && !m.View().Known(sku) {
					w.t.Fatalf("%s believes to know partition %d, and does not know %s", id, p, ref)
				}
			}
		}
	}
}

// commit makes something of an entity durable, and its owner observes it.
func (w *world) commit(ref messages.Ref, summary messages.Message) {
	w.truth[ref] = summary
	w.members[w.owners[cluster.PartitionOf(ref, len(w.owners))]].Observe(ref, summary, nil)
}

func (w *world) stock(sku, site string, atp int64) {
	ref := messages.BucketRef(sku, site)
	old, _ := w.truth[ref].(*messages.BucketView)
	w.commit(ref, &messages.BucketView{Sku: sku, Site: site, Atp: atp, Version: old.GetVersion() + 1})
}

func (w *world) site(id, status string, open int64) {
	ref := messages.SiteRef(id)
	old, _ := w.truth[ref].(*messages.SiteView)
	w.commit(ref, &messages.SiteView{
		Doc: &messages.SiteDoc{Id: id, Status: status, Capacity: &messages.SiteCapacity{OpenMax: 100}}, Open: open, Version: old.GetVersion() + 1,
	})
}

// differences says what a node's view has otherwise than the truth.
func (w *world) differences(id string) (list []string) {
	v := w.members[id].View()
	buckets := 0
	for ref, summary := range w.truth {
		switch s := summary.(type) {
		case *messages.BucketView:
			buckets++
			found := false
			for _, at := range v.Stock(s.Sku) {
				found = found || at.Site == s.Site && at.ATP == s.Atp
			}
			if !found {
				list = append(list, fmt.Sprintf("%s: %v, not %d", ref, v.Stock(s.Sku), s.Atp))
			}
		case *messages.SiteView:
			site, found := v.Site(s.Doc.Id)
			if !found || site.Status != s.Doc.Status || site.Open != s.Open || site.OpenLoadPermille != s.Open*10 {
				list = append(list, fmt.Sprintf("%s: %+v, not %v", ref, site, s))
			}
		}
	}
	v.skus.Range(func(_, s any) bool { buckets -= len(s.(*skuStock).sites); return true })
	if buckets != 0 {
		list = append(list, fmt.Sprintf("%d buckets are missing", buckets))
	}
	slices.Sort(list)
	return list
}

// settle lets time pass and checks that every living node's view is the truth.
func (w *world) settle(pause time.Duration) {
	time.Sleep(pause)
	synctest.Wait()
	for id := range w.members {
		if list := w.differences(id); len(list) > 0 {
			w.t.Fatalf("%s after %s: %d differences, the first: %s; heard %v", id, pause, len(list), list[0], w.heard(id))
		}
	}
}

func (w *world) heard(id string) map[string]sender {
	m := w.members[id]
	m.Sharing.mu.Lock()
	defer m.Sharing.mu.Unlock()
	all := make(map[string]sender)
	for from, one := range m.senders {
		all[from] = *one
	}
	return all
}

// inBubble runs a test on a clock that jumps when everybody waits.
func inBubble(t *testing.T, fn func(*testing.T)) {
	t.Helper()
	synctest.Test(t, fn)
}

// What one node observes is in every view a few milliseconds later, and a second observation of the same changes nothing: three nodes, each
// with its partitions.
func TestViewsAreShared(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, 1, 8)
		defer w.end()
		for range 3 {
			w.join()
		}
		for p := range w.owners {
			w.move(p, fmt.Sprintf("n%d", p%3+1))
		}
		for i := range 300 {
			w.stock(fmt.Sprintf("SKU-%d", i%40), fmt.Sprintf("S%d", i%7), int64(i))
		}
		w.site("S1", "online", 5)
		w.site("S2", "suspended", 0)
		w.settle(15 * time.Millisecond)
		told := w.members["n1"].Stats().Published.Load()
		if told == 0 || told > 2 {
			t.Errorf("300 observations in one moment became %d deltas", told)
		}
		w.site("S1", "online", 50) // only its load: with the next heartbeat
		w.settle(beatEvery + 15*time.Millisecond)
		for id, m := range w.members {
			if m.Stats().Gaps.Load() != 0 || m.Stats().FetchFail.Load() != 0 {
				t.Errorf("%s asked for %d snapshots", id, m.Stats().Gaps.Load())
			}
		}
	})
}

// Views converge to the truth whatever is lost, doubled or late, whoever owns what, ends or joins in between, as soon as the bus is good
// again: rapid plays cluster.
func TestViewsConverge(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		// Without the Deadline of *testing.T, which must not be asked for in a bubble.
		rapid.Check(struct{ testing.TB }{t}, func(rt *rapid.T) {
			w := newWorld(rt, rapid.Int64().Draw(rt, "seed"), 5)
			defer w.end()
			w.join()
			w.join()
			someone := func(rt *rapid.T) string {
				return rapid.SampledFrom(slices.Sorted(maps.Keys(w.members))).Draw(rt, "member")
			}
			rt.Repeat(map[string]func(*rapid.T){
				"stock": func(rt *rapid.T) {
					for range rapid.IntRange(1, 20).Draw(rt, "times") {
						w.stock(fmt.Sprintf("A%d", w.dice.Intn(9)), fmt.Sprintf("S%d", w.dice.Intn(3)), int64(w.dice.Intn(4)))
					}
				},
				"site": func(*rapid.T) {
					w.site(fmt.Sprintf("S%d", w.dice.Intn(3)), []string{"online", "suspended"}[w.dice.Intn(2)], int64(w.dice.Intn(90)))
				},
				"move": func(rt *rapid.T) { w.move(w.dice.Intn(len(w.owners)), someone(rt)) },
				"join": func(rt *rapid.T) {
					if len(w.members) < 4 {
						w.join()
					}
				},
				"kill": func(rt *rapid.T) {
					if id := someone(rt); len(w.members) > 1 {
						heirs := slices.DeleteFunc(slices.Sorted(maps.Keys(w.members)), func(other string) bool { return other == id })
						w.kill(id, heirs[w.dice.Intn(len(heirs))])
					}
				},
				"bad": func(rt *rapid.T) { w.setBad(rapid.Bool().Draw(rt, "on")) },
				"wait": func(rt *rapid.T) {
					time.Sleep(time.Duration(rapid.IntRange(1, 3000).Draw(rt, "ms")) * time.Millisecond)
				},
			})
			w.setBad(false)
			w.settle(4 * healAgainMax)
		})
	})
}

// Nodes that start together know nothing, and each reads some partitions back. Until a node has heard of all it cannot say that a SKU does
// not exist: an order for one is sent back for a moment, not refused. Whatever the bus loses, nobody believes to know a partition
// before every bucket of it is in the view.
func TestUnknownIsNotMissing(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		before := newWorld(t, 3, 8)
		before.join()
		var existed []messages.Ref
		for i := range 400 {
			before.stock(fmt.Sprintf("SKU-%d", i), "S1", int64(i))
			existed = append(existed, messages.BucketRef(fmt.Sprintf("SKU-%d", i), "S1"))
		}
		before.end()

		w := newWorld(t, 4, 8)
		defer w.end()
		for p := range w.owners {
			w.owners[p] = "nobody" // all are to be read back
		}
		w.truth = before.truth
		for range 3 {
			w.join()
		}
		place := func() error {
			o := &messages.Order{Lines: []*messages.OrderLine{{Sku: "SKU-7"}}, ShipTo: &messages.Address{Country: "US", PostalCode: "80202"}}
			return w.members["n3"].Prepare(&messages.PlaceOrder{Order: o})
		}
		if f, ok := place().(*messages.Failure); !ok || !f.Retryable || f.Code != messages.CodeUnavailable {
			t.Errorf("a node that knows nothing said %v", place())
		}
		for _, m := range w.members {
			m.port.set(true, false)
		}
		for p := range w.owners {
			w.move(p, fmt.Sprintf("n%d", p%3+1))
			time.Sleep(7 * time.Millisecond)
			w.promises(existed)
		}
		for _, m := range w.members {
			m.port.set(false, false)
		}
		for range 400 {
			time.Sleep(25 * time.Millisecond)
			w.promises(existed)
		}
		for id, m := range w.members {
			if n := m.Uncovered(); n != 0 {
				t.Errorf("%s still does not know %d partitions", id, n)
			}
		}
		if err := place(); err != nil {
			t.Errorf("a node that knows everything said %v", err)
		}
	})
}

// A SKU that was counted a moment ago at another node is found by asking, long before the news of it come; one that nobody has is
// unknown to all, and while a member does not answer nobody can say.
func TestLearn(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, 5, 6)
		defer w.end()
		for range 3 {
			w.join()
		}
		w.settle(5 * time.Second)
		w.stock("new", "S1", 4)
		asker := w.members["n3"]
		known, err := asker.Learn(t.Context(), []string{"new", "never"}, []string{"n1", "n2"})
		if err != nil || !known["new"] || known["never"] {
			t.Errorf("learned %v, %v", known, err)
		}
		if got := asker.View().Stock("new"); len(got) != 1 || got[0].ATP != 4 {
			t.Errorf("stock %v", got)
		}
		w.members["n2"].port.set(false, true)
		if _, err := asker.Learn(t.Context(), []string{"never"}, []string{"n1", "n2"}); err == nil {
			t.Error("a member does not answer, and that is fine")
		}
	})
}

// A node that was cut off has not heard of a SKU that was counted meanwhile, and its owner is gone. As long as a partition is on its way between owners,
// nobody can say that the SKU does not exist; once every partition is served by somebody who answers, what they do not know is unknown.
func TestLearnNeedsEveryPartition(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, 7, 6)
		defer w.end()
		for range 2 {
			w.join()
		}
		w.settle(5 * time.Second)
		one, two := w.members["n1"], w.members["n2"]
		one.SplitBy(2)
		two.SplitBy(2)
		one.Cover(0)
		two.Cover(1)
		ask := func() error {
			_, err := two.Learn(t.Context(), []string{"never"}, []string{"n1"})
			return err
		}
		if err := ask(); err != nil {
			t.Errorf("everything is served: %v", err)
		}
		one.Forget(0)
		if err := ask(); err == nil {
			t.Error("a partition is served by nobody, and that is fine")
		}
		two.Cover(0)
		if err := ask(); err != nil {
			t.Errorf("the asker serves it now: %v", err)
		}
	})
}

// A node that was asleep does not know whether its partitions are still its own: what it does not know of them may be known to their next owner. It
// takes itself for none that serves, as the asker and as the one who is asked.
func TestLearnNeedsTheLease(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, 7, 6)
		defer w.end()
		for range 2 {
			w.join()
		}
		w.settle(5 * time.Second)
		one, two := w.members["n1"], w.members["n2"]
		one.SplitBy(2)
		two.SplitBy(2)
		one.Cover(0)
		two.Cover(1)
		for _, sleeper := range []*member{one, two} {
			sleeper.asleep.Store(true)
			if known, err := two.Learn(t.Context(), []string{"never"}, []string{"n1"}); err == nil {
				t.Errorf("%s is without its lease, and nobody else serves its partition: %v", sleeper.port.self, known)
			}
			sleeper.asleep.Store(false)
		}
		if _, err := two.Learn(t.Context(), []string{"never"}, []string{"n1"}); err != nil {
			t.Error(err)
		}
	})
}

// A node that joins knows everything after one snapshot from one member, and asks nobody else although it hears of them for the first time;
// a member that does not answer is passed over.
func TestJoin(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, 1, 6)
		defer w.end()
		for range 3 {
			w.join()
		}
		for i := range 5000 {
			w.move(i%6, fmt.Sprintf("n%d", i%3+1))
			w.stock(fmt.Sprintf("a-rather-long-stock-keeping-unit-%d", i), "a-site-with-a-rather-long-name", int64(i))
		}
		w.site("S1", "online", 1)
		time.Sleep(10 * time.Millisecond)
		w.members["n1"].port.set(false, true)
		id := w.join()
		if list := w.differences(id); len(list) > 0 {
			t.Fatalf("%d differences, the first: %s", len(list), list[0])
		}
		w.stock("new", "S1", 4)
		w.settle(5 * time.Second)
		s := w.members[id].Stats()
		if s.Fetched.Load() != 1 || s.FetchFail.Load() != 1 || s.Gaps.Load() != 0 {
			t.Errorf("%d snapshots fetched, %d failed, %d gaps; heard %v", s.Fetched.Load(), s.FetchFail.Load(), s.Gaps.Load(), w.heard(id))
		}
		alone := newWorld(t, 1, 6)
		defer alone.end()
		if err := alone.members[alone.join()].Sync(t.Context(), nil); err != nil {
			t.Errorf("a first node: %v", err)
		}
		for _, m := range w.members {
			m.port.set(false, true)
		}
		if err := w.members[id].Sync(t.Context(), []string{"n1", "n2"}); err == nil {
			t.Error("nobody answers, and that is fine")
		}
		if err := w.members[id].Sync(t.Context(), []string{"ended"}); err != nil {
			t.Errorf("the only member has just ended: %v", err)
		}
	})
}

// A node that was cut off heals by itself although nothing new is told, with one snapshot, for who gives it has heard the others; and a
// sender that takes asks and does not answer holds up nobody's healing for long.
func TestGapsHeal(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, 1, 6)
		defer w.end()
		for range 3 {
			w.join()
		}
		for p := range w.owners {
			w.move(p, fmt.Sprintf("n%d", p%3+1))
		}
		burst := func(atp int64) {
			for i := range 100 {
				w.stock(fmt.Sprint(i), "S1", atp)
			}
			time.Sleep(20 * time.Millisecond)
		}
		burst(1)
		cut := w.members["n3"]
		cut.port.set(true, false)
		burst(2)
		burst(3)
		cut.port.set(false, false)
		w.settle(beatEvery + 5*healAfter)
		if got := cut.Stats().Gaps.Load(); got != 1 {
			t.Errorf("%d snapshots; heard %v", got, w.heard("n3"))
		}
		cut.port.set(true, false)
		w.members["n2"].port.set(true, false)
		w.members["n1"].port.set(false, true)
		burst(4)
		cut.port.set(false, false)
		w.members["n2"].port.set(false, false)
		time.Sleep(beatEvery + 2*stuckFor)
		synctest.Wait()
		heard := w.heard("n3")
		if one, two := heard["n1"], heard["n2"]; !one.behind() || two.behind() {
			t.Errorf("behind n1 %v, behind n2 %v", one.behind(), two.behind())
		}
		w.members["n1"].port.set(false, false)
		w.settle(2 * healAgainMax)
	})
}

// A sender that is silent for long is forgotten, and what it says later is taken with one snapshot.
func TestSilentSenderIsForgotten(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, 1, 2)
		defer w.end()
		w.join()
		w.join()
		w.stock("A", "S1", 1)
		w.settle(time.Second)
		w.members["n2"].port.set(true, false)
		time.Sleep(forgetAfter + 2*beatEvery)
		if heard := w.heard("n2"); len(heard) != 0 {
			t.Errorf("still remembered: %v", heard)
		}
		w.stock("A", "S1", 2)
		time.Sleep(time.Second)
		w.members["n2"].port.set(false, false)
		w.settle(2 * time.Second)
	})
}

// Stock that grows on another node, and a site that opens there, wake the orders that wait here, as local news do.
func TestRemoteStockWakes(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, 1, 1)
		defer w.end()
		w.join()
		here := w.members[w.join()]
		here.waits("web-1", "A", 2, 0, "", 1)
		here.waits("web-2", "A", 2, 0, "", 2)
		w.stock("A", "S1", 2)
		w.settle(20 * time.Millisecond)
		here.expect(t, "web-1")
		w.stock("A", "S1", 1) // less
		w.settle(20 * time.Millisecond)
		here.expect(t)
		w.site("S1", "online", 0)
		w.settle(20 * time.Millisecond)
		here.now += 2 * wokenForMs
		here.OfferStock()
		here.expect(t, "web-1")
	})
}

// What a sender's numbers prove is checked against a plain set: a node that says it is not behind has heard, or has a snapshot that has,
// every number up to the highest; and it never says that it has seen what it has not.
func TestSenderCountsRight(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var one sender
		have := make(map[uint64]bool)
		from := uint64(1) // numbers below were never sent to us; a process that begins with 1 has none
		top := uint64(0)
		check := func() {
			for n := from; one.known && n <= one.seen; n++ {
				if !have[n] {
					t.Fatalf("%d counts as seen: %+v", n, one)
				}
			}
			if !one.behind() && one.seen < top {
				t.Fatalf("not behind %d: %+v", top, one)
			}
		}
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			n := rapid.Uint64Range(1, 12).Draw(t, "number")
			switch rapid.IntRange(0, 5).Draw(t, "what") {
			case 0:
				one.heard(n, false)
				top = max(top, n)
			case 1:
				one.learned(n)
				for i := uint64(1); i <= n; i++ {
					have[i] = true
				}
				top = max(top, n)
			default:
				one.heard(n, true)
				have[n] = true
				top = max(top, n)
			}
			check()
		}
		one.learned(top)
		if one.behind() {
			t.Fatalf("behind after a snapshot that has everything: %+v", one)
		}
		one.heard(top+1, true)
		if one.behind() || one.seen != top+1 {
			t.Fatalf("behind after the next: %+v", one)
		}
	})
}
