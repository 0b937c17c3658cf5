package benchmark

import "math"

// Instance is one draw of what is ordered and where it is stocked. The last center, number Centers(), is the virtual one that
// stands for not fulfilling: it costs twice as much as the farthest real one and never runs out.
type Instance struct {
	Network
	Seed   uint64
	Types  [][]int   // the items of each order type; type 0 is the empty order
	Share  []float64 // of each type among the orders
	City   []float64 // of each city among the orders
	Wanted []float64 // the chance that an order has the item

	Miles [][]float64 // center × city
	Fixed []int64     // per center, the virtual one included
	Unit  [][]int64   // city × center, the virtual one included
	Near  [][]int     // item × city: the nearest center that carries the item
	Stock []int64     // center × item
}

// NewInstance draws the instance of a seed.
func NewInstance(n Network, seed uint64) *Instance {
	in := &Instance{Network: n, Seed: seed}
	rng := &source{state: seed}
	in.measure()
	in.drawTypes(rng)
	in.drawStock(rng)
	return in
}

// Virtual is the number of the center that stands for not fulfilling.
func (in *Instance) Virtual() int { return len(in.Centers) }

func (in *Instance) measure() {
	var people float64
	for _, c := range in.Cities {
		people += c.Population
	}
	in.Miles = make([][]float64, len(in.Centers))
	for k := range in.Centers {
		in.Fixed = append(in.Fixed, packageCost)
		in.Miles[k] = make([]float64, len(in.Cities))
		for j := range in.Cities {
			in.Miles[k][j] = miles(in.Centers[k], in.Cities[j])
		}
	}
	in.Fixed = append(in.Fixed, 2*packageCost)
	for j, c := range in.Cities {
		in.City = append(in.City, c.Population/people)
		var row []int64
		var most int64
		for k := range in.Centers {
			row = append(row, itemCostAt(in.Miles[k][j]))
			most = max(most, row[k])
		}
		in.Unit = append(in.Unit, append(row, 2*most))
	}
}

func (in *Instance) drawTypes(rng *source) {
	in.Types = [][]int{{}}
	for size := 1; size <= in.SizeMax; size++ {
		for range in.TypesOfSize {
			items := make([]int, in.Items)
			for i := range items {
				items[i] = i
			}
			rng.shuffle(items)
			in.Types = append(in.Types, items[:size:size])
		}
	}
	ofSize := drawShares(rng, in.SizeMax+1)
	in.Share = []float64{ofSize[0]}
	for size := 1; size <= in.SizeMax; size++ {
		for _, share := range drawShares(rng, in.TypesOfSize) {
			in.Share = append(in.Share, ofSize[size]*share)
		}
	}
	in.Wanted = make([]float64, in.Items)
	for q, items := range in.Types {
		for _, i := range items {
			in.Wanted[i] += in.Share[q]
		}
	}
}

// drawShares draws n numbers and divides them by their sum.
func drawShares(rng *source, n int) []float64 {
	shares := make([]float64, n)
	var sum float64
	for i := range shares {
		shares[i] = rng.uniform()
		sum += shares[i]
	}
	for i := range shares {
		shares[i] /= sum
	}
	return shares
}

func (in *Instance) drawStock(rng *source) {
	carried := make([]bool, len(in.Centers)*in.Items)
	for i := range in.Items {
		for k := range in.Centers {
			carried[k*in.Items+i] = rng.uniform() < in.Carry
		}
	}
	in.Near = make([][]int, in.Items)
	for i := range in.Items {
		in.Near[i] = make([]int, len(in.Cities))
		for j := range in.Cities {
			near := in.Virtual()
			for k := range in.Centers {
				if carried[k*in.Items+i] && (near == in.Virtual() || in.Miles[k][j] < in.Miles[near][j]) {
					near = k
				}
			}
			in.Near[i][j] = near
		}
	}
	rate := make([]float64, (len(in.Centers)+1)*in.Items)
	for q, items := range in.Types {
		for _, i := range items {
			for j := range in.Cities {
				rate[in.Near[i][j]*in.Items+i] += float64(in.Share[q] * in.City[j])
			}
		}
	}
	in.Stock = make([]int64, len(in.Centers)*in.Items)
	orders := float64(in.Orders)
	for at := range in.Stock {
		d := rate[at]
		in.Stock[at] = int64(math.Round(float64(orders*d) + float64(0.5*math.Sqrt(orders*d*(1-d)))))
	}
}

// Arrival is one order: its type and its city.
type Arrival struct{ Type, City uint16 }

// Arrivals draws the orders of a sequence.
func (in *Instance) Arrivals(seed uint64) []Arrival {
	rng := &source{state: seed}
	types, cities := running(in.Share), running(in.City)
	out := make([]Arrival, in.Orders)
	for t := range out {
		out[t] = Arrival{uint16(pick(types, rng.uniform())), uint16(pick(cities, rng.uniform()))}
	}
	return out
}

func running(shares []float64) []float64 {
	sums := make([]float64, len(shares))
	var sum float64
	for i, s := range shares {
		sum += s
		sums[i] = sum
	}
	return sums
}

// pick is the first index whose running sum is above x. Rounding may leave the last sum a hair below one.
func pick(sums []float64, x float64) int {
	low, high := 0, len(sums)-1
	for low < high {
		if middle := (low + high) / 2; sums[middle] > x {
			high = middle
		} else {
			low = middle + 1
		}
	}
	return low
}
