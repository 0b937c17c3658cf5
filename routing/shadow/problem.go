package shadow

import "fmt"

// Micro is one unit of money, and one order, in the integers of this package.
const Micro = 1_000_000

// The limits of a problem keep the cost of every line below Never.
const (
	LinesMax    = 512     // of one order type
	QuantityMax = 1 << 16 // of one line
	CostMax     = 1 << 34 // per unit or per site, and of a price: about 17,000 units of money
)

// Line is one item of an order type.
type Line struct {
	Item     int
	Quantity int64
}

// Destination is what it costs to ship there, in micro-units.
type Destination struct {
	Fixed      []int64 // per site, paid once for an order that uses the site
	Unit       []int64 // per site, paid for every unit
	ShortFixed int64   // paid once for an order with a unit that no site gives
	ShortUnit  int64   // paid for every such unit
}

// Flow is the orders of one type to one destination that are expected in the period.
type Flow struct {
	Type, Destination int
	Expected          int64 // millionths of an order
}

// Problem is the demand expected in a period and the stock that must last for it. Flows of one type should stand together: the
// prices of a type's items are then gathered once.
type Problem struct {
	Sites, Items int
	Types        [][]Line
	Destinations []Destination
	Flows        []Flow
	Stock        []int64 // site × item, in units
	// ShortMax is how many units of each item no site gives, at most. Nil: as many as it is worth. It is set where an item must ship
	// as long as any site has it: what is short is then no choice, but what is missing in total, the mean of max(0, demand − stock).
	ShortMax []int64
}

// Validate says what is wrong with the problem, if anything.
func (p *Problem) Validate() error {
	if p.Sites < 0 || p.Items < 0 || len(p.Stock) != p.Sites*p.Items {
		return fmt.Errorf("shadow: %d stock figures for %d sites and %d items", len(p.Stock), p.Sites, p.Items)
	}
	if p.ShortMax != nil && len(p.ShortMax) != p.Items {
		return fmt.Errorf("shadow: %d limits of being short for %d items", len(p.ShortMax), p.Items)
	}
	for _, units := range [][]int64{p.Stock, p.ShortMax} {
		for i, n := range units {
			if n < 0 {
				return fmt.Errorf("shadow: stock or limit %d is negative", i)
			}
		}
	}
	for i, d := range p.Destinations {
		if err := p.validDestination(d); err != nil {
			return fmt.Errorf("shadow: destination %d: %w", i, err)
		}
	}
	for i, lines := range p.Types {
		if err := p.validType(lines); err != nil {
			return fmt.Errorf("shadow: type %d: %w", i, err)
		}
	}
	for i, f := range p.Flows {
		if f.Type < 0 || f.Type >= len(p.Types) || f.Destination < 0 || f.Destination >= len(p.Destinations) || f.Expected < 0 {
			return fmt.Errorf("shadow: flow %d: %d millionths of type %d to destination %d", i, f.Expected, f.Type, f.Destination)
		}
		if f.Expected > 0 && (i == 0 || f.Type != p.Flows[i-1].Type || p.Flows[i-1].Expected == 0) {
			if err := p.assignable(p.Types[f.Type]); err != nil {
				return fmt.Errorf("shadow: type %d: %w", f.Type, err)
			}
		}
	}
	return nil
}

func (p *Problem) validDestination(d Destination) error {
	if len(d.Fixed) != p.Sites || len(d.Unit) != p.Sites {
		return fmt.Errorf("%d fixed and %d unit costs for %d sites", len(d.Fixed), len(d.Unit), p.Sites)
	}
	for _, costs := range [][]int64{d.Fixed, d.Unit, {d.ShortFixed, d.ShortUnit}} {
		for _, x := range costs {
			if x < 0 || x > CostMax {
				return fmt.Errorf("a cost of %d, want 0 to %d", x, int64(CostMax))
			}
		}
	}
	return nil
}

func (p *Problem) validType(lines []Line) error {
	if len(lines) > LinesMax {
		return fmt.Errorf("%d lines, at most %d", len(lines), LinesMax)
	}
	for _, line := range lines {
		if line.Item < 0 || line.Item >= p.Items || line.Quantity <= 0 || line.Quantity > QuantityMax {
			return fmt.Errorf("%d of item %d", line.Quantity, line.Item)
		}
	}
	return nil
}

// assignable says whether each item is somewhere or may be short.
func (p *Problem) assignable(lines []Line) error {
	for _, line := range lines {
		found := p.ShortMax == nil || p.ShortMax[line.Item] > 0
		for at := line.Item; at < len(p.Stock) && !found; at += p.Items {
			found = p.Stock[at] > 0
		}
		if !found {
			return fmt.Errorf("item %d is nowhere and must not be short", line.Item)
		}
	}
	return nil
}
