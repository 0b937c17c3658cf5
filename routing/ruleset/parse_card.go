package ruleset

import (
	"cmp"
	"slices"
)

// priceMax bounds every amount of a card, in minor units.
const priceMax = 1 << 40

func (r *reader) cards(v node) []Card {
	f := v.object("cards")
	if len(f.names) > cardsMax {
		v.complain("has %d cards, at most %d are allowed", len(f.names), cardsMax)
		return nil
	}
	var found []Card
	for _, name := range f.names {
		v, ok := f.get(name)
		if !ok {
			continue
		}
		if !identifier(name) {
			r.complain(f.keys[name], "must be letters, digits and '_', beginning with a letter")
		}
		found = append(found, r.card(name, v))
	}
	slices.SortFunc(found, func(a, b Card) int { return cmp.Compare(a.Name, b.Name) })
	return found
}

func (r *reader) card(name string, v node) Card {
	c := Card{Name: name, at: v.at()}
	f := v.object("a card", "zones", "prefixes", "grams", "rates", "default_service", "unit_grams", "co2")
	if v, ok := f.need("zones"); ok {
		c.Zones = r.zones(v)
	}
	if v, ok := f.get("prefixes"); ok {
		for _, item := range v.list("prefixes", prefixesMax) {
			c.Prefixes = append(c.Prefixes, r.prefix(item, &c))
		}
	}
	if v, ok := f.get("grams"); ok {
		c.Grams = v.ascending("grams", breaksMax)
	}
	if v, ok := f.get("rates"); ok {
		c.Rates = r.rates(v, &c)
	}
	if v, ok := f.get("default_service"); ok {
		c.Service = v.text(textBytesMax)
		if !slices.ContainsFunc(c.Rates, func(r Rate) bool { return r.Service == c.Service }) {
			v.complain("names %q, which is no service of the card", c.Service)
		}
	}
	if v, ok := f.get("unit_grams"); ok {
		c.UnitGrams = v.whole(1, 1<<30)
	}
	if v, ok := f.get("co2"); ok {
		f := v.object("co2", "parcel_g", "tonne_km_g")
		if v, ok := f.get("parcel_g"); ok {
			c.ParcelCO2 = v.whole(0, 1<<30)
		}
		if v, ok := f.get("tonne_km_g"); ok {
			c.TonneKmCO2 = v.whole(0, 1<<20)
		}
	}
	return c
}

// ascending reads a list of growing numbers.
func (v node) ascending(what string, itemsMax int) []int64 {
	var found []int64
	for _, item := range v.list(what, itemsMax) {
		n := item.whole(1, 1<<40)
		if len(found) > 0 && n <= found[len(found)-1] {
			item.complain("must be more than %d, the one before", found[len(found)-1])
		}
		found = append(found, n)
	}
	return found
}

// zones must ascend by distance, and only the last of those may be without end.
func (r *reader) zones(v node) []Zone {
	var found []Zone
	furthest := int64(0)
	for _, item := range v.list("zones", zonesMax) {
		f := item.object("a zone", "name", "km", "hours")
		z := Zone{at: item.at()}
		if v, ok := f.need("name"); ok {
			z.Name = v.name()
			if slices.ContainsFunc(found, func(o Zone) bool { return o.Name == z.Name }) {
				v.complain("is the name of an earlier zone")
			}
		}
		if v, ok := f.get("km"); ok {
			if s, _ := v.raw(); s == wordAny {
				z.Open, furthest = true, kmMax
			} else {
				z.Km = v.whole(1, kmMax)
				switch {
				case furthest == kmMax:
					v.complain("stands behind a zone without end")
				case z.Km <= furthest:
					v.complain("must be more than %d, the zone before", furthest)
				}
				furthest = max(furthest, z.Km)
			}
		}
		if v, ok := f.get("hours"); ok {
			z.Hours = Known(v.whole(0, 24*365))
		}
		found = append(found, z)
	}
	if len(found) == 0 && v.isList() {
		v.complain("names no zone")
	}
	return found
}

func (r *reader) prefix(v node, c *Card) Prefix {
	var p Prefix
	f := v.object("a prefix", "from", "to", "zone")
	if v, ok := f.get("from"); ok {
		p.From = v.text(textBytesMax)
	}
	if v, ok := f.get("to"); ok {
		p.To = v.text(textBytesMax)
	}
	if v, ok := f.need("zone"); ok {
		p.Zone = v.name()
		c.checkZone(v, p.Zone)
	}
	return p
}

func (c *Card) checkZone(v node, name string) {
	if name == "" || slices.ContainsFunc(c.Zones, func(z Zone) bool { return z.Name == name }) {
		return
	}
	var names []string
	for _, z := range c.Zones {
		names = append(names, z.Name)
	}
	v.complain("names %q, which is no zone of the card%s", name, didYouMean(name, names))
}

func (r *reader) rates(v node, c *Card) []Rate {
	f := v.object("rates")
	if len(f.names) > servicesMax {
		v.complain("has %d services, at most %d are allowed", len(f.names), servicesMax)
		return nil
	}
	var found []Rate
	for _, service := range slices.Sorted(slices.Values(f.names)) {
		v, ok := f.get(service)
		if !ok {
			continue
		}
		rate := Rate{Service: service, Rows: make([]Price, len(c.Zones))}
		rows := v.object("a service")
		for _, name := range rows.names {
			i := slices.IndexFunc(c.Zones, func(z Zone) bool { return z.Name == name })
			if row, ok := rows.get(name); ok && i >= 0 {
				rate.Rows[i] = r.price(row, c)
			} else if i < 0 {
				key := node{r, rows.values[name].n, rows.keys[name].Key}
				c.checkZone(key, name)
			}
		}
		for _, z := range c.Zones {
			if _, ok := rows.values[z.Name]; !ok && z.Name != "" && len(rows.names) > 0 {
				v.complain("has no price for zone %s", z.Name)
			}
		}
		found = append(found, rate)
	}
	return found
}

func (r *reader) price(v node, c *Card) Price {
	var p Price
	if _, object := v.entries(); object {
		f := v.object("a price", "fixed", "per_kg")
		if v, ok := f.get("fixed"); ok {
			p.Fixed = v.whole(0, priceMax)
		}
		if v, ok := f.get("per_kg"); ok {
			p.PerKg = v.whole(0, priceMax)
		}
		return p
	}
	for _, item := range v.list("prices, one for each of grams", breaksMax) {
		p.Breaks = append(p.Breaks, item.whole(0, priceMax))
	}
	if v.isList() && len(p.Breaks) != len(c.Grams) {
		v.complain("has %d prices for %d weights in grams", len(p.Breaks), len(c.Grams))
	}
	return p
}
