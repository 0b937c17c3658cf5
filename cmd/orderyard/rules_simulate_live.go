package main

import (
	"context"
	"fmt"
	"time"

	"orderyard/actors"
	"orderyard/actors/entity"
	"orderyard/messages"
	"orderyard/persistence"
	"orderyard/persistence/jetstream"
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
	store, err := jetstream.Open(ctx, c.conn, jetstream.Options{})
	if err != nil {
		return nil, err
	}
	partitions, err := storedPartitions(ctx, store)
	if err != nil {
		return nil, err
	}
	limits := entity.DefaultLimits()
	r := &yardReader{
		kinds:  actors.Kinds(func() int64 { return time.Now().UnixMilli() }, actors.RememberForMs, nil),
		limits: &limits, cores: map[messages.Ref]*entity.Core{},
	}
	for partition := range partitions {
		if err := r.read(ctx, store, partition); err != nil {
			return nil, err
		}
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

// yardReader brings entities back from checkpoints and journal, as a node does, and sends nothing.
type yardReader struct {
	kinds  entity.Kinds
	limits *entity.Limits
	cores  map[messages.Ref]*entity.Core
}

// noPlans stands in for routing: an entity that is read back never plans.
func noPlans(*messages.PlanRequest, int64) *messages.AdoptPlan { return &messages.AdoptPlan{} }

// read takes one partition to its end. A checkpoint that was replaced meanwhile is started again.
func (r *yardReader) read(ctx context.Context, store persistence.Store, partition int) error {
	var reader entity.StreamReader
	manifest, _, err := store.Load(ctx, partition, func(slice []byte) error { return reader.Take(slice, r.load) })
	if err != nil {
		return fmt.Errorf("checkpoint of partition %d: %w", partition, err)
	}
	log := persistence.OpenLog(store, partition, persistence.LogOptions{})
	return log.Recover(ctx, manifest, func(position uint64, payload []byte) error {
		c, err := entity.DecodeCommit(payload)
		for i := 0; err == nil && i < len(c.Entries); i++ {
			err = r.apply(c.Entries[i])
		}
		if err != nil {
			return fmt.Errorf("partition %d position %d: %w", partition, position, err)
		}
		return nil
	})
}

func (r *yardReader) load(blob []byte) error {
	snapshot := new(messages.EntitySnapshot)
	if err := snapshot.UnmarshalVT(blob); err != nil {
		return err
	}
	core, err := entity.LoadCore(snapshot, r.kinds, noPlans, r.limits)
	if err != nil {
		return err
	}
	r.cores[core.Ref()] = core
	return nil
}

func (r *yardReader) apply(e *messages.Entry) error {
	ref := messages.Ref{Kind: messages.Kind(e.Kind), ID: e.Id}
	core := r.cores[ref]
	if core == nil {
		kind, ok := r.kinds[ref.Kind]
		if !ok {
			return fmt.Errorf("unknown kind %d: this program is older than the yard", e.Kind)
		}
		core = entity.NewCore(ref, kind, noPlans, r.limits)
		r.cores[ref] = core
	}
	if e.Version+uint64(len(e.Events)) <= core.Version() {
		return nil // the checkpoint holds it already
	}
	return core.Apply(e)
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
