package sim

import (
	"fmt"
	"slices"

	"orderyard/actors/entity"
	"orderyard/cluster"
	"orderyard/messages"
)

// load is the world around the yard: channels, carts, stock clerks and the sites' people.
type load struct {
	client
	sites   []string
	skus    []string
	counted map[string]bool // SKUs of which a count was acknowledged
	acked   map[string]bool // order ids whose placement was acknowledged
	holds   map[string]bool // cart reservations that were granted
	manual  map[string]bool // sites whose people answer
	serial  int
	calm    bool  // the faults are over, everybody helps to finish
	over    int64 // when the calm began
	rested  bool
}

func newLoad(w *world) *load {
	l := &load{
		client: client{w: w}, counted: map[string]bool{}, acked: map[string]bool{}, holds: map[string]bool{}, manual: map[string]bool{},
	}
	for i := range w.between(2, 4) {
		l.sites = append(l.sites, fmt.Sprintf("S%d", i+1))
	}
	for i := range w.between(2, 4) {
		l.skus = append(l.skus, fmt.Sprintf("sku %d", i+1))
	}
	return l
}

func (l *load) id(what string) string {
	l.serial++
	return fmt.Sprintf("%s-%d", what, l.serial)
}

func (l *load) begin() {
	for i, site := range l.sites {
		doc := &messages.SiteDoc{
			Id: site, Name: site, Type: "dc", Country: "US", Lat: 35 + float64(i), Lon: -100 + 5*float64(i), Accept: "auto", Status: "online",
			Capacity: &messages.SiteCapacity{PerHour: l.w.between(5, 60), PerDay: l.w.between(10, 200), OpenMax: l.w.between(3, 40)},
		}
		if l.w.chance(30) {
			doc.Accept, doc.AnswerWithinMs = "manual", 30_000
			l.manual[site] = true
		}
		l.ask(l.id("apply"), messages.SiteRef(site), &messages.ApplySite{Doc: doc}, nil)
		for _, sku := range l.skus {
			if l.w.chance(85) {
				l.count(sku, site, l.w.between(0, 15))
			}
		}
		l.fleet(site)
	}
	busy := l.w.o.busy()
	for range l.w.o.Orders {
		l.w.after(l.w.between(warmUpMs, busy), l.placeOne)
	}
	for range 8 {
		l.w.after(l.w.between(warmUpMs, busy), l.cart)
		l.w.after(l.w.between(warmUpMs, busy), l.clerk)
	}
	for range 3 {
		l.reader()
	}
	l.w.after(busy+1_500, l.settleDown)
	if !l.w.o.NoSweeps {
		l.w.every(l.pace(150, 400), func() bool { l.sweep(); return !l.calm })
	}
}

// pace is between two looks of somebody: longer when a day is to pass.
func (l *load) pace(low, high int64) int64 {
	slow := l.w.o.busy() / busyMs
	return l.w.between(low*slow, high*slow)
}

func (l *load) count(sku, site string, n int64) {
	l.ask(l.id("count"), messages.BucketRef(sku, site), &messages.SetStock{Sku: sku, Site: site, OnHand: n}, func(r *messages.Reply) {
		if r.GetFailure() == nil {
			l.counted[sku] = true
		}
	})
}

func (l *load) pick(list []string) string { return list[l.w.rng.IntN(len(list))] }

// order makes an order with random lines and policies.
func (l *load) order(external string) *messages.Order {
	o := &messages.Order{
		Channel: "web", ExternalId: external, Currency: "USD", PlacedAtMs: l.w.now, ShippingService: "standard",
		ShipTo:   &messages.Address{Name: "B", Country: "US", PostalCode: "80202", HasPosition: true, Lat: 39.7, Lon: -105},
		Partial:  l.pick([]string{"", "split", "complete_only", "ship_available"}),
		OnShort:  l.pick([]string{"", "backorder", "backorder", "cancel", "hold"}),
		Priority: int32(l.w.rng.IntN(3)),
	}
	for i := range l.w.between(1, 3) {
		o.Lines = append(o.Lines, &messages.OrderLine{Id: fmt.Sprint(i + 1), Sku: l.pick(l.skus), Quantity: l.w.between(1, 4), UnitPrice: 100})
	}
	return o
}

// placeOne places an order, sometimes twice at once, sometimes with other content under the same id; later it may be held or cancelled.
func (l *load) placeOne() {
	external := l.id("o")
	place := &messages.PlaceOrder{Order: l.order(external)}
	for _, line := range place.Order.Lines {
		if !l.counted[line.Sku] {
			l.w.after(1_000, l.placeOne) // nobody was told yet that it exists
			return
		}
	}
	id := messages.OrderID("web", external)
	copies := 1
	if l.w.chance(15) {
		copies = 3
	}
	for range copies {
		l.ask("place/"+id, messages.OrderRef(id), place, func(r *messages.Reply) { l.placedOne(id, r) })
	}
	if l.w.chance(10) {
		other := &messages.PlaceOrder{Order: l.order(external)}
		other.Order.Lines[0].Quantity += 1000
		l.w.after(l.w.between(1_000, 8_000), func() {
			if l.acked[id] {
				l.ask("place/"+id, messages.OrderRef(id), other, func(r *messages.Reply) {
					if r.GetFailure().GetCode() != messages.CodeConflict {
						l.w.violate("I6", id, "other content under the same id was answered %v", r)
					}
				})
			}
		})
	}
}

func (l *load) placedOne(id string, r *messages.Reply) {
	if f := r.GetFailure(); f != nil {
		l.w.violate("I2", id, "a valid order was refused: %v", f)
		return
	}
	if l.acked[id] {
		return
	}
	l.acked[id] = true
	l.w.note("acked %s", id)
	if slices.Contains(l.w.o.Faults, faultCancels) && l.w.chance(20) {
		l.w.after(l.w.between(0, 6_000), func() {
			l.ask(l.id("cancel"), messages.OrderRef(id), &messages.CancelOrder{Reason: "customer"}, nil)
		})
	}
	if l.w.chance(15) {
		l.w.after(l.w.between(0, 5_000), func() {
			l.ask(l.id("hold"), messages.OrderRef(id), &messages.HoldOrder{Reason: "customer_request", Actor: "sim"}, func(*messages.Reply) {
				l.w.after(l.w.between(0, 6_000), func() {
					l.ask(l.id("release"), messages.OrderRef(id), &messages.ReleaseOrder{Reason: "customer_request", Actor: "sim"}, nil)
				})
			})
		})
	}
}

// cart reserves for a while, then confirms, gives back or forgets.
func (l *load) cart() {
	sku, site, id := l.pick(l.skus), l.pick(l.sites), l.id("cart")
	to := messages.BucketRef(sku, site)
	reserve := &messages.ReserveStock{Sku: sku, Site: site, ReservationId: id, Quantity: l.w.between(1, 3), HoldForMs: l.w.between(1_000, 8_000)}
	l.ask(id+"/r", to, reserve, func(r *messages.Reply) {
		if r.GetFailure() != nil {
			return
		}
		l.holds[id] = true
		switch l.w.rng.IntN(3) {
		case 0:
			l.w.after(l.w.between(0, 6_000), func() {
				l.ask(id+"/c", to, &messages.ConfirmReservation{Sku: sku, Site: site, ReservationId: id}, func(r *messages.Reply) {
					if r.GetFailure() == nil {
						l.ask(id+"/c2", to, &messages.ConfirmReservation{Sku: sku, Site: site, ReservationId: id}, nil) // a page that is loaded again
						l.ask(id+"/s", to, &messages.ShipStock{Sku: sku, Site: site, ReservationId: id, Quantity: reserve.Quantity}, nil)
					}
				})
			})
		case 1:
			l.w.after(l.w.between(0, 6_000), func() {
				l.ask(id+"/x", to, &messages.CancelReservation{Sku: sku, Site: site, ReservationId: id}, nil)
			})
		}
	})
}

// clerk receives, adjusts, recounts, pauses and resumes.
func (l *load) clerk() {
	sku, site := l.pick(l.skus), l.pick(l.sites)
	to := messages.BucketRef(sku, site)
	switch l.w.rng.IntN(6) {
	case 0, 1:
		l.ask(l.id("receive"), to, &messages.ReceiveStock{Sku: sku, Site: site, Quantity: l.w.between(1, 10)}, nil)
	case 2:
		l.ask(l.id("adjust"), to, &messages.AdjustStock{Sku: sku, Site: site, Delta: l.w.between(-3, 3), Reason: "found"}, nil)
	case 3:
		l.ask(l.id("count"), to, &messages.SetStock{Sku: sku, Site: site, OnHand: l.w.between(0, 12), AsOfMs: l.w.now - l.w.between(0, 3_000)}, nil)
	case 4:
		l.ask(l.id("suspend"), messages.SiteRef(site), &messages.SetSiteStatus{Status: "suspended"}, func(*messages.Reply) {
			l.w.after(l.w.between(0, 8_000), func() {
				l.ask(l.id("online"), messages.SiteRef(site), &messages.SetSiteStatus{Status: "online"}, nil)
			})
		})
	case 5:
		l.ask(l.id("capacity"), messages.SiteRef(site), &messages.SetSiteCapacity{Capacity: &messages.SiteCapacity{
			PerHour: l.w.between(2, 60), PerDay: l.w.between(5, 200), OpenMax: l.w.between(2, 40)}}, nil)
	}
}

// fleet is the people of one site: they look at their work now and then and do the next thing, or refuse.
func (l *load) fleet(site string) {
	var look func()
	look = func() {
		l.ask("", messages.SiteRef(site), &messages.ListFulfillments{Limit: 200}, func(r *messages.Reply) {
			for _, fo := range r.GetSite().GetFulfillments() {
				if l.calm || l.w.chance(60) {
					l.work(site, fo)
				}
			}
		})
		if l.calm {
			l.w.after(l.w.between(500, 900), look)
		} else {
			l.w.after(l.pace(500, 1_500), look)
		}
	}
	l.w.after(l.w.between(500, 1_500), look)
}

func (l *load) work(site string, fo *messages.FulfillmentOrder) {
	can := messages.SupportedActions(fo.Status, fo.RequestStatus)
	act := &messages.SiteAction{FulfillmentId: fo.Id}
	reject := l.w.strikes(faultRefusals) && l.w.chance(10) && slices.Contains(can, "reject")
	switch {
	case reject:
		act.Action, act.Note = "reject", "sim"
		act.Reason = l.pick([]string{"not_in_stock", "mismatch", "damaged", "capacity", "closed", "carrier", "other"})
		if l.w.chance(30) {
			act.Lines = fo.Lines[:1]
		}
	default:
		act.Action = nextStep(fo, can)
	}
	if act.Action == "" {
		return
	}
	if act.Action == "ship" {
		act.Shipment = &messages.Shipment{Id: fo.Id + "/1", Carrier: "sim", Tracking: fo.Id}
	}
	l.ask(l.id(act.Action), messages.SiteRef(site), act, nil)
}

// nextStep is what a site does with work it keeps.
func nextStep(fo *messages.FulfillmentOrder, can []string) string {
	if slices.Contains(can, "accept") {
		return "accept"
	}
	switch fo.Status {
	case messages.FulfillmentStatus_FULFILLMENT_STATUS_OPEN, messages.FulfillmentStatus_FULFILLMENT_STATUS_PICKING:
		return "pick"
	case messages.FulfillmentStatus_FULFILLMENT_STATUS_PICKED:
		return "pack"
	case messages.FulfillmentStatus_FULFILLMENT_STATUS_PACKED:
		return "ship"
	case messages.FulfillmentStatus_FULFILLMENT_STATUS_SHIPPED:
		return "deliver"
	}
	return ""
}

// settleDown ends the faults and removes every reason to wait: then all must come to rest.
func (l *load) settleDown() {
	l.calm, l.over = true, l.w.now
	l.w.heal()
	l.w.note("calm")
	l.supply()
	// A refusal that was sent before, and comes late, may close a site or empty a bucket again: rightly, and then orders wait for days.
	l.w.after(supplyAgainMs, func() {
		if !l.rested {
			l.supply()
		}
	})
	l.w.every(500, func() bool { l.rested = l.rested || l.atRest(); return !l.rested })
}

// supply opens every site and fills every bucket.
func (l *load) supply() {
	for _, site := range l.sites {
		l.ask(l.id("online"), messages.SiteRef(site), &messages.SetSiteStatus{Status: "online"}, nil)
		l.ask(l.id("capacity"), messages.SiteRef(site), &messages.SetSiteCapacity{Capacity: &messages.SiteCapacity{}}, nil)
		for _, sku := range l.skus {
			l.count(sku, site, 2_000)
		}
	}
}

// atRest says that every question is answered and nobody owes anything but far timers.
func (l *load) atRest() bool { return l.w.now >= l.over+calmMs && l.pending == 0 && l.restless() == "" }

// calmMs is how long the calm lasts at least: holds run out in it.
const calmMs = 10_000

// supplyAgainMs is later than anything that was sent before the calm can arrive.
const supplyAgainMs = 60_000

// restless names something that is not finished yet; "" when all is.
func (l *load) restless() string {
	owners := make([]*lane, l.w.o.Partitions)
	for _, n := range l.w.seats {
		if n.gone || n.paused || n.cut {
			return n.incarnation
		}
		for p, lane := range n.lanes {
			switch {
			case lane.phase == cluster.PhaseIdle:
			case lane.phase != cluster.PhaseServing || lane.committing || owners[p] != nil:
				return fmt.Sprintf("partition %d is %s on %s", p, lane.phase, n.incarnation)
			case lane.feed.acked.Position != lane.head.Position:
				return fmt.Sprintf("events of partition %d are published up to %d of %d", p, lane.feed.acked, lane.head.Position)
			default:
				owners[p] = lane
			}
		}
	}
	for p, lane := range owners {
		if lane == nil {
			return fmt.Sprintf("nobody serves partition %d", p)
		}
		if what := lane.restless(); what != "" {
			return what
		}
	}
	return ""
}

// restless names an entity that is not finished yet.
func (l *lane) restless() string {
	for _, ref := range l.store.Refs() {
		core, err := l.core(ref)
		if err != nil {
			return fmt.Sprintf("%s: %v", ref, err)
		}
		if what := unfinished(core, l.n.wall()); what != "" {
			return ref.String() + ": " + what
		}
	}
	return ""
}

// core gives an entity without bringing it to life.
func (l *lane) core(ref messages.Ref) (*entity.Core, error) {
	if v := l.live[ref]; v != nil {
		return v.core, nil
	}
	return l.store.Core(ref, l.w.kinds, nil, &l.w.limits)
}

// unfinished names what an entity still owes to others, or an order that is neither at its end nor somebody's.
func unfinished(c *entity.Core, now int64) string {
	for _, t := range c.Machine().Tasks(now, nil) {
		if t.To != c.Ref() && t.Due <= now {
			return "owes " + t.ID
		}
	}
	if s, ok := c.Machine().Summary().(*messages.OrderSummary); ok && s != nil {
		switch {
		case s.Status == "completed" || s.Status == "cancelled" || s.Status == "exception":
		case len(c.Machine().Waits()) > 0 && excluded(c):
			// A site that said it has no such stock is never asked again for it: this order waits for another site.
		default:
			return "is " + s.Status
		}
	}
	return ""
}

// excluded says that an order has been refused by some site for good.
func excluded(c *entity.Core) bool {
	m := c.Machine()
	for {
		switch inner := m.(type) {
		case *twice:
			m = inner.Machine
		case *buggy:
			m = inner.Machine
		default:
			v, ok := m.(interface{ View() *messages.OrderView })
			return ok && len(v.View().Exclusions) > 0
		}
	}
}
