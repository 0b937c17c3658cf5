package benchmark

import "math"

// dilated follows the fractional optimum: one exponential number per center and order, divided by the center's share of
// the item, and the least wins. Centers drawn together for one item are likely for the next, which saves packages.
type dilated struct {
	in    *Instance
	share [][][][]float64 // type × line × city × center, the virtual one included
	rng   source
	draw  []float64
}

func newDilated(in *Instance, share [][][][]float64) *dilated {
	return &dilated{in: in, share: share, draw: make([]float64, len(in.Centers)+1)}
}

func (d *dilated) begin(seed uint64)    { d.rng.state = child(seed, 1) }
func (d *dilated) prepare(int, []int64) {}

func (d *dilated) decide(a Arrival, stock []int64, out []int32) {
	in, virtual := d.in, d.in.Virtual()
	for k := range d.draw {
		d.draw[k] = -math.Log(1 - d.rng.uniform())
	}
	for l, i := range in.Types[a.Type] {
		best, least := virtual, math.Inf(1)
		for k, u := range d.share[a.Type][l][a.City] {
			if u > 0 && d.draw[k]/u < least {
				best, least = k, d.draw[k]/u
			}
		}
		if best != virtual && stock[best*in.Items+i] == 0 {
			best = virtual
		}
		out[l] = int32(best)
	}
}
