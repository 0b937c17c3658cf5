package whatif

import (
	"fmt"
	"math/bits"
	"strings"

	"orderyard/messages"
	"orderyard/routing/ruleset"
)

// Outcome is what became of one order.
type Outcome struct {
	Parts   []Part // the nearest site first
	Ordered int64  // units
	Short   int64  // units that no site gives
	Plan    uint64 // differs when any unit of any line comes from elsewhere
}

// Part is what one site gives to an order.
type Part struct {
	Site   string
	Units  int64
	Boxes  int64
	Cost   int64          // minor units: the site's, and the carrier's when Priced
	Priced bool           // the card has a price for it
	CO2    ruleset.Number // grams
	Meters ruleset.Number // to the destination
}

func (o *Outcome) add(p Part) {
	if o.Parts == nil {
		o.Parts = make([]Part, 0, 2)
	}
	o.Parts = append(o.Parts, p)
}

// Cost is that of all parts.
func (o *Outcome) Cost() (sum int64) {
	for i := range o.Parts {
		sum = add(sum, o.Parts[i].Cost)
	}
	return sum
}

// Packages are the boxes of all parts.
func (o *Outcome) Packages() (sum int64) {
	for i := range o.Parts {
		sum = add(sum, o.Parts[i].Boxes)
	}
	return sum
}

// String says the plan in one line.
func (o *Outcome) String() string {
	var words []string
	for _, p := range o.Parts {
		words = append(words, fmt.Sprintf("%s %d", p.Site, p.Units))
	}
	if len(words) == 0 {
		words = append(words, "no site")
	}
	line := strings.Join(words, ", ")
	if o.Short > 0 {
		line += fmt.Sprintf("; %d short", o.Short)
	}
	return line
}

// fingerprint is FNV-1a over sites, lines and quantities: equal plans have equal ones, and of a million different plans hardly two do.
func fingerprint(p *messages.Plan) uint64 {
	h := uint64(14695981039346656037)
	mix := func(b byte) { h = (h ^ uint64(b)) * 1099511628211 }
	number := func(n uint64) {
		for shift := 0; shift < 64; shift += 8 {
			mix(byte(n >> shift))
		}
	}
	lines := func(list []*messages.LineQuantity) {
		for _, l := range list {
			number(uint64(l.Line))
			number(uint64(l.Quantity))
		}
		mix(0xff)
	}
	for _, a := range p.Assignments {
		for i := range len(a.Site) {
			mix(a.Site[i])
		}
		mix(0)
		lines(a.Lines)
	}
	lines(p.Short)
	return h
}

const most = int64(1)<<62 - 1

// add and times are for amounts that are never negative; they stop at the largest one instead of wrapping to a small one.
func add(a, b int64) int64 { return min(min(a, most)+min(b, most), most) }

func times(a, b int64) int64 {
	hi, lo := bits.Mul64(uint64(a), uint64(b))
	if hi > 0 || lo > uint64(most) {
		return most
	}
	return int64(lo)
}

// divide is a × b ÷ c to the nearest, half up.
func divide(a, b, c int64) int64 {
	hi, lo := bits.Mul64(uint64(a), uint64(b))
	lo, carry := bits.Add64(lo, uint64(c)/2, 0)
	hi += carry
	if hi >= uint64(c) {
		return most
	}
	q, _ := bits.Div64(hi, lo, uint64(c))
	return int64(min(q, uint64(most)))
}
