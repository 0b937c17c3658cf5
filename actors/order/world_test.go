package order

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"orderyard/messages"
)

// world is one order among dumb buckets and sites, behind a network that loses, repeats and reorders.
type world struct {
	t       *rapid.T
	h       *harness
	buckets map[string]*bucketModel
	older   bool // the buckets are of a build that holds instead of allocating
	sites   map[string]*siteModel
	siteIDs []string
	network []any // messages.Task to a receiver, *messages.TaskResult or another command to the order
	fair    bool
}

var worldSKUs = []string{"A", "B", "C"}

func newWorld(t *rapid.T) *world {
	w := &world{t: t, buckets: map[string]*bucketModel{}, sites: map[string]*siteModel{}}
	w.h = newHarness(nil, "web-1")
	w.h.fatal = func(format string, args ...any) { t.Fatalf(format, args...) }
	w.older = rapid.Bool().Draw(t, "older")
	for _, id := range []string{"P", "Q", "R"} {
		w.addSite(id, rapid.Bool().Draw(t, "manual"), func() int64 { return rapid.Int64Range(0, 6).Draw(t, "stock") })
	}
	n := rapid.IntRange(1, 3).Draw(t, "lines")
	lines := make([]string, n)
	for i := range lines {
		lines[i] = fmt.Sprintf("%s*%d", rapid.SampledFrom(worldSKUs).Draw(t, "sku"), rapid.IntRange(1, 3).Draw(t, "quantity"))
	}
	o := testOrder("1", lines...)
	o.Partial = rapid.SampledFrom([]string{"", partialSplit, partialComplete, partialShip}).Draw(t, "partial")
	o.OnShort = rapid.SampledFrom([]string{"", shortBackorder, shortCancel, shortHold}).Draw(t, "on_short")
	o.SplitsMax = rapid.Int32Range(0, 3).Draw(t, "splits_max")
	if rapid.Bool().Draw(t, "paid") {
		o.HasPayment, o.PaymentAmount = true, rapid.SampledFrom([]int64{1, 3000}).Draw(t, "amount")
	}
	w.step(&messages.PlaceOrder{Order: o, Fingerprint: 1})
	return w
}

func (w *world) addSite(id string, manual bool, stock func() int64) {
	w.sites[id] = &siteModel{id: id, manual: manual, work: map[string]*workModel{}, answers: map[string]*messages.Reply{}}
	w.siteIDs = append(w.siteIDs, id)
	for _, sku := range worldSKUs {
		w.buckets[sku+"@"+id] = &bucketModel{
			older: w.older, sku: sku, site: id, onHand: stock(), claims: map[string]*claimModel{}, answers: map[string]*messages.Reply{},
		}
	}
}

// step runs one command and, as the runtime does, the plans and timers that are due.
func (w *world) step(cmd messages.Command) *messages.Reply {
	_, reply, err := w.h.step(cmd)
	if err != nil {
		w.t.Fatalf("%T: %v", cmd, err)
	}
	w.h.local(w.route)
	w.check()
	return reply
}

// route is a planner that knows the stock, sometimes wrongly, and keeps the request's rules.
func (w *world) route(r *messages.PlanRequest) *messages.Plan {
	p := &messages.Plan{Decision: &messages.DecisionRecord{Strategy: "random"}}
	stale := !w.fair && rapid.IntRange(0, 4).Draw(w.t, "stale") == 0
	used := slices.Clone(r.SitesUsed)
	left := map[string]int64{}
	for _, id := range w.rotated() {
		a := &messages.Assignment{Site: id, Manual: w.sites[id].manual}
		if !slices.Contains(used, id) && int32(len(used)-len(r.SitesUsed)) >= r.SplitsLeft {
			continue
		}
		for _, n := range r.Needs {
			if w.excluded(r, id, n.Sku) {
				continue
			}
			key := fmt.Sprintf("%d", n.Line)
			if _, ok := left[key]; !ok {
				left[key] = n.Quantity
			}
			atp := w.buckets[n.Sku+"@"+id].atp()
			if stale {
				atp += 2
			}
			for _, have := range a.Lines { // lines of one SKU share its stock
				if w.h.s.order.Lines[have.Line].Sku == n.Sku {
					atp -= have.Quantity
				}
			}
			if q := min(left[key], atp); q > 0 {
				left[key] -= q
				a.Lines = append(a.Lines, &messages.LineQuantity{Line: n.Line, Quantity: q})
			}
		}
		if len(a.Lines) == 0 {
			continue
		}
		p.Assignments = append(p.Assignments, a)
		if !slices.Contains(used, id) {
			used = append(used, id)
		}
	}
	return p
}

func (w *world) excluded(r *messages.PlanRequest, site, sku string) bool {
	return slices.ContainsFunc(r.Exclusions, func(x *messages.Exclusion) bool {
		return x.Site == site && (x.Sku == "" || x.Sku == sku) && (x.UntilMs == 0 || x.UntilMs > w.h.now)
	})
}

func (w *world) rotated() []string {
	if w.fair { // the site with all stock first
		return []string{w.siteIDs[len(w.siteIDs)-1]}
	}
	k := rapid.IntRange(0, len(w.siteIDs)-1).Draw(w.t, "first")
	return append(slices.Clone(w.siteIDs[k:]), w.siteIDs[:k]...)
}

// due lists the tasks that may be sent now.
func (w *world) due() []messages.Task {
	return slices.DeleteFunc(w.h.tasks(), func(task messages.Task) bool {
		return task.Due > w.h.now || task.To.Kind == messages.KindRouting || task.To.Kind == messages.KindOrder
	})
}

// receive lets a bucket or a site answer a task.
func (w *world) receive(task messages.Task) *messages.TaskResult {
	if task.To.Kind == messages.KindBucket {
		return &messages.TaskResult{TaskId: task.ID, Reply: w.buckets[task.To.ID].receive(task, w.h.now)}
	}
	full := !w.fair && rapid.IntRange(0, 5).Draw(w.t, "full") == 0
	return &messages.TaskResult{TaskId: task.ID, Reply: w.sites[task.To.ID].receive(task, full)}
}

// deliver carries one thing of the network where it goes.
func (w *world) deliver(x any) {
	switch x := x.(type) {
	case messages.Task:
		w.network = append(w.network, w.receive(x))
	case *messages.FulfillmentChanged:
		if reply := w.step(x); reply.GetFailure() != nil {
			w.t.Fatalf("a notice was refused: %v", reply.Failure)
		}
		for _, s := range w.sites { // taken: the next notice may go
			s.notices = slices.DeleteFunc(s.notices, func(n *messages.FulfillmentChanged) bool { return n == x })
		}
	case messages.Command:
		w.step(x)
	}
}

// notice gives the oldest notice of a random piece of work: a site tells them one at a time, in order.
func (w *world) notice() *messages.FulfillmentChanged {
	var first []*messages.FulfillmentChanged
	for _, id := range w.siteIDs {
		seen := map[string]bool{}
		for _, n := range w.sites[id].notices {
			if !seen[n.FulfillmentId] {
				first = append(first, n)
			}
			seen[n.FulfillmentId] = true
		}
	}
	if len(first) == 0 {
		return nil
	}
	return rapid.SampledFrom(first).Draw(w.t, "notice")
}

// check holds what must be true in the world, not only in the order's books: no unit is in two buildings' hands (I3).
func (w *world) check() {
	h := w.h
	inHands := make([]int64, len(h.s.lines))
	for _, id := range w.siteIDs {
		for _, work := range w.sites[id].work {
			if !work.holds() {
				continue
			}
			for line, n := range work.units {
				inHands[line] += n
			}
		}
	}
	claimed, leaving := make([]int64, len(h.s.lines)), make([]int64, len(h.s.lines))
	for i := range h.s.fulfillments {
		f := &h.s.fulfillments[i]
		for j := range f.claims {
			c := &f.claims[j]
			b := w.buckets[h.s.order.Lines[c.line].Sku+"@"+f.site]
			r := b.claims[fmt.Sprintf("%s/%d", f.id, c.line)]
			switch {
			case r != nil && r.active() && c.stage == claimFreeing && f.why == dropSweep:
				leaving[c.line] += r.quantity // its units are claimed elsewhere only once it is back; cancelled they may be before
			case r == nil || c.stage == claimDeclined || c.stage == claimFreeing && c.rejected == c.quantity:
				continue // a duplicate that was granted after a decline is no claim of the order's; it is given back or expires
			case c.stage == claimFreed && r.active():
				w.t.Fatalf("%s was freed and its bucket still holds it", f.id)
			case r.active():
				claimed[c.line] += r.quantity - c.rejected
			case r.status == "shipped":
				claimed[c.line] += r.quantity
			}
		}
	}
	for i, line := range h.s.order.GetLines() {
		ordered := line.Quantity - h.s.lines[i].cancelled
		if inHands[i] > ordered || claimed[i] > ordered {
			w.t.Fatalf("line %d: %d units are wanted, sites may ship %d, buckets hold %d", i, ordered, inHands[i], claimed[i])
		}
		if claimed[i]+leaving[i] > line.Quantity {
			w.t.Fatalf("line %d: %d units were ordered, buckets hold %d and %d more on their way back", i, line.Quantity, claimed[i], leaving[i])
		}
	}
}

// TestOrderSurvivesTheWorld proves that an order keeps its invariants whatever buckets, sites, people, clock and network do, in any
// order and repeated, with crashes between any two steps, and that it ends once the world becomes kind.
func TestOrderSurvivesTheWorld(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		t.Repeat(w.actions())
		w.finish()
	})
}

func (w *world) actions() map[string]func(*rapid.T) {
	return map[string]func(*rapid.T){
		"send":    func(*rapid.T) { w.send() },
		"send2":   func(*rapid.T) { w.send() },
		"arrive":  func(*rapid.T) { w.arrive() },
		"arrive2": func(*rapid.T) { w.arrive() },
		"arrive3": func(*rapid.T) { w.arrive() },
		"flow":    func(*rapid.T) { w.flow() },
		"flow2":   func(*rapid.T) { w.flow() },
		"lose": func(t *rapid.T) {
			if len(w.network) == 0 {
				t.Skip()
			}
			i := rapid.IntRange(0, len(w.network)-1).Draw(t, "lost")
			w.network = slices.Delete(w.network, i, i+1)
		},
		"tell": func(t *rapid.T) {
			n := w.notice()
			if n == nil {
				t.Skip()
			}
			w.network = append(w.network, n)
		},
		"work":    func(*rapid.T) { w.work() },
		"work2":   func(*rapid.T) { w.work() },
		"work3":   func(*rapid.T) { w.work() },
		"count":   func(*rapid.T) { w.count() },
		"people":  func(*rapid.T) { w.people() },
		"crash":   func(*rapid.T) { w.h.restart(); w.h.check() },
		"time":    func(t *rapid.T) { w.pass(rapid.SampledFrom([]int64{1, 5, 11, 60}).Draw(t, "minutes")) },
		"longer":  func(t *rapid.T) { w.pass(rapid.SampledFrom([]int64{60, 300, 1500}).Draw(t, "minutes")) },
		"receive": func(t *rapid.T) { w.receiveStock() },
		"sweep":   func(t *rapid.T) { w.sweep() },
	}
}

func (w *world) send() {
	due := w.due()
	if len(due) == 0 {
		w.t.Skip()
	}
	w.network = append(w.network, rapid.SampledFrom(due).Draw(w.t, "task"))
}

// arrive delivers any message, not the oldest; sometimes it stays and arrives again.
func (w *world) arrive() {
	if len(w.network) == 0 {
		w.t.Skip()
	}
	i := rapid.IntRange(0, len(w.network)-1).Draw(w.t, "message")
	x := w.network[i]
	if rapid.IntRange(0, 3).Draw(w.t, "again") > 0 {
		w.network = slices.Delete(w.network, i, i+1)
	}
	w.deliver(x)
}

// flow lets things go well for a while, so that runs get deep: what is owed is sent, what is under way arrives, in any order.
func (w *world) flow() {
	w.network = append(w.network, anys(w.due())...)
	for range 2 * len(w.network) {
		if len(w.network) == 0 {
			return
		}
		w.arrive()
	}
	if n := w.notice(); n != nil {
		w.deliver(n)
	}
}

func anys(tasks []messages.Task) []any {
	list := make([]any, len(tasks))
	for i := range tasks {
		list[i] = tasks[i]
	}
	return list
}

func (w *world) work() {
	s := w.sites[rapid.SampledFrom(w.siteIDs).Draw(w.t, "site")]
	active := slices.DeleteFunc(slices.Clone(s.ids), func(id string) bool { return !s.work[id].holds() })
	if len(active) == 0 {
		w.t.Skip()
	}
	id := rapid.SampledFrom(active).Draw(w.t, "work")
	switch rapid.IntRange(0, 9).Draw(w.t, "do") {
	case 0:
		s.reject(id, rapid.SampledFrom(rejectReasons).Draw(w.t, "reason"), false)
	case 1:
		if s.work[id].request == requestSubmitted {
			s.reject(id, "", true)
		}
	case 2, 3:
		s.shortPick(id, rapid.Uint32Range(0, 2).Draw(w.t, "line"))
	default:
		s.advance(id)
	}
	w.check()
}

// count takes stock away; the claims that cannot be served are told to the order.
func (w *world) count() {
	key := rapid.SampledFrom(worldSKUs).Draw(w.t, "sku") + "@" + rapid.SampledFrom(w.siteIDs).Draw(w.t, "site")
	b := w.buckets[key]
	b.onHand = rapid.Int64Range(0, 1).Draw(w.t, "on_hand")
	ids := make([]string, 0, len(b.claims))
	for id := range b.claims {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for _, id := range ids {
		if r := b.claims[id]; r.active() && b.atp() < 0 {
			r.contested = true
			w.network = append(w.network, &messages.ClaimLost{Sku: b.sku, Site: b.site, ReservationId: id, Quantity: r.quantity})
		}
	}
}

func (w *world) receiveStock() {
	sku, site := rapid.SampledFrom(worldSKUs).Draw(w.t, "sku"), rapid.SampledFrom(w.siteIDs).Draw(w.t, "site")
	w.buckets[sku+"@"+site].onHand += 2
	w.network = append(w.network, &messages.StockArrived{Sku: sku, Site: site})
}

// sweep moves what may move to random sites, whatever they have, sometimes too late, and sends some of it twice.
func (w *world) sweep() {
	m := movable(w.h.s, w.h.now)
	if m != nil && Summary(w.h.s).Movable == 0 {
		w.t.Fatalf("the row counts %d movable units, the question is %v", Summary(w.h.s).Movable, m)
	}
	if m == nil {
		w.t.Skip()
	}
	plans, rejections, attempts := w.h.s.plans, w.h.s.rejections, w.h.s.attempts
	c := &messages.Reassign{Version: w.h.s.Version, Plan: &messages.Plan{Decision: &messages.DecisionRecord{Strategy: "sweep"}}}
	stale := rapid.IntRange(0, 5).Draw(w.t, "late") == 0
	if stale {
		c.Version--
	}
	id := rapid.SampledFrom(w.siteIDs).Draw(w.t, "to")
	for _, n := range m.Question.Needs {
		if m.Question.Partial != partialComplete {
			id = rapid.SampledFrom(w.siteIDs).Draw(w.t, "to")
		}
		at := slices.IndexFunc(c.Plan.Assignments, func(a *messages.Assignment) bool { return a.Site == id })
		if at < 0 {
			at = len(c.Plan.Assignments)
			c.Plan.Assignments = append(c.Plan.Assignments, &messages.Assignment{Site: id, Manual: w.sites[id].manual})
		}
		c.Plan.Assignments[at].Lines = append(c.Plan.Assignments[at].Lines, &messages.LineQuantity{Line: n.Line, Quantity: n.Quantity})
	}
	reply := w.step(c)
	if refused := reply.GetFailure() != nil; refused != stale || stale && w.h.s.plans != plans {
		w.t.Fatalf("a sweep (late: %v) was answered %v", stale, reply)
	}
	if w.h.s.rejections != rejections || w.h.s.attempts != attempts {
		w.t.Fatal("a sweep counts as an attempt or a rejection")
	}
	if rapid.Bool().Draw(w.t, "again") {
		w.network = append(w.network, c)
	}
}

func (w *world) people() {
	switch rapid.IntRange(0, 7).Draw(w.t, "person") {
	case 0:
		w.step(&messages.CancelOrder{Reason: "customer"})
	case 1:
		w.step(&messages.HoldOrder{Reason: "customer_request", UntilMs: w.h.now + 3_600_000})
	case 2:
		w.step(&messages.HoldOrder{Reason: holdOutOfStock})
	case 3, 4:
		w.step(&messages.ReleaseOrder{})
	case 5:
		w.step(&messages.ReleaseOrder{Exception: exceptionUnroutable})
	case 6:
		w.step(&messages.ReleaseOrder{Exception: exceptionMismatch})
	case 7:
		w.step(&messages.GetOrder{Timeline: true, Decisions: true})
	}
}

// pass moves the clock; buckets expire holds, and the order's own timers ring.
func (w *world) pass(minutes int64) {
	w.h.now += minutes * 60_000
	for _, b := range w.buckets {
		b.expire(w.h.now)
	}
	w.h.local(w.route)
	w.check()
}

// finish is the kind world: everything arrives, a site with all stock stands by, sites work, people let go. The order must end.
func (w *world) finish() {
	w.fair = true
	w.addSite("Z", false, func() int64 { return 1_000_000 })
	for range 300 {
		Summary(w.h.s)
		if w.h.s.terminal() && len(w.network) == 0 && len(w.due()) == 0 {
			w.ended()
			return
		}
		for _, hold := range slices.Clone(w.h.s.holds) {
			if hold.Actor != bySystem { // the order's own hold must go by itself when stock is there
				w.step(&messages.ReleaseOrder{Reason: hold.Reason})
			}
		}
		if len(w.h.s.exceptions) > 0 {
			w.step(&messages.ReleaseOrder{Exception: exceptionUnroutable})
			w.step(&messages.ReleaseOrder{Exception: exceptionMismatch})
		}
		for _, task := range w.due() {
			w.network = append(w.network, task)
		}
		for len(w.network) > 0 {
			x := w.network[0]
			w.network = w.network[1:]
			w.deliver(x)
		}
		for _, id := range w.siteIDs {
			for _, work := range w.sites[id].ids {
				w.sites[id].advance(work)
			}
			for len(w.sites[id].notices) > 0 {
				w.deliver(w.sites[id].notices[0])
			}
		}
		w.pass(1)
		for _, sku := range Waits(w.h.s) {
			w.step(&messages.StockArrived{Sku: sku, Site: "Z"})
		}
	}
	w.t.Fatalf("the order does not end: %s %s\n%s", w.h.s.life, Status(w.h.s), strings.Join(names(w.h.tasks()), "\n"))
}

// ended: what is not cancelled was delivered, by sites that hold just that; every reservation ever made was shipped or freed.
func (w *world) ended() {
	w.pass(60) // what a duplicate left behind expires
	delivered := make([]int64, len(w.h.s.lines))
	for _, id := range w.siteIDs {
		for fo, work := range w.sites[id].work {
			if work.holds() && rank(work.status) != rankDelivered {
				w.t.Fatalf("the order has ended and site %s still works on %s (%v)", id, fo, work.status)
			}
			if work.holds() {
				for line, n := range work.units {
					delivered[line] += n
				}
			}
		}
	}
	for i, u := range View(w.h.s, nil).Units {
		if u.Delivered != delivered[i] || u.Delivered+u.Cancelled != w.h.s.order.Lines[i].Quantity {
			w.t.Fatalf("line %d ended with %v, sites delivered %d", i, u, delivered[i])
		}
	}
	for key, b := range w.buckets {
		for id, r := range b.claims {
			if r.active() {
				w.t.Fatalf("the order has ended and %s still holds %s (%s %d of %d)", key, id, r.status, r.shipped, r.quantity)
			}
		}
	}
}
