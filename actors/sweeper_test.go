package actors_test

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"orderyard/actors"
	"orderyard/actors/entity"
	"orderyard/messages"
	"orderyard/persistence/memory"
	"orderyard/routing"
	"orderyard/routing/ruleset"
	"orderyard/routing/sweep"
)

// sweptNode is a whole node over a journal in memory.
type sweptNode struct {
	*actors.Node
	t *testing.T
	n int
}

func startSwept(t *testing.T) *sweptNode {
	t.Helper()
	text, err := os.ReadFile("../configs/routing/default.yaml")
	if err != nil {
		t.Fatal(err)
	}
	set, err := ruleset.Load("default", text)
	if err != nil {
		t.Fatal(err)
	}
	rules := routing.DefaultRules()
	rules.Set, rules.Version = set, set.Version
	node, err := actors.Start(actors.Options{
		Name: "n1", Incarnation: "i1", Partitions: 4, Store: memory.New(), Limits: entity.DefaultLimits(), Rules: rules,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(node.Kill)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := node.WaitReady(ctx); err != nil {
		t.Fatal(err)
	}
	return &sweptNode{Node: node, t: t}
}

func (n *sweptNode) must(to messages.Ref, cmd messages.Command) *messages.Reply {
	n.t.Helper()
	n.n++
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	reply, err := n.Ask(ctx, messages.Request{To: to, Command: cmd, CommandID: fmt.Sprintf("test-%d", n.n)})
	if err != nil || reply.GetFailure() != nil {
		n.t.Fatalf("%s %T: %v %v", to, cmd, err, reply.GetFailure())
	}
	return reply
}

func (n *sweptNode) site(id string, lat, lon float64, accept string) {
	n.must(messages.SiteRef(id), &messages.ApplySite{Doc: &messages.SiteDoc{
		Id: id, Name: id, Type: "dc", Country: "US", Lat: lat, Lon: lon, Accept: accept, Status: "online", AnswerWithinMs: 600_000,
	}})
}

func (n *sweptNode) receive(sku, site string, units int64) {
	n.must(messages.BucketRef(sku, site), &messages.ReceiveStock{Sku: sku, Site: site, Quantity: units})
}

// place places an order whose payment does not fit: it is planned and reserved, and not released before a person has looked.
func (n *sweptNode) place(id, postal string, quantity int64) string {
	o := &messages.Order{
		Channel: "web", ExternalId: id, Currency: "USD", PlacedAtMs: time.Now().UnixMilli(), ShippingService: "standard", HasPayment: true, PaymentAmount: 1,
		ShipTo: &messages.Address{Country: "US", PostalCode: postal},
		Lines:  []*messages.OrderLine{{Id: "1", Sku: "A", Quantity: quantity, UnitPrice: 1000}},
	}
	place := &messages.PlaceOrder{Order: o}
	if err := n.Prepare(place); err != nil {
		n.t.Fatal(err)
	}
	n.must(messages.OrderRef("web-"+id), place)
	return "web-" + id
}

func (n *sweptNode) view(id string) *messages.OrderView {
	return n.must(messages.OrderRef(id), &messages.GetOrder{Timeline: true}).GetOrder().GetView()
}

// reserved waits until all units of the order are reserved at a site.
func (n *sweptNode) reserved(id, site string) {
	n.t.Helper()
	said := ""
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		v := n.view(id)
		said = fmt.Sprint(v.Units, v.Fulfillments)
		last := v.Fulfillments
		if len(last) > 0 && last[len(last)-1].Site == site && v.Units[0].Reserved == v.Order.Lines[0].Quantity {
			return
		}
	}
	n.t.Fatalf("order %s is not reserved at %s: %s", id, site, said)
}

func (n *sweptNode) sweeper(ordersMax int) *actors.Sweeper {
	return actors.NewSweeper(n.Node, actors.SweepOptions{OrdersMax: ordersMax, CommandsMax: 4, Limits: sweep.DefaultLimits()})
}

func swept(t *testing.T, s *actors.Sweeper) *actors.SweepReport {
	t.Helper()
	r, err := s.Sweep(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

const denver, newYork = "80202", "10001"

// TestSweepSwaps proves that two orders that hold what the other one wants change places, although no unit is free; that a dry run before says so
// and changes nothing; and that a sweep after it finds nothing more.
func TestSweepSwaps(t *testing.T) {
	n := startSwept(t)
	n.site("DEN", 39.74, -104.99, "manual")
	n.site("NYC", 40.71, -74.01, "manual")
	n.receive("A", "DEN", 1)
	two := n.place("2", newYork, 1)
	n.reserved(two, "DEN")
	n.receive("A", "NYC", 1)
	one := n.place("1", denver, 1)
	n.reserved(one, "NYC")
	s := n.sweeper(100)
	dry, err := s.Look(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(dry.Moves) != 2 || len(dry.Outcome) != 0 || n.view(one).Version != dry.Orders[0].Version {
		t.Fatalf("the dry run says %+v", dry)
	}
	r := swept(t, s)
	if r.Moved != 2 || r.Saved != dry.Saving() || r.Saved <= 50 {
		t.Fatalf("the sweep says %v %+v", r.Outcome, r)
	}
	n.reserved(one, "DEN")
	n.reserved(two, "NYC")
	if v := n.view(one); v.Attempts != 1 || v.Rejections != 0 || v.Timeline[len(v.Timeline)-1].Detail != "by sweep" {
		t.Errorf("after the sweep: %+v", v)
	}
	if r := swept(t, s); len(r.Moves) != 0 {
		t.Errorf("the next sweep moves %+v", r.Moves)
	}
	if s.Stats.Runs.Load() != 2 || s.Stats.Moved.Load() != 2 || s.Stats.Saved.Load() != r.Saved {
		t.Errorf("counted %d runs, %d moves, %d saved", s.Stats.Runs.Load(), s.Stats.Moved.Load(), s.Stats.Saved.Load())
	}
}

// TestSweepLeavesWhatSitesHave proves that an order which a manual site was asked about, and one that an automatic site has accepted, stay where they
// are, and that a sweep looks at a few orders at a time and at the others the next time.
func TestSweepLeavesWhatSitesHave(t *testing.T) {
	n := startSwept(t)
	n.site("NYC", 40.71, -74.01, "manual")
	n.receive("A", "NYC", 10)
	var ids []string
	for i := range 4 {
		id := n.place(fmt.Sprint(i), denver, 1)
		n.reserved(id, "NYC")
		ids = append(ids, id)
	}
	n.must(messages.OrderRef(ids[1]), &messages.ReleaseOrder{Exception: "total_mismatch"})
	for n.view(ids[1]).Fulfillments[0].RequestStatus != messages.RequestStatus_REQUEST_STATUS_SUBMITTED {
		time.Sleep(5 * time.Millisecond)
	}
	n.site("DEN", 39.74, -104.99, "auto")
	n.receive("A", "DEN", 10)
	s := n.sweeper(2)
	if r := swept(t, s); r.Waiting != 3 || len(r.Orders) != 2 || r.Moved != 2 {
		t.Fatalf("the first sweep: %v %+v", r.Outcome, r)
	}
	if r := swept(t, s); r.Moved != 1 || r.Orders[0].ID != ids[3] {
		t.Fatalf("the second sweep: %v %+v", r.Outcome, r)
	}
	for i, id := range ids {
		want := "DEN"
		if i == 1 {
			want = "NYC"
		}
		for v := n.view(id); ; v = n.view(id) {
			f := v.Fulfillments[len(v.Fulfillments)-1]
			if f.Site != want {
				t.Fatalf("order %s is at %s", id, f.Site)
			}
			if i == 1 || f.RequestStatus == messages.RequestStatus_REQUEST_STATUS_ACCEPTED { // an automatic site accepts what is not released
				break
			}
			time.Sleep(5 * time.Millisecond)
		}
	}
	if r := swept(t, s); r.Waiting != 0 || len(r.Moves) != 0 {
		t.Errorf("accepted work was looked at: %+v", r)
	}
}

// TestSweepIsOvertaken proves that an order which moved on after the sweep looked is answered and changes nothing.
func TestSweepIsOvertaken(t *testing.T) {
	n := startSwept(t)
	n.site("NYC", 40.71, -74.01, "manual")
	n.receive("A", "NYC", 1)
	id := n.place("1", denver, 1)
	n.reserved(id, "NYC")
	v := n.must(messages.OrderRef(id), &messages.GetOrder{Movable: true}).GetOrder().GetView()
	n.must(messages.OrderRef(id), &messages.HoldOrder{Reason: "customer_request"})
	reply, err := n.Ask(t.Context(), messages.Request{To: messages.OrderRef(id), CommandID: "late", Command: &messages.Reassign{
		Version: v.Version, Plan: &messages.Plan{Assignments: []*messages.Assignment{{Site: "DEN", Lines: v.Movable.Present[0].Lines}}},
	}})
	if err != nil || reply.GetFailure().GetCode() != messages.CodeConflict {
		t.Fatalf("answered %v %v", reply, err)
	}
	n.reserved(id, "NYC")
}

// TestSweepSurvivesBrokenRules proves that rules which panic end a sweep with an error that is counted, in a dry run too, and not the node: it sweeps
// again when the rules are others.
func TestSweepSurvivesBrokenRules(t *testing.T) {
	n := startSwept(t)
	n.site("NYC", 40.71, -74.01, "manual")
	n.receive("A", "NYC", 1)
	n.reserved(n.place("1", denver, 1), "NYC")
	good := n.Rules()
	broken := *good
	broken.Set = new(ruleset.Compiled)
	n.SetRules(&broken)
	s := n.sweeper(10)
	if _, err := s.Look(t.Context()); err == nil {
		t.Error("the dry run ended well")
	}
	if _, err := s.Sweep(t.Context()); err == nil || n.Runtime().Stats().Panics.Load() != 2 {
		t.Errorf("the sweep ended with %v, and %d panics were counted", err, n.Runtime().Stats().Panics.Load())
	}
	n.SetRules(good)
	if r := swept(t, s); len(r.Orders) != 1 {
		t.Errorf("by good rules: %+v", r)
	}
}
