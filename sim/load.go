package sim

import (
	"fmt"
	"slices"
	"time"

	"orderyard/messages"
)

// load is the world around the yard: channels, carts, stock clerks and the sites' people.
type load struct {
	client
	sites     []string
	skus      []string
	counted   map[string]bool // SKUs of which a count was acknowledged
	acked     map[string]bool // order ids whose placement was acknowledged
	holds     map[string]bool // cart reservations that were granted
	manual    map[string]bool // sites whose people answer
	absent    map[string]bool // of these: nobody comes before the calm
	newest    string          // the order that was acknowledged last
	cancelled map[string]bool // orders whose cancellation was acknowledged
	let       map[string]int  // how often people have let an order go on, in the calm
	serial    int
	calm      bool  // the faults are over, everybody helps to finish
	over      int64 // when the calm began
	rested    bool
}

func newLoad(w *world) *load {
	l := &load{
		client: client{w: w}, counted: map[string]bool{}, acked: map[string]bool{}, holds: map[string]bool{}, manual: map[string]bool{},
		cancelled: map[string]bool{}, absent: map[string]bool{}, let: map[string]int{},
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
			if len(l.absent) == 0 && l.w.chance(30) { // in one seed of five
				doc.AnswerWithinMs, l.absent[site] = l.w.between(1_000, 4_000), true
			}
		}
		l.ask(l.id("apply"), messages.SiteRef(site), &messages.ApplySite{Doc: doc}, nil)
		for _, sku := range l.skus {
			if l.w.chance(85) {
				l.count(sku, site, l.w.between(0, 15), nil)
			}
		}
		l.fleet(site)
	}
	busy := l.w.o.busy()
	for range 2 {
		l.w.after(l.w.between(warmUpMs, busy), l.novelty)
	}
	if l.w.chance(50) {
		l.w.after(l.w.between(warmUpMs, busy), l.w.publish)
		l.w.after(l.w.between(warmUpMs, busy), l.w.publish)
	}
	for range l.w.o.Orders {
		l.w.after(l.w.between(warmUpMs, busy), l.placeOne)
	}
	for range 8 {
		l.w.after(l.w.between(warmUpMs, busy), l.cart)
		l.w.after(l.w.between(warmUpMs, busy), l.clerk)
	}
	for i := range 4 {
		l.reader(i)
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

func (l *load) count(sku, site string, n int64, then func()) {
	l.ask(l.id("count"), messages.BucketRef(sku, site), &messages.SetStock{Sku: sku, Site: site, OnHand: n}, func(r *messages.Reply) {
		if r.GetFailure() != nil {
			return
		}
		l.counted[sku] = true
		if then != nil {
			then()
		}
	})
}

// novelty is a SKU that is counted for the first time while everything goes on, and ordered as soon as that is acknowledged.
func (l *load) novelty() {
	sku := l.id("sku")
	l.count(sku, l.pick(l.sites), l.w.between(1, 8), func() {
		l.skus = append(l.skus, sku)
		external := l.id("o")
		order := l.order(external)
		order.Lines = order.Lines[:1]
		order.Lines[0].Sku = sku
		l.price(order)
		l.placeThis(external, order)
	})
}

func (l *load) pick(list []string) string { return list[l.w.rng.IntN(len(list))] }

// order makes an order with random lines and policies.
func (l *load) order(external string) *messages.Order {
	o := &messages.Order{
		Channel: "web", ExternalId: external, Currency: "USD", PlacedAtMs: l.w.time(), ShippingService: "standard",
		ShipTo:   &messages.Address{Name: "B", Country: "US", PostalCode: "80202", HasPosition: true, Lat: 39.7, Lon: -105},
		Partial:  l.pick([]string{"", "split", "complete_only", "ship_available"}),
		OnShort:  l.pick([]string{"", "backorder", "backorder", "cancel", "hold"}),
		Priority: int32(l.w.rng.IntN(3)),
	}
	if l.w.chance(30) {
		o.SplitsMax = int32(l.w.between(1, 4))
	}
	if l.w.chance(30) {
		o.DeliverBy = time.UnixMilli(l.w.time() + l.w.between(0, 5)*dayMs).UTC().Format(time.DateOnly)
	}
	for i := range l.w.between(1, 3) {
		line := &messages.OrderLine{Id: fmt.Sprint(i + 1), Sku: l.pick(l.skus), Quantity: l.w.between(1, 4), UnitPrice: l.w.between(0, 5_000)}
		o.Lines = append(o.Lines, line)
	}
	l.price(o)
	return o
}

// price gives an order shipping, tax, a discount and a payment, which now and then is not enough.
func (l *load) price(o *messages.Order) {
	o.ShippingAmount, o.Tax, o.Discount = l.w.between(0, 900), l.w.between(0, 900), 0
	total := o.ShippingAmount + o.Tax
	for _, line := range o.Lines {
		total += line.Quantity * line.UnitPrice
	}
	o.Discount = l.w.between(0, total)
	if l.w.chance(60) {
		o.HasPayment, o.PaymentMethod, o.PaymentAmount = true, "card", total-o.Discount
		if l.w.chance(10) {
			o.PaymentAmount += 2
		}
	}
}

// placeOne places an order, sometimes twice at once, sometimes with other content under the same id; later it may be held or cancelled.
func (l *load) placeOne() {
	external := l.id("o")
	order := l.order(external)
	for _, line := range order.Lines {
		if !l.counted[line.Sku] {
			l.w.after(1_000, l.placeOne) // nobody was told yet that it exists
			return
		}
	}
	l.placeThis(external, order)
}

func (l *load) placeThis(external string, order *messages.Order) {
	place := &messages.PlaceOrder{Order: order}
	id := messages.OrderID("web", external)
	copies := 1
	if l.w.chance(15) {
		copies = 3
	}
	for range copies {
		l.ask(l.placeKey(id), messages.OrderRef(id), place, func(r *messages.Reply) { l.placedOne(id, r) })
	}
	if l.w.chance(10) {
		other := &messages.PlaceOrder{Order: l.order(external)}
		other.Order.Lines[0].Quantity += 1000
		l.price(other.Order)
		l.w.after(l.w.between(1_000, 8_000), func() {
			if l.acked[id] {
				l.ask(l.placeKey(id), messages.OrderRef(id), other, func(r *messages.Reply) {
					if r.GetFailure().GetCode() != messages.CodeConflict {
						l.w.violate("I6", id, "other content under the same id was answered %v", r)
					}
				})
			}
		})
	}
}

// placeKey is the door's id for a placement without one, or one of the sender's own.
func (l *load) placeKey(id string) string {
	if l.w.chance(25) {
		return l.id("place")
	}
	return placeKey + id
}

func (l *load) placedOne(id string, r *messages.Reply) {
	if f := r.GetFailure(); f != nil {
		l.w.violate("I2", id, "a valid order was refused: %v", f)
		return
	}
	if l.acked[id] {
		return
	}
	l.acked[id], l.newest = true, id
	l.w.note("acked %s", id)
	if slices.Contains(l.w.o.Faults, faultCancels) && l.w.chance(20) {
		l.w.after(l.w.between(0, 6_000), func() {
			l.ask(l.id("cancel"), messages.OrderRef(id), &messages.CancelOrder{Reason: "customer"}, func(r *messages.Reply) {
				if r.GetFailure() == nil {
					l.cancelled[id] = true
				}
			})
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
		switch l.w.rng.IntN(6) {
		case 3:
			l.cartAgain(to, reserve)
		case 4: // too late
			l.w.after(reserve.HoldForMs+l.w.between(0, 1_500), func() {
				l.ask(id+"/c", to, &messages.ConfirmReservation{Sku: sku, Site: site, ReservationId: id}, nil)
			})
		case 0:
			l.w.after(l.w.between(0, 6_000), func() {
				l.ask(id+"/c", to, &messages.ConfirmReservation{Sku: sku, Site: site, ReservationId: id}, func(r *messages.Reply) {
					if r.GetFailure() == nil {
						l.ask(id+"/c2", to, &messages.ConfirmReservation{Sku: sku, Site: site, ReservationId: id}, nil) // a page that is loaded again
						l.ask(id+"/s", to, &messages.ShipStock{Sku: sku, Site: site, ReservationId: id, Quantity: reserve.Quantity}, func(*messages.Reply) {
							l.ask(id+"/x", to, &messages.CancelReservation{Sku: sku, Site: site, ReservationId: id}, nil) // they have left
						})
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

// cartAgain asks for another quantity or for longer under the same reservation, and then confirms all of it.
func (l *load) cartAgain(to messages.Ref, first *messages.ReserveStock) {
	sku, site, id := first.Sku, first.Site, first.ReservationId
	l.w.after(l.w.between(0, 3_000), func() {
		again := &messages.ReserveStock{
			Sku: sku, Site: site, ReservationId: id, Quantity: l.w.between(1, 4), HoldForMs: first.HoldForMs + l.w.between(0, 3_000),
		}
		l.ask(id+"/r2", to, again, func(*messages.Reply) {
			l.ask(id+"/c", to, &messages.ConfirmReservation{Sku: sku, Site: site, ReservationId: id}, func(*messages.Reply) {
				l.ask(id+"/s", to, &messages.ShipStock{Sku: sku, Site: site, ReservationId: id}, nil)
			})
		})
	})
}
