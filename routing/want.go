package routing

import (
	"fmt"
	"slices"
	"strconv"

	"orderyard/messages"
	"orderyard/routing/ruleset"
)

// Change is one thing that would have to be otherwise for a site to win.
type Change struct {
	What     string // "ATP of SKU-1", "capacity left", "cost per order" …
	Op       string // ">=", "<=", "="
	Was, Now string
}

func (c Change) String() string { return fmt.Sprintf("%s %s %s (was %s)", c.What, c.Op, c.Now, c.Was) }

// Flip is the answer to "what would have to be otherwise for this site to win": the changes, none of which can be left out or be made smaller by
// itself, and the plan that follows from them.
type Flip struct {
	Site    string
	Won     bool // it gives in the plan as it is: nothing is to be changed
	Changes []Change
	Plan    *messages.Plan
	Reason  string // when no change of the kinds below makes it win
}

// dial is something about a site that can be turned.
type dial struct {
	what     string
	op       string
	was, now int64
	words    [2]string // instead of numbers: before and after
	set      func(v int64)
}

const (
	flipStepsMax = 12      // dials turned for one answer
	flipATPMax   = 1 << 40 // far more than any order needs
)

// Want finds the smallest change that makes a site give in the plan of a recorded decision. It turns, in this order, what the site failed by until it
// passes, then its stock, its cost and its load until it wins; then it turns every dial back as far as the site still wins. Each answer is
// decided again by Route, so what it says is what would have happened. The view and the question are changed and changed back.
func Want(req *messages.PlanRequest, v *Recorded, rules *Rules, now int64, site string) Flip {
	f, _ := WantUntil(req, v, rules, now, site, func() bool { return false })
	return f
}

// WantUntil is Want for who does not wait for ever: the answer may take several hundred decisions. It asks over between two of them, and when it
// is, there is no answer.
func WantUntil(req *messages.PlanRequest, v *Recorded, rules *Rules, now int64, site string, over func() bool) (f Flip, ok bool) {
	f = Flip{Site: site}
	s, ok := v.sites[site]
	if !ok {
		f.Reason = "the record does not name the site: nobody asked it, or it had nothing of the order"
		return f, true
	}
	w := newWanter(req, v, rules, now, s)
	defer w.restore()
	w.over = over
	if f.Plan = w.route(); w.wins(f.Plan) {
		f.Won = true
		return f, true
	}
	if f.Reason = w.turn(); f.Reason != "" || w.gaveUp {
		return f, !w.gaveUp
	}
	if w.shrink(); w.gaveUp {
		return f, false
	}
	f.Plan = w.route()
	for i := range w.dials {
		if d := &w.dials[i]; d.now != d.was {
			f.Changes = append(f.Changes, d.change())
		}
	}
	return f, true
}

func (d *dial) change() Change {
	c := Change{What: d.what, Op: d.op, Was: strconv.FormatInt(d.was, 10), Now: strconv.FormatInt(d.now, 10)}
	if d.words[0] != "" {
		c.Was, c.Now = d.words[0], d.words[1]
	}
	return c
}

// wanter turns the dials of one site.
type wanter struct {
	req     *messages.PlanRequest
	v       *Recorded
	rules   *Rules
	now     int64
	site    *Site
	dials   []dial
	request []*messages.Exclusion
	known   []*messages.KnownStock
	over    func() bool
	gaveUp  bool
}

// stop says that nobody waits any more, once and for all.
func (w *wanter) stop() bool {
	w.gaveUp = w.gaveUp || w.over()
	return w.gaveUp
}

// newWanter begins to ask about a site. The stock of a record is what was left after buckets had told theirs; asked with more, they would tell more, so
// what they told is no part of the question until restore.
func newWanter(req *messages.PlanRequest, v *Recorded, rules *Rules, now int64, s *Site) *wanter {
	c := s.Recorded // the record itself stays as it is
	s.Recorded = &messages.Candidate{Load: c.GetLoad(), CapacityLeft: c.GetCapacityLeft(), OrdersInWindow: c.GetOrdersInWindow(), OrderLimit: c.GetOrderLimit()}
	w := &wanter{req: req, v: v, rules: rules, now: now, site: s, request: req.Exclusions, known: req.Known, over: func() bool { return false }}
	req.Known = nil
	return w
}

func (w *wanter) route() *messages.Plan { return Route(w.req, w.v, w.rules, w.now) }

func (w *wanter) wins(p *messages.Plan) bool {
	return slices.ContainsFunc(p.Assignments, func(a *messages.Assignment) bool { return a.Site == w.site.ID })
}

// restore puts everything back.
func (w *wanter) restore() {
	for i := range w.dials {
		w.dials[i].set(w.dials[i].was)
	}
	w.req.Exclusions, w.req.Known = w.request, w.known
}

// turn turns one dial after the other until the site wins; it says why when none is left.
func (w *wanter) turn() string {
	for range flipStepsMax {
		if w.stop() {
			return ""
		}
		plan := w.route()
		if w.wins(plan) {
			return ""
		}
		c := w.candidate(plan)
		d, why := w.next(c, plan)
		if d == nil {
			return why
		}
		d.set(d.now)
		w.dials = append(w.dials, *d)
	}
	return "too many things would have to be otherwise"
}

// candidate is what the record says of the site; nil when it is not named.
func (w *wanter) candidate(p *messages.Plan) *messages.Candidate {
	for _, c := range p.Decision.GetCandidates() {
		if c.Site == w.site.ID {
			return c
		}
	}
	return nil
}

// next is the dial to turn for what the site failed by, or for what it lost by.
func (w *wanter) next(c *messages.Candidate, plan *messages.Plan) (*dial, string) {
	if c == nil {
		return nil, "the record names no more sites"
	}
	switch c.Filter {
	case "":
		return w.better(c, plan)
	case testNames[testStatus]:
		return w.statusDial(), ""
	case testNames[testPaused]:
		return w.flag("pause", "over", c.Actual, func(on int64) { w.site.PausedUntil = pick(on, 0, w.now+1) }), ""
	case testNames[testExcluded]:
		return w.exclusionDial(), ""
	case "stock", "safety_stock", "weeks_of_supply", "keep_together", "ship_threshold", "part_value_min":
		if d := w.stockDial(); d != nil {
			return d, ""
		}
		return nil, fmt.Sprintf("it fails %s with all the stock in the world: expected %s, actual %s", c.Filter, c.Expected, c.Actual)
	case "pick_capacity":
		return w.number("capacity left", ">=", heard(w.seen().CapacityLeft), 1<<30, func(n ruleset.Number) { w.seen().CapacityLeft = told(n) }), ""
	case "order_limit":
		return w.number("orders in the window", "<=", heard(w.seen().OrdersInWindow), 0, func(n ruleset.Number) { w.seen().OrdersInWindow = told(n) }), ""
	}
	return nil, fmt.Sprintf("it fails %s: expected %s, actual %s", c.Filter, c.Expected, c.Actual)
}

// seen are the numbers recorded of the site, as its own copy.
func (w *wanter) seen() *messages.Candidate { return w.site.Recorded }

func pick(on, yes, no int64) int64 {
	if on != 0 {
		return yes
	}
	return no
}

// flag is a dial with two positions.
func (w *wanter) flag(what, wanted, was string, set func(on int64)) *dial {
	return &dial{what: what, op: "=", was: 0, now: 1, words: [2]string{was, wanted}, set: set}
}

func (w *wanter) statusDial() *dial {
	was := w.site.Status
	return w.flag("status", statusOnline, was, func(on int64) {
		if w.site.Status = was; on != 0 {
			w.site.Status = statusOnline
		}
	})
}

func (w *wanter) exclusionDial() *dial {
	all := w.req.Exclusions
	return w.flag("exclusion", "lifted", "in force", func(on int64) {
		if w.req.Exclusions = all; on != 0 {
			w.req.Exclusions = slices.DeleteFunc(slices.Clone(all), func(e *messages.Exclusion) bool { return e.Site == w.site.ID })
		}
	})
}

// number is a dial that goes far enough at once; shrink turns it back.
func (w *wanter) number(what, op string, was ruleset.Number, far int64, set func(ruleset.Number)) *dial {
	d := &dial{what: what, op: op, was: was.Value, now: far}
	if !was.Known {
		d.words = [2]string{"unknown", strconv.FormatInt(far, 10)}
	}
	d.set = func(v int64) { set(ruleset.Number{Value: v, Known: v != d.was || was.Known}) }
	return d
}

// stockDial raises the stock of the SKU of the order that the site has least of, measured by what is needed.
func (w *wanter) stockDial() *dial {
	needs := map[string]int64{}
	for _, n := range w.req.Needs {
		needs[n.Sku] += n.Quantity
	}
	for _, sku := range skusOf(w.req) {
		if w.turned("ATP of " + sku) {
			continue
		}
		if was := w.v.ATP(sku, w.site.ID); was < flipATPMax {
			return &dial{what: "ATP of " + sku, op: ">=", was: was, now: flipATPMax, set: func(v int64) { w.v.SetStock(sku, w.site.ID, v) }}
		}
	}
	return nil
}

func (w *wanter) turned(what string) bool {
	return slices.ContainsFunc(w.dials, func(d dial) bool { return d.what == what })
}

// better is the next dial of a site that passes and loses: what it has, what it costs, how busy it is, how many parts an order may have.
func (w *wanter) better(c *messages.Candidate, plan *messages.Plan) (*dial, string) {
	if d := w.stockDial(); d != nil {
		return d, ""
	}
	if cost := w.site.CostPerOrder; cost > 0 && !w.turned("cost per order") {
		return &dial{what: "cost per order", op: "<=", was: cost, now: 0, set: func(v int64) { w.site.CostPerOrder = v }}, ""
	}
	if cost := w.site.CostPerUnit; cost > 0 && !w.turned("cost per unit") {
		return &dial{what: "cost per unit", op: "<=", was: cost, now: 0, set: func(v int64) { w.site.CostPerUnit = v }}, ""
	}
	if load := heard(w.seen().Load); load.Known && load.Value > 0 && !w.turned("load") {
		return w.number("load in permille", "<=", load, 0, func(n ruleset.Number) { w.seen().Load = told(n) }), ""
	}
	if left := heard(w.seen().CapacityLeft); left.Known && !w.turned("capacity left") {
		return w.number("capacity left", ">=", left, 1<<30, func(n ruleset.Number) { w.seen().CapacityLeft = told(n) }), ""
	}
	return nil, "no stock, cost, load or capacity makes it win" + lostBy(c, plan)
}

// lostBy names the first score by which a site with everything in its favor still loses.
func lostBy(c *messages.Candidate, plan *messages.Plan) string {
	d := plan.Decision
	for _, other := range d.Candidates {
		if !other.Chosen {
			continue
		}
		for k := range min(len(c.Scores), len(other.Scores), len(d.Scores)) {
			if c.Scores[k] != other.Scores[k] && !slices.Contains(d.Muted, d.Scores[k]) {
				return fmt.Sprintf(": it has %s %d, %s has %d", d.Scores[k], c.Scores[k], other.Site, other.Scores[k])
			}
		}
	}
	return ""
}

// shrinkRounds bounds how often all dials are turned back: what one of them needed may be needless once another one is smaller.
const shrinkRounds = 8

// shrink turns every dial back as far as the site still wins, those turned last first, until none can be turned back any further: what was not
// needed ends where it began.
func (w *wanter) shrink() {
	for range shrinkRounds {
		changed := false
		for i := len(w.dials) - 1; i >= 0; i-- {
			changed = !w.stop() && w.turnBack(&w.dials[i]) || changed
		}
		if !changed {
			return
		}
	}
}

// turnBack finds the smallest turn of one dial with which the site wins, beside the others as they are.
func (w *wanter) turnBack(d *dial) (changed bool) {
	if d.now == d.was {
		return false
	}
	before, low, high := d.now, d.was, d.now // at high it wins
	d.set(low)
	if w.wins(w.route()) {
		d.now = low
		return true
	}
	for (high-low > 1 || low-high > 1) && !w.stop() {
		middle := low + (high-low)/2
		if near := high + step(high, low); before == high && high-low < flipATPMax/2 && low-high < flipATPMax/2 {
			middle = near // it was turned back before: look next to it first
		}
		d.set(middle)
		if w.wins(w.route()) {
			high = middle
		} else {
			low = middle
		}
	}
	d.set(high)
	d.now = high
	if d.words[0] == "unknown" {
		d.words[1] = strconv.FormatInt(high, 10)
	}
	return d.now != before
}

// step is one towards another number.
func step(from, to int64) int64 {
	if to < from {
		return -1
	}
	return 1
}
