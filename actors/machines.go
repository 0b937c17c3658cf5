package actors

import (
	"fmt"

	"orderyard/actors/entity"
	"orderyard/actors/inventory"
	"orderyard/actors/order"
	"orderyard/actors/site"
	"orderyard/messages"
)

// RememberForMs is how long buckets and sites remember the answers to commands unless told otherwise; orders remember theirs for life.
const RememberForMs = 24 * 3600 * 1000

// orderIdleAfterMs is when an order becomes bytes: most have nothing to do for hours once a site has accepted them, and thousands are placed meanwhile,
// each of some fifty objects that the collector would look through. A bucket or a site is asked again by the next order.
const orderIdleAfterMs = 1_500

// Kinds is every kind of entity a node can run. now is for the summaries of sites, probe answers an order's question without effect.
func Kinds(now func() int64, rememberForMs int64, probe entity.Planner) entity.Kinds {
	return entity.Kinds{
		messages.KindOrder: {
			New: func(id string) entity.Machine { return orderMachine{order.New(id), probe} },
			Load: func(id string, b []byte) (entity.Machine, error) {
				s, err := order.UnmarshalState(b)
				return orderMachine{s, probe}, err
			},
			NewSummary:  func() messages.Message { return new(messages.OrderSummary) },
			IdleAfterMs: orderIdleAfterMs,
		},
		messages.KindBucket: {
			New: func(id string) entity.Machine {
				sku, at, _ := messages.SplitBucket(id)
				return bucketMachine{inventory.New(sku, at)}
			},
			Load: func(id string, b []byte) (entity.Machine, error) {
				s, err := inventory.UnmarshalState(b)
				return bucketMachine{s}, err
			},
			NewSummary: func() messages.Message { return new(messages.BucketView) },
			DedupForMs: rememberForMs,
		},
		messages.KindSite: {
			New: func(id string) entity.Machine { return &siteMachine{State: site.New(id), now: now} },
			Load: func(id string, b []byte) (entity.Machine, error) {
				s, err := site.UnmarshalState(b)
				return &siteMachine{State: s, now: now}, err
			},
			NewSummary: func() messages.Message { return new(messages.SiteView) },
			DedupForMs: rememberForMs,
		},
	}
}

type orderMachine struct {
	*order.State
	probe entity.Planner
}

// Decide passes the command on, but for stock that arrived and would not help this order: that is nothing to remember.
func (m orderMachine) Decide(cmd messages.Command, now int64) ([]messages.Event, *messages.Reply, error) {
	if arrived, ok := cmd.(*messages.StockArrived); ok {
		if req := order.Probe(m.State, arrived, now); req != nil && len(m.probe(req, now).GetPlan().GetAssignments()) == 0 {
			return nil, nil, nil
		}
	}
	return order.Decide(m.State, cmd, now)
}
func (m orderMachine) Evolve(e messages.Event, at int64) { order.Evolve(m.State, e, at) }
func (m orderMachine) Tasks(now int64, dst []messages.Task) []messages.Task {
	return order.Tasks(m.State, now, dst)
}
func (m orderMachine) SetVersion(v uint64) { m.Version = v }
func (m orderMachine) Summary() messages.Message {
	if s := order.Summary(m.State); s != nil {
		return s
	}
	return nil
}

// View gives the whole order, for audits.
func (m orderMachine) View() *messages.OrderView {
	return order.View(m.State, &messages.GetOrder{})
}

// Units counts the order's units per line, for audits: see order.Units.
func (m orderMachine) Units(dst []*messages.UnitCounts) []*messages.UnitCounts {
	return order.Units(m.State, dst)
}

// Lines are the order's lines as they were placed; nil when nothing was.
func (m orderMachine) Lines() []*messages.OrderLine { return order.Lines(m.State) }

// Explain shows the order with the decisions it keeps.
func (m orderMachine) Explain() *messages.OrderView {
	return order.View(m.State, &messages.GetOrder{Decisions: true})
}
func (m orderMachine) Waits() []string { return order.Waits(m.State) }
func (m orderMachine) Topic() string   { return order.Channel(m.State) }

type bucketMachine struct{ *inventory.State }

func (m bucketMachine) Decide(cmd messages.Command, now int64) ([]messages.Event, *messages.Reply, error) {
	return inventory.Decide(m.State, cmd, now)
}
func (m bucketMachine) Evolve(e messages.Event, at int64) { inventory.Evolve(m.State, e, at) }
func (m bucketMachine) Tasks(now int64, dst []messages.Task) []messages.Task {
	return inventory.Tasks(m.State, now, dst)
}
func (m bucketMachine) Postpone(task string, now int64) bool {
	return inventory.Postpone(m.State, task, now)
}
func (m bucketMachine) SetVersion(v uint64) { m.Version = v }
func (m bucketMachine) Summary() messages.Message {
	if !m.Known() {
		return nil // it remembers a cancel that came first, and has never had stock
	}
	return inventory.View(m.State)
}
func (m bucketMachine) Waits() []string { return nil }
func (m bucketMachine) Topic() string   { return "" }

// siteMachine carries a clock for its summary only: the load a site shows depends on the hour.
type siteMachine struct {
	*site.State
	now func() int64
}

func (m *siteMachine) Decide(cmd messages.Command, now int64) ([]messages.Event, *messages.Reply, error) {
	return site.Decide(m.State, cmd, now)
}
func (m *siteMachine) Evolve(e messages.Event, at int64) { site.Evolve(m.State, e, at) }
func (m *siteMachine) Tasks(now int64, dst []messages.Task) []messages.Task {
	return site.Tasks(m.State, now, dst)
}
func (m *siteMachine) Postpone(task string, now int64) bool {
	return site.Postpone(m.State, task, now)
}
func (m *siteMachine) SetVersion(v uint64)       { m.Version = v }
func (m *siteMachine) Summary() messages.Message { return site.View(m.State, m.now()) }
func (m *siteMachine) Waits() []string           { return nil }
func (m *siteMachine) Topic() string             { return "" }

// checkRef refuses a request whose entity id could never exist, before an entity is made for it.
func checkRef(ref messages.Ref) error {
	switch ref.Kind {
	case messages.KindBucket:
		sku, at, ok := messages.SplitBucket(ref.ID)
		if !ok {
			return fmt.Errorf("bucket %q is not SKU@SITE", ref.ID)
		}
		if err := messages.CheckSKU(sku); err != nil {
			return fmt.Errorf("sku %q %w", sku, err)
		}
		if err := messages.CheckToken(at); err != nil {
			return fmt.Errorf("site %q %w", at, err)
		}
	case messages.KindSite:
		if err := messages.CheckToken(ref.ID); err != nil {
			return fmt.Errorf("site %q %w", ref.ID, err)
		}
	case messages.KindOrder:
		if ref.ID == "" || len(ref.ID) > 2*messages.TokenMax+1 {
			return fmt.Errorf("order id has %d bytes, 1 to %d are allowed", len(ref.ID), 2*messages.TokenMax+1)
		}
	}
	return nil
}

// Faults says what an order or a site would find wrong with a document that is sent to it, without asking one; nil when nothing, and for other commands.
func Faults(cmd messages.Command) []*messages.FieldError {
	switch c := cmd.(type) {
	case *messages.PlaceOrder:
		return order.Validate(c)
	case *messages.ApplySite:
		return site.ValidateDoc(c.GetDoc())
	}
	return nil
}
