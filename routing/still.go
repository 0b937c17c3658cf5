package routing

// still is a view that repeats its first answers.
type still struct {
	of     View
	ids    []string
	listed bool
	sites  map[string]*Site
	stock  map[string][]SiteStock

	prices Prices
	priced bool
}

// Still is a view as it is when it is asked first: asked again it says the same, whatever has become of the one behind it. It is for who makes several
// decisions that must fit together, on a view that others write. It is for one goroutine.
func Still(v View) View {
	return &still{of: v, sites: map[string]*Site{}, stock: map[string][]SiteStock{}}
}

// Stock implements View.
func (v *still) Stock(sku string) []SiteStock {
	rows, asked := v.stock[sku]
	if !asked {
		rows = v.of.Stock(sku)
		v.stock[sku] = rows
	}
	return rows
}

// Site implements View.
func (v *still) Site(id string) (*Site, bool) {
	s, asked := v.sites[id]
	if !asked {
		s, _ = v.of.Site(id)
		v.sites[id] = s
	}
	return s, s != nil
}

// SiteIDs implements View.
func (v *still) SiteIDs() []string {
	if !v.listed {
		v.ids, v.listed = v.of.SiteIDs(), true
	}
	return v.ids
}

// Prices implements Priced.
func (v *still) Prices(now int64) Prices {
	if p, ok := v.of.(Priced); ok && !v.priced {
		v.prices, v.priced = p.Prices(now), true
	}
	return v.prices
}
