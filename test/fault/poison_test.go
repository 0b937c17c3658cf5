//go:build fault && linux

package fault

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"orderyard/gateway/wire"
	"orderyard/messages"
	"orderyard/test/fault/client"
	"orderyard/test/fault/load"
	"orderyard/test/fault/world"
)

// poisoned makes the state machine of orders panic: on the placement of orders named poison-place…, and on the answer of a bucket to orders named
// poison-result…. It is put in on the way to the compiler; the source knows nothing of it.
var poisoned = world.Build{Patch: map[string]func(string) (string, error){
	"actors/order/decide.go": func(text string) (string, error) {
		const at = "func Decide(s *State, cmd messages.Command, now int64) ([]messages.Event, *messages.Reply, error) {\n"
		if strings.Count(text, at) != 1 {
			return "", errors.New("order.Decide is not where it was")
		}
		return strings.Replace(text, at, at+`	named := func(id, what string) bool { return len(id) >= len(what) && id[:len(what)] == what }
	if place, ok := cmd.(*messages.PlaceOrder); ok && named(place.GetOrder().GetExternalId(), "poison-place") {
		panic("poison")
	}
	if _, ok := cmd.(*messages.TaskResult); ok && s.order != nil && named(s.order.GetExternalId(), "poison-result") {
		panic("poison")
	}
`, 1), nil
	},
}}

const poisonTriesMax = 3

// TestF16Poison proves that an order whose handling panics harms nobody but itself: it is tried a few times, then left alone with a plain
// answer, and its neighbors never notice.
func TestF16Poison(t *testing.T) {
	full(t)
	row := results.Row("F16", "poison orders: one panics when placed, one on its bucket's answer", "≤ 3 tries, quarantined, neighbors unharmed")
	s := setUp(t, row, world.Options{Nodes: 3, Build: "poisoned", How: poisoned}, cast{})
	s.poisoned = true
	units := int64(1000)
	got := s.ask.Insist(t.Context(), messages.StockSubject("set"), client.Encode(wire.SetStockRequest{SKU: "POISON", Site: load.Sites[0].ID, OnHand: &units}), "")
	if !got.OK() {
		t.Fatal(got.String())
	}
	victim := s.dial("poison") // its answers are no other client's
	began := time.Now()

	// Sent again and again by a channel that does not give up.
	var told []string
	for range 20 {
		o := victim.Once(t.Context(), messages.PlaceSubject("web"), poisonOrder("poison-place-1"), "")
		told = append(told, o.String())
	}
	placing := s.sum("orderyard_panics_total")
	row.Say("placed 20 times: %.0f tries; last answer %q", placing, told[len(told)-1])
	s.require(placing >= 1 && placing <= poisonTriesMax, "%.0f tries of the poison order, at most %d", placing, poisonTriesMax)
	s.require(strings.Contains(told[len(told)-1], "quarantined"), "the last answer does not say that it is quarantined: %q", told[len(told)-1])

	// Repeated by the house itself, for the bucket's answer comes until it is taken.
	o := victim.Insist(t.Context(), messages.PlaceSubject("web"), poisonOrder("poison-result-1"), "")
	s.require(o.OK(), "the order that is poisonous later was not placed: %s", o.String())
	s.until(time.Minute, "the second order is quarantined", func() error {
		o := victim.Once(t.Context(), messages.OrderSubject("get"), client.Encode(wire.GetOrderRequest{OrderID: "web-poison-result-1"}), "")
		if !strings.Contains(o.String(), "quarantined") {
			return fmt.Errorf("it answers %.100s", o.String())
		}
		return nil
	})
	later := s.sum("orderyard_panics_total") - placing
	row.Say("placed and poisonous later: %.0f tries", later)
	s.require(later >= 1 && later <= poisonTriesMax, "%.0f tries of the order that is poisonous later, at most %d", later, poisonTriesMax)

	time.Sleep(3 * time.Second) // the neighbors' turn
	during := s.load.Between(began, time.Now())
	s.require(during.Failed == 0 && during.Retried == 0, "neighbors were disturbed: %v", during)
	_, _, silence := spread(s.probe.Gaps(began, time.Now()))
	row.Say("neighbors meanwhile: %v; longest silence of a partition %v", during, ms(silence))
	s.audit()
}

func poisonOrder(name string) []byte {
	price, lat, lon := int64(500), 39.75, -104.99
	return client.Encode(wire.Order{
		Channel: "web", ExternalID: name, Currency: "USD",
		ShipTo: wire.Address{Name: "A. Buyer", City: "Denver", PostalCode: "80202", Country: "US", Lat: &lat, Lon: &lon},
		Lines:  []wire.Line{{ID: "1", SKU: "POISON", Quantity: 1, UnitPrice: &price}},
	})
}
