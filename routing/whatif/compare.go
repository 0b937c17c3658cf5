package whatif

import (
	"cmp"
	"slices"
)

// ChangesMax is how many of the most changed orders a comparison keeps.
const ChangesMax = 20

// Change is an order that two rule sets route differently.
type Change struct {
	Order     string
	Base, New Outcome
}

// Cost is what the new plan costs more.
func (c *Change) Cost() int64 { return c.New.Cost() - c.Base.Cost() }

// Packages are those that the new plan makes more.
func (c *Change) Packages() int64 { return c.New.Packages() - c.Base.Packages() }

// Comparison takes both outcomes of every order and keeps those that differ most. The zero Comparison has seen none.
type Comparison struct {
	Changed int64 // orders of which any unit comes from elsewhere
	most    []Change
}

// Add takes the outcomes of one order.
func (c *Comparison) Add(order string, base, candidate *Outcome) {
	if base.Plan == candidate.Plan {
		return
	}
	c.Changed++
	change := Change{order, *base, *candidate}
	at, _ := slices.BinarySearchFunc(c.most, change, moreChanged)
	if at == ChangesMax {
		return
	}
	c.most = slices.Insert(c.most, at, change)
	c.most = c.most[:min(len(c.most), ChangesMax)]
}

// Most are the most changed orders: by the change in cost up or down, then in packages, then by id.
func (c *Comparison) Most() []Change { return c.most }

func moreChanged(a, b Change) int {
	return cmp.Or(cmp.Compare(magnitude(b.Cost()), magnitude(a.Cost())), cmp.Compare(magnitude(b.Packages()), magnitude(a.Packages())), cmp.Compare(a.Order, b.Order))
}

func magnitude(n int64) int64 { return max(n, -n) }
