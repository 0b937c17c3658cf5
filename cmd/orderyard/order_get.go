package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"orderyard/gateway/wire"
	"orderyard/messages"
)

func newOrderGetCmd(a *app) *cobra.Command {
	var timeline bool
	cmd := &cobra.Command{
		Use:     "get ID",
		Short:   "Show one order: its lines, the work at its sites, what stops it",
		Example: "  orderyard order get web-1001",
		Args:    want("ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			o, _, done, err := call[wire.OrderAnswer](cmd.Context(), a, messages.OrderSubject("get"), "",
				wire.GetOrderRequest{OrderID: args[0], Timeline: timeline})
			if done {
				return err
			}
			if o.OrderView == nil {
				return fmt.Errorf("the answer holds no order")
			}
			return a.printOrder(o.OrderView)
		},
	}
	cmd.Flags().BoolVar(&timeline, "timeline", false, "also everything that happened")
	return cmd
}

// printOrder shows an order from its headline down to what stops it; sections without content are left out.
func (a *app) printOrder(o *wire.OrderView) error {
	sections := []func(*wire.OrderView) error{
		a.printHeadline, a.printLines, a.printFulfillments, a.printStops, a.printTimeline,
	}
	for _, section := range sections {
		if err := section(o); err != nil {
			return err
		}
	}
	return nil
}

func (a *app) printHeadline(o *wire.OrderView) error {
	t := a.table("ORDER", "STATUS", "LIFE", "PLACED", "SHIP TO", "#TOTAL", "#VERSION")
	to := strings.TrimSpace(o.ShipTo.City + " " + o.ShipTo.Region + " " + o.ShipTo.PostalCode + " " + o.ShipTo.Country)
	t.add(o.OrderID, status(o.Status), o.Axes.Life, firstTime(o.PlacedAt, o.AcceptedAt), to, money(total(o), o.Currency), o.Version)
	return t.print("")
}

func firstTime(times ...wire.Time) wire.Time {
	for _, t := range times {
		if t != 0 {
			return t
		}
	}
	return 0
}

// total is what the order comes to: lines + shipping + tax − discount.
func total(o *wire.OrderView) int64 {
	sum := o.Tax - o.Discount
	if o.Shipping != nil {
		sum += o.Shipping.Amount
	}
	for _, l := range o.Lines {
		sum += l.Quantity * l.UnitPrice
	}
	return sum
}

func (a *app) printLines(o *wire.OrderView) error {
	t := a.table("LINE", "SKU", "#QTY", "#PRICE", "UNITS")
	for _, l := range o.Lines {
		t.add(l.ID, l.SKU, l.Quantity, money(l.UnitPrice, o.Currency), unitsText(l.Units))
	}
	return t.section()
}

// unitsText names the states that hold units, in the order a unit passes them.
func unitsText(u wire.Units) string {
	states := []struct {
		name  string
		units int64
	}{
		{"open", u.Open}, {"planned", u.Planned}, {"reserved", u.Reserved}, {"allocated", u.Allocated}, {"released", u.Released},
		{"picked", u.Picked}, {"packed", u.Packed}, {"shipped", u.Shipped}, {"delivered", u.Delivered}, {"backordered", u.Backordered},
		{"exception", u.Exception}, {"cancelled", u.Cancelled},
	}
	var parts []string
	for _, s := range states {
		if s.units != 0 {
			parts = append(parts, strconv.FormatInt(s.units, 10)+" "+s.name)
		}
	}
	return strings.Join(parts, ", ")
}

func (a *app) printFulfillments(o *wire.OrderView) error {
	t := a.table("FULFILLMENT", "SITE", "STATUS", "REQUEST", "LINES", "TRACKING", "REASON")
	for _, f := range o.Fulfillments {
		t.add(f.ID, f.Site, status(f.Status), status(f.RequestStatus), fulfillmentLines(f.Lines), tracking(f.Shipments), f.Reason)
	}
	return t.section()
}

// fulfillmentLines is "1×2,3×1": two units of line 1, one of line 3.
func fulfillmentLines(lines []wire.FulfillmentLine) string {
	const most = 6
	parts := make([]string, 0, most+1)
	for i, l := range lines {
		if i == most {
			parts = append(parts, fmt.Sprintf("… %d more", len(lines)-most))
			break
		}
		parts = append(parts, l.LineID+"×"+strconv.FormatInt(l.Quantity, 10))
	}
	return strings.Join(parts, ",")
}

func tracking(shipments []wire.Shipment) string {
	var numbers []string
	for _, s := range shipments {
		if s.Tracking != "" {
			numbers = append(numbers, s.Tracking)
		}
	}
	return list(numbers)
}

func (a *app) printStops(o *wire.OrderView) error {
	t := a.table("STOPPED BY", "KIND", "SINCE", "UNTIL", "OWNER", "DETAIL")
	for _, h := range o.Holds {
		t.add("hold", h.Reason, h.PlacedAt, h.Until, h.Actor, h.Note)
	}
	for _, e := range o.Exceptions {
		t.add("exception", e.Kind, e.OpenedAt, wire.Time(0), e.Owner, e.Detail)
	}
	return t.section()
}

func (a *app) printTimeline(o *wire.OrderView) error {
	t := a.table("AT", "WHAT", "DETAIL")
	for _, e := range o.Timeline {
		t.add(e.At, e.What, e.Detail)
	}
	return t.section()
}
