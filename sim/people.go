package sim

import (
	"slices"

	"orderyard/actors"
	"orderyard/messages"
)

// clerk receives, adjusts, recounts, pauses and resumes.
func (l *load) clerk() {
	sku, site := l.pick(l.skus), l.pick(l.sites)
	to := messages.BucketRef(sku, site)
	switch l.w.rng.IntN(6) {
	case 0, 1:
		l.ask(l.id("receive"), to, &messages.ReceiveStock{Sku: sku, Site: site, Quantity: l.w.between(1, 10)}, nil)
	case 2:
		l.ask(l.id("adjust"), to, &messages.AdjustStock{Sku: sku, Site: site, Delta: l.w.between(1, 3) * (2*l.w.between(0, 1) - 1), Reason: "found"}, nil)
	case 3:
		count := &messages.SetStock{Sku: sku, Site: site, OnHand: l.w.between(0, 12), AsOfMs: l.w.time() - l.w.between(0, 3_000)}
		if count.HasSafetyStock = l.w.chance(30); count.HasSafetyStock {
			count.SafetyStock = l.w.between(0, 3)
		}
		if count.HasUnsellable = l.w.chance(30); count.HasUnsellable {
			count.Unsellable = l.w.between(0, min(count.OnHand, 3))
		}
		l.ask(l.id("count"), to, count, nil)
	case 4:
		l.ask(l.id("suspend"), messages.SiteRef(site), &messages.SetSiteStatus{Status: l.pick([]string{"suspended", "offline"})}, func(*messages.Reply) {
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
				if l.calm || !l.absent[site] && l.w.chance(60) {
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
			line := fo.Lines[0]
			act.Lines = []*messages.FulfillmentLine{{LineId: line.LineId, Line: line.Line, Quantity: l.w.between(0, line.Quantity)}}
		}
		if l.w.chance(30) {
			act.RetryAfterMs = l.w.between(1, 5_000)
		}
	case l.w.chance(10) && fo.RequestStatus == messages.RequestStatus_REQUEST_STATUS_ACCEPTED && begun(fo.Status):
		act.Action = "ship" // its system tells shipments only
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

// begun says that people at the site may have it in hand.
func begun(s messages.FulfillmentStatus) bool {
	return s >= messages.FulfillmentStatus_FULFILLMENT_STATUS_OPEN && s < messages.FulfillmentStatus_FULFILLMENT_STATUS_SHIPPED
}

// desk is the people who decide about orders that wait for somebody: in the calm they let each go on, a few times, for a rule may stop it again.
func (l *load) desk() {
	for _, n := range l.w.seats {
		if n.gone {
			continue
		}
		rows, _ := n.know.ListOrders(actors.OrderFilter{}, "", 1_000)
		for _, row := range rows {
			id := row.OrderId
			if row.Status != "held" && row.Status != "exception" || l.let[id] >= letMax {
				continue
			}
			l.let[id]++
			release := &messages.ReleaseOrder{Actor: "desk"}
			if len(row.Exceptions) > 0 {
				release.Exception = row.Exceptions[0]
			}
			l.ask(l.id("let"), messages.OrderRef(id), release, nil)
		}
	}
}

// letMax is how often people let one order go on.
const letMax = 3

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
