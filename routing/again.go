package routing

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"orderyard/messages"
)

// serviceDefault is what an order without a service asks for.
const serviceDefault = "standard"

// Question is what an order asks routing: all of its units, at the time it was placed. It is the dry run's question, and the ground on which a
// recorded one is asked again.
func Question(o *messages.Order, cause string) *messages.PlanRequest {
	req := &messages.PlanRequest{
		OrderId: messages.OrderID(o.Channel, o.ExternalId), PlanNo: 1, Cause: cause, ShipTo: o.ShipTo, Service: cmp.Or(o.ShippingService, serviceDefault),
		Channel: o.Channel, Partial: cmp.Or(o.Partial, partialSplit), SplitsLeft: o.SplitsMax, PlacedAtMs: o.PlacedAtMs, Labels: o.Labels,
		Priority: o.Priority, DeliverBy: o.DeliverBy, Currency: o.Currency, Attributes: o.Attributes,
	}
	for i, l := range o.Lines {
		req.Total += l.UnitPrice * l.Quantity
		req.Needs = append(req.Needs, &messages.LineNeed{
			Line: uint32(i), Sku: l.Sku, Quantity: l.Quantity, Labels: l.Labels, Group: l.Group, Id: l.Id, UnitPrice: l.UnitPrice, Attributes: l.Attributes,
		})
	}
	req.Total += o.ShippingAmount + o.Tax - o.Discount
	return req
}

// Again is the question that a recorded plan of the order answered. It is an error when the record holds no inputs: those of the built-in rules do
// not.
func Again(o *messages.Order, p *messages.Plan) (req *messages.PlanRequest, now int64, err error) {
	in := p.GetDecision().GetInputs()
	if in == nil {
		return nil, 0, fmt.Errorf("plan %d holds no inputs: only decisions by operators' rules can be made again", p.GetPlanNo())
	}
	req = Question(o, p.Cause)
	req.PlanNo, req.Partial, req.SplitsLeft, req.Queue = p.PlanNo, in.Partial, in.SplitsLeft, in.Queue
	req.Exclusions, req.Known, req.SitesUsed, req.Preselected, req.PlacedAtMs = in.Exclusions, in.Known, in.SitesUsed, in.Preselected, in.PlacedAtMs
	all := req.Needs
	req.Needs = nil
	for _, q := range in.Needs {
		if int(q.Line) >= len(all) {
			return nil, 0, fmt.Errorf("plan %d asks about line %d, which the order does not have", p.PlanNo, q.Line)
		}
		n := all[q.Line]
		n.Quantity = q.Quantity
		req.Needs = append(req.Needs, n)
	}
	return req, in.NowMs, nil
}

// Recorded is the view that a decision was made in: the sites of its record with their numbers of then, and what does not change from decision to
// decision (place, calendar, cost) as the view beside it has it. Change it to ask what would have been.
type Recorded struct {
	ids   []string
	sites map[string]*Site
	stock map[string][]SiteStock

	prices recordedPrices // nil = none were known
}

// RecordedView makes the view of a plan's record. Sites that were not asked by rules (suspended, paused, excluded) are as they were then.
func RecordedView(req *messages.PlanRequest, p *messages.Plan, today View) (*Recorded, error) {
	v := &Recorded{sites: map[string]*Site{}, stock: map[string][]SiteStock{}}
	skus := skusOf(req)
	if p.GetDecision().GetPriced() {
		v.prices = recordedPrices{}
	}
	for _, c := range p.GetDecision().GetCandidates() {
		now, ok := today.Site(c.Site)
		if !ok {
			return nil, fmt.Errorf("site %s of the record is not known any more", c.Site)
		}
		s := *now
		s.Recorded, s.Status, s.PausedUntil = c, statusOnline, 0
		switch c.Filter {
		case testNames[testStatus]:
			s.Status = c.Actual
		case testNames[testPaused]:
			s.PausedUntil = p.Decision.Inputs.GetNowMs() + 1
			if at, err := time.Parse(time.RFC3339, strings.TrimPrefix(c.Actual, pausedUntil)); err == nil {
				s.PausedUntil = max(s.PausedUntil, at.UnixMilli()+999) // within the second that the record names
			}
		}
		v.ids, v.sites[c.Site] = append(v.ids, c.Site), &s
		for k, atp := range c.Stock {
			if k < len(skus) && atp != 0 {
				v.SetStock(skus[k], c.Site, atp)
			}
		}
		v.prices.note(skus, c.Site, c.Prices)
	}
	if err := v.others(p.GetDecision(), skus, today); err != nil {
		return nil, err
	}
	slices.Sort(v.ids)
	return v, nil
}

// others adds the sites that the record keeps only the numbers of.
func (v *Recorded) others(d *messages.DecisionRecord, skus []string, today View) error {
	width := seenWidth(len(skus), d.GetPriced())
	if len(d.GetOtherNumbers()) != width*len(d.GetOthers()) {
		return fmt.Errorf("the record holds %d numbers of %d further sites, %d each are needed", len(d.GetOtherNumbers()), len(d.GetOthers()), width)
	}
	for i, id := range d.GetOthers() {
		now, ok := today.Site(id)
		if !ok {
			return fmt.Errorf("site %s of the record is not known any more", id)
		}
		numbers := d.OtherNumbers[i*width : (i+1)*width]
		seen := numbers[width-seenNumbers:]
		v.prices.note(skus, id, numbers[len(skus):width-seenNumbers])
		s := *now
		s.Status, s.PausedUntil = statusOnline, 0
		s.Recorded = &messages.Candidate{Load: seen[0], CapacityLeft: seen[1], OrdersInWindow: seen[2], OrderLimit: seen[3]}
		v.ids, v.sites[id] = append(v.ids, id), &s
		for k, sku := range skus {
			if numbers[k] != 0 {
				v.SetStock(sku, id, numbers[k])
			}
		}
	}
	return nil
}

// skusOf are the SKUs of a question in the order that records keep their stock: by line.
func skusOf(req *messages.PlanRequest) []string {
	needs := slices.Clone(req.Needs)
	slices.SortStableFunc(needs, func(a, b *messages.LineNeed) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Sku, b.Sku), cmp.Compare(a.Quantity, b.Quantity))
	})
	var skus []string
	for _, n := range needs {
		if n.Quantity > 0 && !slices.Contains(skus, n.Sku) {
			skus = append(skus, n.Sku)
		}
	}
	return skus
}

// Stock implements View.
func (v *Recorded) Stock(sku string) []SiteStock { return v.stock[sku] }

// Site implements View.
func (v *Recorded) Site(id string) (*Site, bool) { s, ok := v.sites[id]; return s, ok }

// SiteIDs implements View.
func (v *Recorded) SiteIDs() []string { return v.ids }

// SetStock changes what a site has.
func (v *Recorded) SetStock(sku, site string, atp int64) {
	rows := v.stock[sku]
	i, found := slices.BinarySearchFunc(rows, site, func(s SiteStock, id string) int { return cmp.Compare(s.Site, id) })
	if found {
		rows[i].ATP = atp
		return
	}
	v.stock[sku] = slices.Insert(rows, i, SiteStock{Site: site, ATP: atp})
}

// ATP is what a site has of a SKU.
func (v *Recorded) ATP(sku, site string) int64 {
	for _, s := range v.stock[sku] {
		if s.Site == site {
			return s.ATP
		}
	}
	return 0
}

// Decide is Route for a plan's record: the same order, the same numbers, the same time. With the rules that decided then it gives the same plan.
func Decide(o *messages.Order, p *messages.Plan, today View, rules *Rules) (*messages.Plan, error) {
	req, now, err := Again(o, p)
	if err != nil {
		return nil, err
	}
	v, err := RecordedView(req, p, today)
	if err != nil {
		return nil, err
	}
	return Route(req, v, rules, now), nil
}

// Differs says in what a decision made again is another one than the recorded plan; "" = in nothing. How long it took is no part of it, and what the
// order made of the plan (it may keep less, or ask people first) none either: evidence and objective are compared whole, assignments where the
// order kept all of them.
func Differs(recorded, again *messages.Plan) string {
	a, b := recorded.GetDecision(), again.GetDecision()
	b.DurationUs = a.GetDurationUs()
	switch {
	case recorded.RulesVersion != again.RulesVersion:
		return fmt.Sprintf("rules %s, then %s", again.RulesVersion, recorded.RulesVersion)
	case !slices.Equal(a.GetObjective(), b.GetObjective()):
		return fmt.Sprintf("objective %v, then %v", b.GetObjective(), a.GetObjective())
	}
	x, errX := a.MarshalVT()
	y, errY := b.MarshalVT()
	if errX != nil || errY != nil || !bytes.Equal(x, y) {
		return "the evidence is another"
	}
	if len(recorded.Assignments) != len(again.Assignments) || len(recorded.Short) != len(again.Short) {
		return "" // the order kept less
	}
	for i, s := range recorded.Assignments {
		t := again.Assignments[i]
		same := func(m, n *messages.LineQuantity) bool { return m.Line == n.Line && m.Quantity == n.Quantity }
		if s.Site != t.Site || !slices.EqualFunc(s.Lines, t.Lines, same) {
			return fmt.Sprintf("%s gives otherwise than %s then", t.Site, s.Site)
		}
	}
	return ""
}
