package ruleset

import "slices"

// rankMax is the highest rank of a soft filter.
const rankMax = 100

// kmMax is half the earth's circumference.
const kmMax = 20_016

func (r *reader) filter(v node) Filter {
	known := append(slices.Clone(filterKinds), "soft", "rank")
	f := v.object("a filter", known...)
	flt := Filter{Kind: f.oneKind("filter", filterKinds), at: v.at()}
	if v, ok := f.get("soft"); ok {
		flt.Soft = v.truth()
	}
	if flt.Soft {
		flt.Rank = 1
	}
	if v, ok := f.get("rank"); ok {
		flt.Rank = v.whole(1, rankMax)
		if !flt.Soft {
			v.complain("means nothing without soft: true")
		}
	}
	if flt.Kind == "" {
		return flt
	}
	if v, ok := f.get(flt.Kind); ok {
		flt.at = v.at()
		r.filterValue(&flt, v)
	}
	return flt
}

// filterValue reads what the kind takes. Every kind has one way to write it.
func (r *reader) filterValue(f *Filter, v node) {
	switch f.Kind {
	case filterGroup:
		r.groups(f, v)
	case filterWithinKm:
		f.Number = v.whole(0, kmMax)
	case filterBusinessType:
		f.Words = v.words("types", siteTypes...)
	case filterCountry:
		f.Words = v.countries()
	case filterCarrier:
		f.Words = v.texts("carriers")
		if slices.Contains(f.Words, wordAny) && len(f.Words) > 1 {
			v.complain("says any beside names of carriers")
		}
	case filterStock:
		f.Words = []string{v.word(wordAny, wordLine, wordAll)}
	case filterSafetyStock:
		r.safetyStock(f, v)
	case filterKeepTogether:
		f.Words = v.words("words", wordGroup, wordKit, wordOrder)
	case filterOrderLimit:
		if s, _ := v.raw(); s == wordSite {
			return
		}
		f.Number = v.whole(1, 1<<40)
	case filterShipThreshold:
		f.Number = v.whole(1, 1<<53)
	case filterWeeksOfSupply:
		f.Number = v.whole(1, 520)
	case filterPickCapacity:
		f.Number = v.whole(1, 1<<40)
	case filterSameDay, filterOpenNow:
		f.Number = v.whole(0, 24*60)
	case filterPreselected:
		f.Words = []string{v.word(wordOrder)}
	case filterLabels:
		r.labels(f, v)
	case filterMarket:
		f.Words = v.texts("markets")
	case filterExpr:
		f.Expr = v.expr()
	}
}

func (r *reader) groups(f *Filter, v node) {
	if _, object := v.entries(); !object {
		f.Words = v.texts("groups")
		return
	}
	o := v.object("group", "any", "all", "none")
	if v, ok := o.get("any"); ok {
		f.Words = v.texts("groups")
	}
	if v, ok := o.get("all"); ok {
		f.All = v.texts("groups")
	}
	if v, ok := o.get("none"); ok {
		f.None = v.texts("groups")
	}
	if len(o.names) == 0 && o.wellNamed() {
		v.complain("names no group")
	}
}

// countries reads the word destination, or codes of countries as ISO 3166 has them.
func (v node) countries() []string {
	if s, ok := v.raw(); ok && s == wordDestination {
		return []string{s}
	}
	found := v.texts("countries")
	for _, s := range found {
		if len(s) != 2 || s[0] < 'A' || s[0] > 'Z' || s[1] < 'A' || s[1] > 'Z' {
			v.complain("must be %s or countries of two capital letters, not %q", wordDestination, s)
		}
	}
	return found
}

func (r *reader) safetyStock(f *Filter, v node) {
	if _, object := v.entries(); !object {
		f.Number = v.whole(1, 1<<40)
		return
	}
	o := v.object("safety_stock", "units", "percent")
	if v, ok := o.get("units"); ok {
		f.Number = v.whole(1, 1<<40)
	}
	if v, ok := o.get("percent"); ok {
		f.Percent = v.whole(1, 100)
	}
	if len(o.names) == 0 && o.wellNamed() {
		v.complain("needs units, percent or both")
	}
}

func (r *reader) labels(f *Filter, v node) {
	if _, object := v.entries(); !object {
		f.Words = []string{v.word(wordSite)}
		return
	}
	o := v.object("labels")
	if len(o.names) > listMax {
		v.complain("has %d labels, at most %d are allowed", len(o.names), listMax)
		return
	}
	for _, name := range slices.Sorted(slices.Values(o.names)) {
		v, ok := o.get(name)
		if !ok {
			continue
		}
		l := Label{Label: name}
		places := v.object("a label", "sites", "groups")
		if v, ok := places.get("sites"); ok {
			l.Sites = v.texts("sites")
		}
		if v, ok := places.get("groups"); ok {
			l.Groups = v.texts("groups")
		}
		if len(places.names) == 0 && places.wellNamed() {
			v.complain("names neither sites nor groups")
		}
		f.Labels = append(f.Labels, l)
	}
}
