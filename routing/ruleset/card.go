package ruleset

import (
	"cmp"
	"slices"
	"strings"
)

// card is a rate card ready to be asked.
type card struct {
	*Card
	index    int // among the cards of the set
	lanes    []lane
	distance bool // has zones by distance
}

// lane is a prefix, taken apart.
type lane struct {
	fromCountry, fromPostal, toCountry, toPostal string
	zone                                         int32
}

func newCard(c *Card, index int) *card {
	k := &card{Card: c, index: index}
	for _, z := range c.Zones {
		k.distance = k.distance || z.Km > 0 || z.Open
	}
	for _, p := range c.Prefixes {
		l := lane{zone: int32(slices.IndexFunc(c.Zones, func(z Zone) bool { return z.Name == p.Zone }))}
		l.fromCountry, l.fromPostal, _ = strings.Cut(p.From, " ")
		l.toCountry, l.toPostal, _ = strings.Cut(p.To, " ")
		k.lanes = append(k.lanes, l)
	}
	// The longest destination counts, then the longest origin; of equal ones the first written.
	slices.SortStableFunc(k.lanes, func(a, b lane) int {
		return cmp.Or(
			cmp.Compare(len(b.toPostal), len(a.toPostal)), cmp.Compare(len(b.toCountry), len(a.toCountry)),
			cmp.Compare(len(b.fromPostal), len(a.fromPostal)), cmp.Compare(len(b.fromCountry), len(a.fromCountry)),
		)
	})
	return k
}

func fits(country, postal, ofCountry, ofPostal string) bool {
	return (country == "" || country == ofCountry) && strings.HasPrefix(ofPostal, postal)
}

// lanesTo are the prefixes that fit the destination of an order, the most exact ones first.
func (k *card) lanesTo(into []lane, o *Order) []lane {
	for _, l := range k.lanes {
		if fits(l.toCountry, l.toPostal, o.Country, o.PostalCode) {
			into = append(into, l)
		}
	}
	return into
}

// zone is the zone of a parcel from a site: by postal prefixes where one fits, else by distance.
func (k *card) zone(lanes []lane, s *Site, distanceM Number) (int32, bool) {
	for i := range lanes {
		if l := &lanes[i]; fits(l.fromCountry, l.fromPostal, s.Country, s.PostalCode) {
			return l.zone, true
		}
	}
	if !k.distance || !distanceM.Known {
		return 0, false
	}
	for i := range k.Zones {
		if z := &k.Zones[i]; z.Open || z.Km > 0 && distanceM.Value <= z.Km*1000 {
			return int32(i), true
		}
	}
	return 0, false
}

// parcels is how many parcels so many grams make: a parcel holds at most the last weight break.
func (k *card) parcels(grams int64) int64 {
	if len(k.Grams) == 0 {
		return 1
	}
	return max(divUp(max(grams, 0), k.Grams[len(k.Grams)-1]), 1)
}

// price is what parcels of so many grams cost: full ones of the last weight break, and one for the rest. It abstains when the card
// does not have the service.
func (k *card) price(zone int32, service string, grams int64) (int64, bool) {
	rate := k.rate(service)
	if rate == nil {
		return 0, false
	}
	row := &rate.Rows[zone]
	grams = max(grams, 0)
	if len(row.Breaks) == 0 {
		parcels := k.parcels(grams)
		kilos := mulDiv(grams, row.PerKg, 1000)
		if row.PerKg > 0 && grams%1000*(row.PerKg%1000)%1000 > 0 {
			kilos = addSat(kilos, 1) // a started unit of money counts whole
		}
		return addSat(mulSat(parcels, row.Fixed), kilos), true
	}
	last := len(k.Grams) - 1
	full, rest := grams/k.Grams[last], grams%k.Grams[last]
	price := mulSat(full, row.Breaks[last])
	if rest > 0 || full == 0 {
		i, _ := slices.BinarySearch(k.Grams, rest)
		price = addSat(price, row.Breaks[i])
	}
	return price, true
}

func (k *card) rate(service string) *Rate {
	if service == "" {
		service = k.Service
	}
	for i := range k.Rates {
		if k.Rates[i].Service == service {
			return &k.Rates[i]
		}
	}
	if service == k.Service || k.Service == "" {
		return nil
	}
	return k.rate(k.Service)
}

// emission is the grams of CO2e of parcels of so many grams over a distance.
func (k *card) emission(grams, meters int64) int64 {
	perParcel := mulSat(k.parcels(grams), k.ParcelCO2)
	// grams × meters × g per tonne-kilometer ÷ 10⁹; the first product fits easily for what travels on earth.
	return addSat(perParcel, mulDiv(mulSat(max(grams, 0), max(meters, 0)), k.TonneKmCO2, 1_000_000_000))
}
