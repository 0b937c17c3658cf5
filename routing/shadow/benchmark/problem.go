package benchmark

import (
	"math"

	"orderyard/routing/shadow"
)

// Problem is what shadow prices are computed for: the demand of so many orders and the stock for them.
func (in *Instance) Problem(orders int, stock []int64) *shadow.Problem {
	p := &shadow.Problem{Sites: len(in.Centers), Items: in.Items, Stock: stock}
	for _, items := range in.Types {
		lines := make([]shadow.Line, len(items))
		for l, i := range items {
			lines[l] = shadow.Line{Item: i, Quantity: 1}
		}
		p.Types = append(p.Types, lines)
	}
	virtual := in.Virtual()
	for j := range in.Cities {
		p.Destinations = append(p.Destinations, shadow.Destination{
			Fixed: in.Fixed[:virtual], Unit: in.Unit[j][:virtual], ShortFixed: in.Fixed[virtual], ShortUnit: in.Unit[j][virtual],
		})
	}
	for q := 1; q < len(in.Types); q++ {
		for j := range in.Cities {
			p.Flows = append(p.Flows, shadow.Flow{Type: q, Destination: j, Expected: in.expected(q, j, orders)})
		}
	}
	return p
}

// expected is the number of orders of a type and a city among so many, in millionths.
func (in *Instance) expected(q, j, orders int) int64 {
	return int64(math.Round(in.Share[q] * in.City[j] * float64(orders) * shadow.Micro))
}

// rest turns a problem of the instance into that of the orders and the stock that are left.
func (in *Instance) rest(p *shadow.Problem, orders int, stock []int64) {
	p.Stock = stock
	for f := range p.Flows {
		flow := &p.Flows[f]
		flow.Expected = in.expected(flow.Type, flow.Destination, orders)
	}
}

// mustShip limits what may be short to what is expected to be missing in total among so many orders, rounded up: under the rule that
// an item with stock anywhere ships, that is given. The bound of such a problem holds for every policy that obeys the rule.
func (in *Instance) mustShip(p *shadow.Problem, orders int) {
	p.ShortMax = make([]int64, in.Items)
	for i, chance := range in.Wanted {
		var units int64
		for at := i; at < len(p.Stock); at += in.Items {
			units += p.Stock[at]
		}
		p.ShortMax[i] = int64(math.Ceil(expectedShort(orders, chance, units)))
	}
}

// known is the problem of a policy that knows the orders beforehand and obeys the rule: demand, and what is missing of it, is what came.
func (in *Instance) known(arrivals []Arrival) *shadow.Problem {
	p := in.Problem(0, in.Stock)
	missing := make([]int64, in.Items)
	for _, a := range arrivals {
		if a.Type > 0 {
			p.Flows[(int(a.Type)-1)*len(in.Cities)+int(a.City)].Expected += shadow.Micro
		}
		for _, i := range in.Types[a.Type] {
			missing[i]++
		}
	}
	for at, units := range in.Stock {
		missing[at%in.Items] -= units
	}
	for i := range missing {
		missing[i] = max(0, missing[i])
	}
	p.ShortMax = missing
	return p
}
