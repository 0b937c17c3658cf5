package opportunity

import (
	"cmp"
	"encoding/binary"
	"math"
	"slices"
	"strings"

	"orderyard/messages"
	"orderyard/routing/geo"
	"orderyard/routing/shadow"
)

const (
	// linesMax bounds the lines of a flow. Longer orders are counted line by line: nobody orders the same forty things again, and the search
	// for the best way to ship them grows with every line.
	linesMax = 16
	// forgetBelow is when a flow is forgotten: one order, seven half-lives later.
	forgetBelow = 1.0 / 128
	// youngest is the share of a half-life that a counter is taken to have counted at least, so that the first orders after a start make
	// no flood.
	youngest = 1.0 / 64
	// placeMax bounds how many destinations a region remembers, so that its middle follows.
	placeMax = 1000
	// dayMs is a day.
	dayMs = 24 * 60 * 60 * 1000
)

// CounterOptions say how to count. All are required.
type CounterOptions struct {
	HalfLifeMs   int64 // after so long an order counts half
	FlowsMax     int   // contents × regions
	PostalDigits int   // of a postal code make a region
}

// Counter counts orders. Not safe for concurrent use.
type Counter struct {
	o       CounterOptions
	began   int64
	flows   map[string]*counted
	regions map[string]*region
	key     []byte
	lines   []Line

	// Apart counts flows that were taken apart into their lines for want of room, Lost those that were forgotten for it.
	Apart, Lost int64
}

// Line is one SKU of a flow.
type Line struct {
	SKU      string
	Quantity int64
}

// counted is one flow.
type counted struct {
	region *region
	lines  []Line // by SKU, each once
	orders float64
	at     int64
}

// region is where orders go.
type region struct {
	country, prefix, postal string // postal is one whole code
	lat, lon                float64
	places                  float64 // that the middle is of
}

// NewCounter begins to count.
func NewCounter(o CounterOptions, now int64) *Counter {
	return &Counter{o: o, began: now, flows: map[string]*counted{}, regions: map[string]*region{}}
}

// Flows is how many are counted.
func (c *Counter) Flows() int { return len(c.flows) }

// Count takes up the question of an order that was placed.
func (c *Counter) Count(req *messages.PlanRequest, now int64) {
	c.readLines(req)
	if len(c.lines) == 0 {
		return
	}
	if len(c.lines) <= linesMax {
		c.add(req.ShipTo, c.lines, now)
		return
	}
	for i := range c.lines {
		c.add(req.ShipTo, c.lines[i:i+1], now)
	}
}

func (c *Counter) readLines(req *messages.PlanRequest) {
	c.lines = c.lines[:0]
	for _, n := range req.Needs {
		if n.Quantity <= 0 {
			continue
		}
		i, found := slices.BinarySearchFunc(c.lines, n.Sku, func(l Line, sku string) int { return strings.Compare(l.SKU, sku) })
		if !found {
			c.lines = slices.Insert(c.lines, i, Line{SKU: n.Sku})
		}
		c.lines[i].Quantity = min(c.lines[i].Quantity+min(n.Quantity, shadow.QuantityMax), shadow.QuantityMax)
	}
}

func (c *Counter) add(to *messages.Address, lines []Line, now int64) {
	country, prefix := to.GetCountry(), c.prefixOf(to.GetPostalCode())
	c.key = flowKey(c.key[:0], country, prefix, lines)
	f := c.flows[string(c.key)]
	if f == nil {
		if len(c.flows) >= c.o.FlowsMax {
			c.shrink(now)
			c.key = flowKey(c.key[:0], country, prefix, lines)
		}
		f = &counted{lines: slices.Clone(lines), at: now, region: c.regionOf(country, prefix, to)}
		c.flows[string(c.key)] = f
	}
	f.region.put(to)
	f.orders, f.at = c.decayed(f, now)+1, max(f.at, now)
}

// prefixOf is the beginning of a postal code.
func (c *Counter) prefixOf(postal string) string {
	end := 0
	for i := range postal {
		if end == c.o.PostalDigits {
			return postal[:i]
		}
		end++
	}
	return postal
}

func (c *Counter) regionOf(country, prefix string, to *messages.Address) *region {
	key := country + "\x00" + prefix
	r := c.regions[key]
	if r == nil {
		r = &region{country: country, prefix: prefix, postal: to.GetPostalCode()}
		c.regions[key] = r
	}
	return r
}

// put moves the middle towards a destination.
func (r *region) put(to *messages.Address) {
	lat, lon, ok := to.GetLat(), to.GetLon(), to.GetHasPosition()
	if !ok {
		lat, lon, ok = geo.Locate(to.GetCountry(), to.GetPostalCode())
	}
	if !ok || geo.PointOf(lat, lon).IsZero() {
		return
	}
	r.places = min(r.places+1, placeMax)
	r.lat += (lat - r.lat) / r.places
	r.lon += (lon - r.lon) / r.places
}

func (c *Counter) decayed(f *counted, now int64) float64 {
	return f.orders * math.Exp2(-float64(max(now-f.at, 0))/float64(c.o.HalfLifeMs))
}

// flowKey is one text for a content and a region.
func flowKey(b []byte, country, prefix string, lines []Line) []byte {
	b = append(append(append(append(b, country...), 0), prefix...), 0)
	for _, l := range lines {
		b = append(append(b, l.SKU...), 0)
		b = binary.AppendUvarint(b, uint64(l.Quantity))
	}
	return b
}

// keyed is a flow with its key, for sorting.
type keyed struct {
	key    string
	orders float64
	flow   *counted
}

// sorted lists all flows, the most ordered first; what has nearly been forgotten is forgotten.
func (c *Counter) sorted(now int64) []keyed {
	list := make([]keyed, 0, len(c.flows))
	for key, f := range c.flows {
		if orders := c.decayed(f, now); orders >= forgetBelow {
			list = append(list, keyed{key, orders, f})
		} else {
			delete(c.flows, key)
		}
	}
	slices.SortFunc(list, func(a, b keyed) int { return cmp.Or(cmp.Compare(b.orders, a.orders), cmp.Compare(a.key, b.key)) })
	return list
}

// shrink makes room: the quarter that is ordered least is taken apart into single lines, and the least of these are lost.
func (c *Counter) shrink(now int64) {
	list := c.sorted(now)
	keep := min(c.o.FlowsMax*3/4, len(list))
	parts := map[string]*counted{}
	for _, k := range list[keep:] {
		delete(c.flows, k.key)
		if len(k.flow.lines) == 1 {
			c.Lost++
			continue
		}
		c.Apart++
		for i := range k.flow.lines {
			c.fold(parts, k.flow.region, k.flow.lines[i:i+1], k.orders, now)
		}
	}
	rest := make([]keyed, 0, len(parts))
	for key, f := range parts {
		rest = append(rest, keyed{key, f.orders, f})
	}
	slices.SortFunc(rest, func(a, b keyed) int { return cmp.Or(cmp.Compare(b.orders, a.orders), cmp.Compare(a.key, b.key)) })
	for i, k := range rest {
		if len(c.flows) >= c.o.FlowsMax*7/8 {
			c.Lost += int64(len(rest) - i)
			break
		}
		c.flows[k.key] = k.flow
	}
	clear(c.regions)
	for _, f := range c.flows {
		c.regions[f.region.country+"\x00"+f.region.prefix] = f.region
	}
}

// fold adds a single line to the flow of that line, which may be among parts.
func (c *Counter) fold(parts map[string]*counted, r *region, line []Line, orders float64, now int64) {
	key := string(flowKey(nil, r.country, r.prefix, line))
	f := c.flows[key]
	if f == nil {
		f = parts[key]
	}
	if f == nil {
		f = &counted{region: r, lines: slices.Clone(line), at: now}
		parts[key] = f
	}
	f.orders, f.at = c.decayed(f, now)+orders, max(f.at, now)
}

// window is how long the counter has counted, in milliseconds of which none is forgotten.
func (c *Counter) window(now int64) float64 {
	half := float64(c.o.HalfLifeMs)
	age := max(float64(now-c.began), half*youngest)
	return half / math.Ln2 * (1 - math.Exp2(-age/half))
}

// Parts sends what is counted as orders in a day, in parts of about so many bytes.
func (c *Counter) Parts(now int64, bytesMax int, send func(*messages.DemandPart) error) error {
	window := c.window(now)
	part, size := &messages.DemandPart{}, 0
	at := map[*region]uint32{}
	for _, k := range c.sorted(now) {
		r, known := at[k.flow.region]
		if !known {
			r = uint32(len(part.Regions))
			at[k.flow.region] = r
			part.Regions = append(part.Regions, k.flow.region.message())
		}
		f := &messages.DemandFlow{Region: r, MicroPerDay: int64(k.orders / window * dayMs * shadow.Micro)}
		for _, l := range k.flow.lines {
			f.Skus, f.Quantities = append(f.Skus, l.SKU), append(f.Quantities, l.Quantity)
		}
		part.Flows = append(part.Flows, f)
		if size += len(k.key) + 64; size < bytesMax {
			continue
		}
		if err := send(part); err != nil {
			return err
		}
		part, size = &messages.DemandPart{}, 0
		clear(at)
	}
	if len(part.Flows) == 0 {
		return nil
	}
	return send(part)
}

func (r *region) message() *messages.DemandRegion {
	return &messages.DemandRegion{Country: r.country, Prefix: r.prefix, PostalCode: r.postal, Located: r.places > 0, Lat: r.lat, Lon: r.lon}
}
