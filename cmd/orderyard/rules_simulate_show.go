package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"orderyard/gateway/wire"
	"orderyard/messages"
	"orderyard/routing/ruleset"
	"orderyard/routing/whatif"
)

// simulated is the answer for programs. Amounts are minor units.
type simulated struct {
	Source      string            `json:"source"`
	Orders      int               `json:"orders"`
	First       wire.Time         `json:"first_placed_at"`
	Last        wire.Time         `json:"last_placed_at"`
	Cancelled   int               `json:"cancelled_left_out"`
	Rejected    int               `json:"rows_left_out"`
	Sites       int               `json:"sites"`
	SKUs        int               `json:"skus"`
	Card        string            `json:"card,omitempty"`
	Currency    string            `json:"currency,omitempty"`
	Base        simulatedSide     `json:"base"`
	Candidate   simulatedSide     `json:"candidate"`
	Figures     []simulatedFigure `json:"figures"`
	Changed     int64             `json:"orders_changed"`
	MostChanged []simulatedChange `json:"most_changed"`
	Seconds     float64           `json:"seconds"`
}

type simulatedSide struct {
	Rules string        `json:"rules_version"`
	Tally *whatif.Tally `json:"tally"`
}

type simulatedFigure struct {
	Name       string  `json:"figure"`
	Unit       string  `json:"unit,omitempty"`
	Base       decimal `json:"base"` // null = nobody knows
	Candidate  decimal `json:"candidate"`
	Difference decimal `json:"difference"`
	means      string
}

type simulatedChange struct {
	Order     string        `json:"order_id"`
	Cost      int64         `json:"cost_difference"`
	Packages  int64         `json:"packages_difference"`
	Base      simulatedPlan `json:"base"`
	Candidate simulatedPlan `json:"candidate"`
}

type simulatedPlan struct {
	Plan     string `json:"plan"`
	Cost     int64  `json:"cost"`
	Packages int64  `json:"packages"`
	Short    int64  `json:"units_short"`
}

// decimal is a number with a fixed number of digits behind the point, or an unknown one.
type decimal struct {
	ruleset.Number
	places int
}

// MarshalJSON writes a number, or null.
func (d decimal) MarshalJSON() ([]byte, error) {
	if !d.Known {
		return []byte("null"), nil
	}
	return []byte(d.digits()), nil
}

func (d decimal) digits() string {
	digits := strconv.FormatUint(magnitude(d.Value), 10)
	if d.places > 0 {
		if len(digits) <= d.places {
			digits = strings.Repeat("0", d.places-len(digits)+1) + digits
		}
		digits = digits[:len(digits)-d.places] + "." + digits[len(digits)-d.places:]
	}
	if d.Value < 0 {
		digits = "-" + digits
	}
	return digits
}

// text is for people.
func (d decimal) text(signed bool) string {
	switch {
	case !d.Known:
		return "unknown"
	case signed && d.Value == 0:
		return "-"
	case signed && d.Value > 0:
		return "+" + d.digits()
	}
	return d.digits()
}

// report makes the answer of a finished run.
func (s *simulation) report() *simulated {
	p := s.past
	out := &simulated{
		Source: p.source, Orders: len(p.orders), First: wire.Time(p.orders[0].PlacedAtMs), Last: wire.Time(p.orders[len(p.orders)-1].PlacedAtMs),
		Cancelled: p.cancelled, Rejected: p.rejected, Sites: p.yard.Sites(), SKUs: p.yard.SKUs(), Card: s.card, Currency: currencyOf(p.orders),
		Base: simulatedSide{s.base.Version, s.sides[0].Tally()}, Candidate: simulatedSide{s.candidate.Version, s.sides[1].Tally()},
		Changed: s.compared.Changed, MostChanged: []simulatedChange{}, Seconds: s.seconds,
	}
	out.Figures = figuresOf(out.Base.Tally, out.Candidate.Tally, out.Currency)
	out.MostChanged = append(out.MostChanged, changesOf(s.compared.Most())...)
	return out
}

func changesOf(most []whatif.Change) (list []simulatedChange) {
	for _, c := range most {
		list = append(list, simulatedChange{c.Order, c.Cost(), c.Packages(), planOf(&c.Base), planOf(&c.New)})
	}
	return list
}

func planOf(o *whatif.Outcome) simulatedPlan {
	return simulatedPlan{o.String(), o.Cost(), o.Packages(), o.Short}
}

// currencyOf is that of all orders, or none: amounts of several currencies are added as they are, which only compares what costs the same.
func currencyOf(orders []*messages.Order) string {
	for _, o := range orders {
		if o.Currency != orders[0].Currency {
			return ""
		}
	}
	return orders[0].Currency
}

// unitMoney is the unit of figures that are amounts.
const unitMoney = "money"

func figuresOf(base, candidate *whatif.Tally, currency string) []simulatedFigure {
	var list []simulatedFigure
	for _, f := range whatif.Figures(base, candidate) {
		unit, places := f.Unit, f.Decimals
		if unit == unitMoney {
			unit = currency
			if n, ok := decimals[currency]; ok {
				places = n
			}
		}
		list = append(list, simulatedFigure{f.Name, unit, decimal{f.Base, places}, decimal{f.New, places}, decimal{f.Difference(), places}, f.Means})
	}
	return list
}

func (a *app) showSimulation(s *simulation, explain bool) error {
	out := s.report()
	if a.output == outputJSON {
		return a.printValue(out)
	}
	if err := a.println(clean(out.head())); err != nil {
		return err
	}
	for _, section := range []*rows{a.figureRows(out, explain), a.actionRows(out), a.loadRows(out, s.past.types), a.changeRows(out)} {
		if err := section.section(); err != nil {
			return err
		}
	}
	return a.println(fmt.Sprintf("\n%s of %d routed differently. No site rejected and nothing was routed again, received or returned: see --explain-figures.",
		plural(int(out.Changed), "order"), out.Orders))
}

// head says in a few lines what was compared with what.
func (s *simulated) head() string {
	text := fmt.Sprintf("%s of %s, placed %s to %s, on %s with %s, in %.1f s", plural(s.Orders, "order"), s.Source, moment(s.First), moment(s.Last),
		plural(s.Sites, "site"), plural(s.SKUs, "SKU"), s.Seconds)
	if s.Cancelled > 0 {
		text += fmt.Sprintf("; %s left out", plural(s.Cancelled, "cancellation"))
	}
	if s.Rejected > 0 {
		text += fmt.Sprintf("; %s left out", plural(s.Rejected, "wrong row"))
	}
	if s.Card != "" {
		return text + ". Both sides are measured by the card " + s.Card + "."
	}
	return text + ". No rule set has a rate card: costs are the sites' own, and nobody knows emissions and arrival."
}

func (a *app) figureRows(s *simulated, explain bool) *rows {
	columns := []string{"FIGURE", "#PRESENT " + s.Base.Rules, "#CANDIDATE " + s.Candidate.Rules, "#DIFFERENCE"}
	if explain {
		columns = append(columns, "MEANS")
	}
	t := a.table(columns...)
	for _, f := range s.Figures {
		cells := []any{figureName(f.Name, f.Unit), f.Base.text(false), f.Candidate.text(false), f.Difference.text(true)}
		if explain {
			cells = append(cells, f.means)
		}
		t.add(cells...)
	}
	return t
}

// figureName is a figure's name with its unit, for people.
func figureName(name, unit string) string {
	name = strings.ReplaceAll(name, "_", " ")
	if unit == "" || strings.HasPrefix(name, unit+" ") {
		return name
	}
	return name + ", " + unit
}

func (a *app) actionRows(s *simulated) *rows {
	t := a.table("ACTION SAID", "#PRESENT", "#CANDIDATE", "#DIFFERENCE")
	base, candidate := s.Base.Tally.Actions, s.Candidate.Tally.Actions
	for _, word := range union(base, candidate) {
		t.add(word, base[word], candidate[word], difference(candidate[word]-base[word]))
	}
	return t
}

func (a *app) loadRows(s *simulated, types map[string]string) *rows {
	t := a.table("SITE", "TYPE", "#ORDERS", "#CANDIDATE", "#DIFFERENCE", "#UNITS", "#CANDIDATE", "#DIFFERENCE")
	for _, id := range union(s.Base.Tally.Sites, s.Candidate.Tally.Sites) {
		base, candidate := whatif.Load{}, whatif.Load{}
		if l := s.Base.Tally.Sites[id]; l != nil {
			base = *l
		}
		if l := s.Candidate.Tally.Sites[id]; l != nil {
			candidate = *l
		}
		t.add(id, types[id], base.Orders, candidate.Orders, difference(candidate.Orders-base.Orders),
			base.Units, candidate.Units, difference(candidate.Units-base.Units))
	}
	return t
}

func (a *app) changeRows(s *simulated) *rows {
	t := a.table("MOST CHANGED", "#COST", "#PACKAGES", "PRESENT PLAN", "CANDIDATE'S PLAN")
	places := 2
	if n, ok := decimals[s.Currency]; ok {
		places = n
	}
	for _, c := range s.MostChanged {
		t.add(c.Order, decimal{ruleset.Known(c.Cost), places}.text(true), difference(c.Packages), c.Base.Plan, c.Candidate.Plan)
	}
	return t
}

func difference(n int64) string { return decimal{ruleset.Known(n), 0}.text(true) }

// union are the keys of both maps, sorted.
func union[V any](a, b map[string]V) []string {
	keys := slices.AppendSeq(slices.Collect(maps.Keys(a)), maps.Keys(b))
	slices.SortFunc(keys, cmp.Compare[string])
	return slices.Compact(keys)
}

// explainFigures says what each figure means.
func (a *app) explainFigures() error {
	list := figuresOf(&whatif.Tally{}, &whatif.Tally{}, "")
	if a.output == outputJSON {
		meanings := map[string]string{}
		for _, f := range list {
			meanings[f.Name] = f.means
		}
		return a.printValue(meanings)
	}
	t := a.table("FIGURE", "MEANS")
	for _, f := range list {
		t.add(figureName(f.Name, f.Unit), f.means)
	}
	return t.print("")
}

var _ json.Marshaler = decimal{}
