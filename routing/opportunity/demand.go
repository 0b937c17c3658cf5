package opportunity

import (
	"slices"

	"orderyard/messages"
	"orderyard/routing/geo"
	"orderyard/routing/shadow"
)

// Demand is what all nodes have counted. Not safe for concurrent use.
type Demand struct {
	flowsMax int
	flows    map[string]*flow
	regions  map[string]*place
	key      []byte
	lines    []Line
	// Cut is how many flows found no room.
	Cut int64
}

// flow is the orders of one content to one region.
type flow struct {
	key         string
	place       *place
	lines       []Line
	microPerDay int64
}

// place is a region on the map.
type place struct {
	key, country, postal string
	point                geo.Point
}

// NewDemand joins at most so many flows.
func NewDemand(flowsMax int) *Demand {
	return &Demand{flowsMax: flowsMax, flows: map[string]*flow{}, regions: map[string]*place{}}
}

// Add takes up a part of what one node has counted. What makes no sense in it is left out.
func (d *Demand) Add(p *messages.DemandPart) {
	for _, f := range p.Flows {
		if int(f.Region) < len(p.Regions) && f.MicroPerDay > 0 && d.read(f) {
			d.add(p.Regions[f.Region], f.MicroPerDay)
		}
	}
}

// read takes the lines of a flow, and says whether they can be.
func (d *Demand) read(f *messages.DemandFlow) bool {
	if len(f.Skus) == 0 || len(f.Skus) > linesMax || len(f.Skus) != len(f.Quantities) {
		return false
	}
	d.lines = d.lines[:0]
	for i, sku := range f.Skus {
		if q := f.Quantities[i]; q <= 0 || q > shadow.QuantityMax || i > 0 && f.Skus[i-1] >= sku {
			return false
		}
		d.lines = append(d.lines, Line{sku, f.Quantities[i]})
	}
	return true
}

func (d *Demand) add(r *messages.DemandRegion, microPerDay int64) {
	d.key = flowKey(d.key[:0], r.Country, r.Prefix, d.lines)
	if f := d.flows[string(d.key)]; f != nil {
		f.microPerDay += microPerDay
		return
	}
	if len(d.flows) >= d.flowsMax {
		d.Cut++
		return
	}
	key := r.Country + "\x00" + r.Prefix
	at := d.regions[key]
	if at == nil {
		at = &place{key: key, country: r.Country, postal: r.PostalCode}
		if r.Located {
			at.point = geo.PointOf(r.Lat, r.Lon)
		}
		d.regions[key] = at
	}
	d.flows[string(d.key)] = &flow{key: string(d.key), place: at, lines: slices.Clone(d.lines), microPerDay: microPerDay}
}
