package ruleset

// Yardstick measures parcels by one rate card, whatever rules made them: two plans are compared by the same ruler. To, then Measure. It keeps
// memory for the next order, so it is not safe for concurrent use: each goroutine takes one of its own.
type Yardstick struct {
	card  *card
	lanes []lane
	order Order // the destination and the service, no more
}

// Parcel is what the card says about what one site sends. What the card or nobody can tell is unknown.
type Parcel struct {
	Boxes   int64  // at least one; more when the weight is above the last weight break
	Price   Number // of the carrier, minor units
	CO2     Number // grams of CO2e
	Arrival Number // Unix milliseconds
}

// Yardstick makes one of the card of that name; of the first card with rates, by name, when the name is empty. It is nil when there is none.
func (c *Compiled) Yardstick(name string) *Yardstick {
	for _, k := range c.cards {
		if k.Name == name || name == "" && len(k.Rates) > 0 {
			return &Yardstick{card: k}
		}
	}
	return nil
}

// Card is the name of the card.
func (y *Yardstick) Card() string { return y.card.Name }

// To says where the next parcels go. A service that the card does not have counts as the card's default.
func (y *Yardstick) To(country, postalCode, service string) {
	y.order.Country, y.order.PostalCode, y.order.Service = country, postalCode, service
	y.lanes = y.card.lanesTo(y.lanes[:0], &y.order)
}

// Measure tells about so many units from a site, of which nobody has told the weight: each counts what the card assumes. The site's facts are
// those of the moment of the decision.
func (y *Yardstick) Measure(s *Site, distanceM Number, units int64) Parcel {
	k, p := y.card, Parcel{Boxes: 1}
	zone, zoned := k.zone(y.lanes, s, distanceM)
	if zoned && k.Zones[zone].Hours.Known && s.DispatchAt.Known {
		p.Arrival = Known(addSat(s.DispatchAt.Value, mulSat(k.Zones[zone].Hours.Value, hourMs)))
	}
	if k.UnitGrams == 0 {
		return p
	}
	grams := mulSat(max(units, 0), k.UnitGrams)
	p.Boxes = k.parcels(grams)
	if zoned {
		p.Price.Value, p.Price.Known = k.price(zone, y.order.Service, grams)
	}
	if distanceM.Known && (k.ParcelCO2 > 0 || k.TonneKmCO2 > 0) {
		p.CO2 = Known(k.emission(grams, distanceM.Value))
	}
	return p
}
