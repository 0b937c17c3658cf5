package ruleset

import (
	"errors"
	"slices"
	"strings"
)

// Explain says which test a candidate failed, what it expected and what it found. All are empty for a candidate that passed. It
// judges the candidate anew, which only those named in a record are worth.
func (r *Run) Explain(candidate int) (filter, expected, actual string) {
	v := r.verdicts[candidate]
	if v.Failed == Passed {
		return "", "", ""
	}
	if v.Failed >= 0 {
		r.judge(candidate)
		r.verdicts[candidate] = v
		f := &r.rule.filters[v.Failed]
		expected, actual = r.explain(f, int(v.Failed))
		return f.Kind, expected, actual
	}
	switch v.Failed {
	case FailedStock:
		return filterStock, r.neededText(), "0"
	case FailedValue:
		r.judge(candidate)
		r.verdicts[candidate] = v
		least := "at least " + itoa(r.rule.Split.PartValueMin)
		return "part_value_min", least + " in both parts", itoa(r.given.value) + " and " + itoa(r.all.value-r.given.value)
	case FailedPenalty:
		return "penalty_max", "at most " + itoa(r.rule.PenaltyMax), itoa(v.Penalty)
	}
	return "backup", "turn " + itoa(int64(r.admitted)) + " or before", "turn " + itoa(int64(v.Backup))
}

func (r *Run) neededText() string {
	if len(r.skus) == 1 {
		return itoa(r.all.units) + " of " + r.skus[0]
	}
	return "any of " + itoa(int64(len(r.skus))) + " SKUs"
}

// explain puts one failed filter into words, for the site being judged.
func (r *Run) explain(f *filter, index int) (expected, actual string) {
	s := r.here.Site
	switch f.op {
	case opGroup:
		return f.groupText(), words(s.Groups)
	case opWithinKm:
		return "within " + itoa(f.Number) + " km", itoa(r.here.DistanceM.Value/1000) + " km"
	case opBusinessType:
		return words(f.Words), s.Type
	case opCountry:
		if f.Words[0] == wordDestination {
			return r.order.Country, s.Country
		}
		return words(f.Words), s.Country
	case opCarrier:
		return strings.TrimSpace(words(f.Words) + " " + r.order.Service), carriersText(s)
	case opStock:
		return r.stockText(f)
	case opShipThreshold:
		return "a part worth " + itoa(f.Number), itoa(r.give().value)
	case opSafetyStock, opWeeksOfSupply:
		return r.keptText(f)
	case opKeepTogether:
		return "whole " + words(f.Words), "a part"
	case opPreselected:
		return words(r.order.Preselected), s.ID
	case opLabels:
		return r.labelText(f)
	case opMarket:
		if f.Words[0] == wordOrder {
			return r.order.Market, words(s.Markets)
		}
		return words(f.Words), words(s.Markets)
	case opExpr:
		if a := r.askFilter(f, index); a.err != nil && !errors.Is(a.err, errUnknown) {
			return f.Expr.Text, a.err.Error()
		}
		return f.Expr.Text, "false"
	}
	return r.explainCapacity(f)
}

func (r *Run) explainCapacity(f *filter) (expected, actual string) {
	s := r.here.Site
	switch f.op {
	case opOrderLimit:
		most := f.Number
		if s.OrderLimit.Known && (most == 0 || s.OrderLimit.Value < most) {
			most = s.OrderLimit.Value
		}
		return "less than " + itoa(most) + " in the window", itoa(s.OrdersInWindow.Value)
	case opPickCapacity:
		return "room for " + itoa(f.Number), itoa(s.CapacityLeft.Value)
	case opSameDay:
		return "cut-off not before " + timeText(r.now+f.Number*60_000), whenText(s.SameDayUntil.Value, "nothing leaves today")
	case opOpenNow:
		return "open beyond " + timeText(r.now+f.Number*60_000), whenText(s.OpenUntil.Value, "closed")
	}
	return "", ""
}

func whenText(ms int64, otherwise string) string {
	if ms == 0 {
		return otherwise
	}
	return timeText(ms)
}

func words(list []string) string {
	if len(list) == 0 {
		return "none"
	}
	return strings.Join(list, " ")
}

func (f *filter) groupText() string {
	var parts []string
	if len(f.Words) > 0 {
		parts = append(parts, "any of "+words(f.Words))
	}
	if len(f.All) > 0 {
		parts = append(parts, "all of "+words(f.All))
	}
	if len(f.None) > 0 {
		parts = append(parts, "none of "+words(f.None))
	}
	return strings.Join(parts, ", ")
}

func carriersText(s *Site) string {
	list := make([]string, len(s.Carriers))
	for i, c := range s.Carriers {
		list[i] = strings.TrimSpace(c.Name + " " + c.Service)
	}
	return words(list)
}

func (r *Run) stockText(f *filter) (expected, actual string) {
	given := r.give()
	switch f.Words[0] {
	case wordAll:
		return itoa(r.all.units) + " units", itoa(given.units)
	case wordLine:
		return "a whole line", "parts of lines, " + itoa(given.units) + " units"
	}
	return r.neededText(), itoa(given.units)
}

// keptText names the SKU that came closest to leaving something.
func (r *Run) keptText(f *filter) (expected, actual string) {
	best, name := int64(-1), ""
	for k := range r.skus {
		if k < len(r.here.Stock) && r.here.Stock[k].ATP > best {
			best, name = r.here.Stock[k].ATP, r.skus[k]
		}
	}
	keep := itoa(f.Number) + " units"
	switch {
	case f.op == opWeeksOfSupply:
		keep = itoa(f.Number) + " weeks of supply"
	case f.Percent > 0 && f.Number > 0:
		keep = itoa(f.Number) + " units and " + itoa(f.Percent) + " percent"
	case f.Percent > 0:
		keep = itoa(f.Percent) + " percent"
	}
	return "more than " + keep + " of " + name, itoa(best)
}

func (r *Run) labelText(f *filter) (expected, actual string) {
	for i := range r.order.Lines {
		label := ""
		if r.lineSKU[i] >= 0 {
			label = f.forbidden(&r.order.Lines[i], r.here.Site)
		}
		if label == "" {
			continue
		}
		at := slices.IndexFunc(f.Labels, func(l Label) bool { return l.Label == label })
		if at < 0 {
			return label, words(r.here.Site.LabelsAllowed)
		}
		places := slices.Concat(f.Labels[at].Sites, f.Labels[at].Groups)
		return label + " from " + words(places), strings.TrimSpace(r.here.Site.ID + " " + strings.Join(r.here.Site.Groups, " "))
	}
	return "", ""
}
