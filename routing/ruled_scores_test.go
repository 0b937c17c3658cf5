package routing

import (
	"fmt"
	"testing"

	"orderyard/messages"
)

// TestPenaltiesKeepEveryScore proves that a sum of penalties counts every score by its weight, whatever the scores count per: what is ten times as far
// does not win to save a cent, nor what is dear to save a meter, and the order of the scores is all the same.
func TestPenaltiesKeepEveryScore(t *testing.T) {
	const set = `
name: sums
routes:
  - name: all
    rules:
      - name: one
        filters: [stock: any]
        scores: [%s]
        reducer: penalty_sum
        actions: {full: assign_many, partial: [assign_many, backorder], none: backorder}
fallback: all
`
	cheap, far := east("far", 9), int64(300_000)
	near, next := east("near", 1), east("next", 1.00001)
	near.CostPerOrder, next.CostPerOrder = 1, far
	net := newNetwork().addSite(near).addSite(cheap).addSite(next).setStock("A", "far", 5).setStock("A", "near", 5).setStock("A", "next", 5)
	req := &messages.PlanRequest{ShipTo: at0(), Partial: "split", SplitsLeft: 3, Needs: []*messages.LineNeed{line(0, "A", 1)}}
	for _, c := range []struct{ scores, best, second string }{
		{"{cost: {}, per: 1000}, {distance: {}, weight: 1000, per: 1609}", "near", "next"},
		{"{distance: {}, weight: 1000, per: 1609}, {cost: {}, per: 1000}", "near", "next"},
		{"{cost: {}, weight: 1000, per: 1609}, {distance: {}, per: 1000}", "near", "far"},
		{"{distance: {}, per: 1000}, {cost: {}, weight: 1000, per: 1609}", "near", "far"},
		{"{cost: {}, per: 1000}, {distance: {}, per: 1000003}", "near", "far"},
		{"{distance: {}, per: 1000003}", "near", "next"},
		{"{distance: {}, weight: 1073741824, per: 1073741823}, {cost: {}, weight: 7, per: 999983}", "near", "next"},
	} {
		p := Route(req, net, byRules(t, fmt.Sprintf(set, c.scores)), oracleNow)
		if d := p.Decision; gives(p) != c.best+":1" || len(d.RunnerUp) != 1 || d.RunnerUp[0] != c.second {
			t.Errorf("%s: %s gives, then %v; want %s, then %s: %v", c.scores, gives(p), d.RunnerUp, c.best, c.second, d.Objective)
		}
	}
}

// lastSet has a card that ends at a thousand kilometers.
const lastSet = `
name: last
cards:
  parcel:
    zones: [{name: near, km: 300, hours: 24}, {name: far, km: 1000, hours: 96}]
    grams: [500, 2000]
    rates: {standard: {near: [500, 700], far: [900, 1400]}}
    default_service: standard
    unit_grams: 400
    co2: {parcel_g: 100, tonne_km_g: 50}
routes:
  - name: all
    rules:
      - name: one
        filters: [stock: any]
        scores: [%s]
        reducer: %s
        actions: {full: assign_many, partial: [assign_many, backorder], none: backorder}
fallback: all
`

// TestLastComesLast proves that a site which a score puts last is taken after those that it knows, though it is better in all that comes behind: one
// that the card does not reach after the dearest one, in a comparison and in a sum. One that would break the promise gains nothing by its stock where
// nobody knows how fast it sells.
func TestLastComesLast(t *testing.T) {
	far, out := east("FAR", 8.09), east("OUT", 27) // 900 km and 3,000 km
	far.CostPerOrder, far.Rank = 5, 9
	late := east("LATE", 8.09)
	late.Calendar, far.Calendar = atOnce{}, atOnce{}
	near := east("NEAR", 1)
	near.Calendar, late.CostPerOrder = atOnce{}, 9
	for _, c := range []struct {
		scores, reducer, want string
		sites                 []*Site
		by                    string
	}{
		{"{cost: {card: parcel, handling: false}, missing: last}", "first_difference", "FAR", []*Site{far, out}, ""},
		{"{cost: {card: parcel, handling: false, split_penalty: 300}, missing: last}", "first_difference", "FAR", []*Site{far, out}, ""},
		{"{cost: {card: parcel, handling: false}, missing: last}, {expr: 'site.rank', prefer: low}", "first_difference", "FAR", []*Site{far, out}, ""},
		{"{cost: {card: parcel, handling: false}, missing: last}", "penalty_sum", "FAR", []*Site{far, out}, ""},
		{"{cost: {card: parcel, handling: false}, missing: last}, {expr: 'site.rank'}", "penalty_sum", "OUT", []*Site{far, out}, ""},
		{"{zone: {card: parcel}, missing: last}", "first_difference", "FAR", []*Site{far, out}, ""},
		{"{turnover: {promise_card: parcel}, missing: last}", "first_difference", "NEAR", []*Site{near, late}, "1970-01-03"},
	} {
		net := newNetwork()
		for _, s := range c.sites {
			site := *s
			net.addSite(&site).setStock("A", s.ID, 9)
		}
		req := &messages.PlanRequest{ShipTo: at0(), Partial: "split", SplitsLeft: 3, DeliverBy: c.by, Needs: []*messages.LineNeed{line(0, "A", 4)}}
		p := Route(req, net, byRules(t, fmt.Sprintf(lastSet, c.scores, c.reducer)), oracleNow)
		if gives(p) != c.want+":4" {
			t.Errorf("%s by %s: %s gives, want %s: %v", c.scores, c.reducer, gives(p), c.want, p.Decision)
		}
	}
}

// atOnce is a calendar of a site that dispatches what it accepts.
type atOnce struct{}

func (atOnce) WorkDays(now int64) *WorkDays {
	return &WorkDays{From: now, Until: now + 1, Works: true, Days: []WorkDay{{OpensAt: now, CutOffAt: now + 1, ClosesAt: now + 1}}}
}
