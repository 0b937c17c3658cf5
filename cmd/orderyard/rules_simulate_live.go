package main

import (
	"context"
	"time"

	"orderyard/messages"
	"orderyard/routing/whatif"
)

// pastOfYard reads what the yard knows and what it has taken since a moment, out of its checkpoints and its journal. It writes nothing.
func (a *app) pastOfYard(ctx context.Context, since string) (*past, error) {
	from, err := parseSince(since, time.Now())
	if err != nil {
		return nil, err
	}
	c, err := a.connect()
	if err != nil {
		return nil, err
	}
	defer c.close()
	r, err := readYard(ctx, c.conn)
	if err != nil {
		return nil, err
	}
	return r.past(from), nil
}

// parseSince reads a moment of the past: a duration ago, a day, or a time.
func parseSince(text string, now time.Time) (int64, error) {
	if d, err := time.ParseDuration(text); err == nil && d >= 0 {
		return now.Add(-d).UnixMilli(), nil
	}
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UnixMilli(), nil
		}
	}
	return 0, usage("--since must be how long ago, such as 24h, a day such as 2026-11-01 or a time such as 2026-11-01T09:00:00Z, not %q", text)
}

// past makes the orders taken since a moment, and the yard before them: what can be promised now, and what those orders took. Units that were
// received meanwhile count as having been there from the beginning.
func (r *yardReader) past(since int64) *past {
	p := &past{
		yard: whatif.NewYard(), types: map[string]string{},
		source: "the yard since " + time.UnixMilli(since).UTC().Format("2006-01-02 15:04:05"),
	}
	var views []*messages.SiteView
	for ref, core := range r.cores {
		switch ref.Kind {
		case messages.KindSite:
			if v, ok := core.Machine().Summary().(*messages.SiteView); ok && v.GetDoc() != nil {
				views = append(views, v)
			}
		case messages.KindBucket:
			if v, ok := core.Machine().Summary().(*messages.BucketView); ok && v != nil {
				p.yard.AddStock(v.Sku, v.Site, v.Atp)
			}
		case messages.KindOrder:
			if m, ok := core.Machine().(interface{ View() *messages.OrderView }); ok {
				p.addOrder(m.View(), since)
			}
		}
	}
	p.addSites(views)
	whatif.Sort(p.orders)
	return p
}

// addOrder takes an order that the yard has taken since a moment. Its placement is what routing goes by, which a channel may date back. An order
// that was cancelled as a whole holds no stock and is left out.
func (p *past) addOrder(v *messages.OrderView, since int64) {
	switch {
	case v == nil || v.Order == nil || v.AcceptedAtMs < since:
		return
	case v.Status == "cancelled":
		p.cancelled++
		return
	}
	o := v.Order
	if o.PlacedAtMs == 0 {
		o.PlacedAtMs = v.AcceptedAtMs
	}
	locate(o.ShipTo)
	p.orders = append(p.orders, o)
	for _, f := range v.Fulfillments {
		if f.Status < messages.FulfillmentStatus_FULFILLMENT_STATUS_SCHEDULED || f.Status > messages.FulfillmentStatus_FULFILLMENT_STATUS_INCOMPLETE {
			continue // the site gave nothing
		}
		for _, l := range f.Lines {
			p.yard.AddStock(l.Sku, f.Site, l.Quantity)
		}
	}
}
