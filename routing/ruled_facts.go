package routing

import (
	"bytes"
	"encoding/json"
	"slices"
	"time"

	"orderyard/messages"
	"orderyard/routing/geo"
	"orderyard/routing/ruleset"
)

// ground is where the order goes.
type ground struct {
	point  geo.Point
	offMap bool
}

// readOrder puts the request into the rules' words: lines in the order of their numbers, so that their order in the request does not matter.
func (r *ruled) readOrder() {
	req, own := r.req, &r.rules.Set.Set.Attributes
	r.lines, r.left = r.lines[:0], r.left[:0]
	for _, n := range req.Needs {
		if n.Quantity <= 0 {
			continue
		}
		r.lines = append(r.lines, ruleset.Line{
			ID: n.Id, SKU: n.Sku, Quantity: min(n.Quantity, unitsMax), UnitPrice: n.UnitPrice, Labels: n.Labels, Group: n.Group, Number: n.Line,
			Attributes: ownFields(n.Attributes, own.Line),
		})
	}
	slices.SortStableFunc(r.lines, func(a, b ruleset.Line) int {
		switch {
		case a.Number != b.Number:
			return int(int64(a.Number) - int64(b.Number))
		case a.SKU != b.SKU:
			if a.SKU < b.SKU {
				return -1
			}
			return 1
		}
		return int(min(max(a.Quantity-b.Quantity, -1), 1))
	})
	for i := range r.lines {
		r.left = append(r.left, r.lines[i].Quantity)
	}
	to := req.ShipTo
	r.order = ruleset.Order{
		ID: req.OrderId, Channel: req.Channel, Queue: req.Queue, Service: req.Service, Country: to.GetCountry(), Region: to.GetRegion(),
		PostalCode: to.GetPostalCode(), Currency: req.Currency, Labels: req.Labels, Priority: int64(req.Priority), Total: req.Total, Lines: r.lines,
		DeliverBy: deliverBy(req.DeliverBy), PlacedAt: ruleset.Number{Value: req.PlacedAtMs, Known: req.PlacedAtMs > 0}, Preselected: req.Preselected,
		Cause: req.Cause, Attempt: int64(req.PlanNo), Attributes: ownFields(req.Attributes, own.Order),
	}
	r.ground = ground{}
	if to.GetHasPosition() {
		r.ground.point = geo.PointOf(to.Lat, to.Lon)
	} else if lat, lon, ok := geo.Locate(to.GetCountry(), to.GetPostalCode()); ok {
		r.ground.point = geo.PointOf(lat, lon)
	}
	r.ground.offMap = r.ground.point.IsZero()
}

// look reads the sites and their stock, and makes candidates of those that rules are to be asked about.
func (r *ruled) look() {
	ids := r.view.SiteIDs()
	r.places = resize(r.places, len(ids))[:0]
	for _, id := range ids {
		s, ok := r.view.Site(id)
		if !ok {
			continue
		}
		p := ruledPlace{site: s, candidate: -1, used: slices.Contains(r.req.SitesUsed, id)}
		switch {
		case s.Status != statusOnline:
			p.fail = testStatus
		case s.PausedUntil > r.now:
			p.fail = testPaused
		}
		if !r.ground.offMap {
			at := s.Place
			if at.IsZero() {
				at = geo.PointOf(s.Lat, s.Lon)
			}
			p.meters = at.DistanceM(r.ground.point)
		}
		r.places = append(r.places, p)
	}
	r.exclude()
	if cap(r.facts) < len(r.places) || cap(r.steady) < len(r.places) {
		r.facts, r.steady = make([]ruleset.Site, len(r.places)), make([]steady, len(r.places))
	}
	r.facts, r.steady = r.facts[:len(r.places)], r.steady[:len(r.places)]
	r.candidates, r.at = r.candidates[:0], r.at[:0]
	for i := range r.places {
		p := &r.places[i]
		if p.fail != testNone {
			continue
		}
		p.candidate = int32(len(r.candidates))
		r.takeFacts(i, p.site)
		c := ruleset.Candidate{Site: &r.facts[i], Used: p.used}
		if !r.ground.offMap {
			c.DistanceM = ruleset.Known(p.meters)
		}
		r.candidates, r.at = append(r.candidates, c), append(r.at, int32(i))
	}
	r.readStock()
}

// takeFacts fills in the facts of a place, unless they stand there already.
func (r *ruled) takeFacts(i int, s *Site) {
	if k := &r.steady[i]; k.site != s || r.now < k.from || r.now >= k.until {
		s.FactsAt(r.now, &r.facts[i])
		*k = steady{s, r.now, s.steadyUntil(r.now)}
	}
	if s.Recorded != nil {
		recall(&r.facts[i], s.Recorded)
		r.steady[i] = steady{}
	}
}

// recall puts the numbers of a record in the place of today's.
func recall(f *ruleset.Site, c *messages.Candidate) {
	f.LoadPermille, f.CapacityLeft = heard(c.Load), heard(c.CapacityLeft)
	f.OrdersInWindow, f.OrderLimit = heard(c.OrdersInWindow), heard(c.OrderLimit)
}

// place finds a site by its id.
func (r *ruled) place(id string) *ruledPlace {
	i, ok := slices.BinarySearchFunc(r.places, id, func(p ruledPlace, id string) int {
		switch {
		case p.site.ID < id:
			return -1
		case p.site.ID > id:
			return 1
		}
		return 0
	})
	if !ok {
		return nil
	}
	return &r.places[i]
}

// exclude applies the exclusions of whole sites.
func (r *ruled) exclude() {
	for i, e := range r.req.Exclusions {
		if e.Sku != "" || !r.active(e) {
			continue
		}
		p := r.place(e.Site)
		switch {
		case p == nil:
		case p.fail == testNone:
			p.fail, p.cause = testExcluded, int32(i)
		case p.fail == testExcluded && longer(e, r.req.Exclusions[p.cause]):
			p.cause = int32(i)
		}
	}
}

func (r *ruled) active(e *messages.Exclusion) bool { return e.UntilMs == 0 || e.UntilMs > r.now }

// readStock gives every candidate its stock of the order's SKUs: the view's word, nothing where the SKU is excluded, and what a bucket has told the
// order while that is young.
func (r *ruled) readStock() {
	skus := r.run.SKUs()
	r.stock = resize(r.stock, len(r.candidates)*len(skus))
	clear(r.stock)
	for k, sku := range skus {
		at := 0
		for _, s := range r.view.Stock(sku) {
			for at < len(r.places) && r.places[at].site.ID != s.Site && r.places[at].site.ID < s.Site {
				at++ // both are sorted; equal texts are told apart from others fastest
			}
			if at == len(r.places) {
				break
			}
			if p := &r.places[at]; p.site.ID == s.Site {
				if at++; p.candidate >= 0 {
					r.stock[int(p.candidate)*len(skus)+k] = ruleset.Stock{ATP: max(s.ATP, 0)}
				}
			}
		}
	}
	for _, e := range r.req.Exclusions {
		if e.Sku != "" && r.active(e) {
			r.cap(skus, e.Site, e.Sku, 0)
		}
	}
	for i, k := range r.req.Known {
		if r.now-k.AtMs < r.rules.KnownForMs && !superseded(r.req.Known, i) {
			r.cap(skus, k.Site, k.Sku, max(k.Atp, 0))
		}
	}
	for i := range r.candidates {
		r.candidates[i].Stock = r.stock[i*len(skus) : (i+1)*len(skus)]
	}
	r.readPrices(skus)
}

func (r *ruled) cap(skus []string, site, sku string, most int64) {
	k, p := slices.Index(skus, sku), r.place(site)
	if k >= 0 && p != nil && p.candidate >= 0 {
		s := &r.stock[int(p.candidate)*len(skus)+k]
		s.ATP = min(s.ATP, most)
	}
}

// dayMs is a day.
const dayMs = 24 * 60 * 60 * 1000

// deliverBy is the end of the promised day.
func deliverBy(day string) ruleset.Number {
	if day == "" {
		return ruleset.Number{}
	}
	at, err := time.Parse(time.DateOnly, day)
	if err != nil {
		return ruleset.Number{}
	}
	return ruleset.Known(at.UnixMilli() + dayMs)
}

// ownFields takes the fields that a rule set declares out of a JSON object: texts, whole numbers and truths. Everything else stays unknown.
func ownFields(object []byte, declared []ruleset.Attribute) map[string]any {
	if len(declared) == 0 || len(object) == 0 {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(object))
	d.UseNumber()
	var all map[string]any
	if d.Decode(&all) != nil {
		return nil
	}
	own := make(map[string]any, len(declared))
	for _, a := range declared {
		switch v := all[a.Name].(type) {
		case string, bool:
			own[a.Name] = v
		case json.Number:
			if n, err := v.Int64(); err == nil {
				own[a.Name] = n
			}
		}
	}
	return own
}
