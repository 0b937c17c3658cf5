package shadow

import "slices"

// Never is the cost of what cannot be: a line at a site without the item. It loses against every real cost, and LinesMax of them
// still fit an int64.
const Never = int64(1) << 52

// huge is above every total, and twice that is no overflow.
const huge = int64(1) << 62

// Chooser finds the cheapest way to give the lines of one order to sites, where every site used costs a fixed amount once. Its
// memory is reused, so that a call allocates nothing once the largest order was seen. Not safe for concurrent use.
type Chooser struct {
	// NodesMax bounds the sets looked at in one call; 0 is no bound. When it is reached the answer is the best found so far.
	NodesMax int

	lines      int
	fixed      []int64
	cost       []int64
	nodes      int
	leastFixed int64

	best    int64
	bestSet []int32
	chosen  []int32
	rows    []int64 // depth × line: the cheapest cost of the line within the chosen sites
	cheaper []int64 // site × line: the cheapest cost of the line at this or any later site
	spare   []gain
}

// gain is a site that would make the chosen set cheaper, and by how much.
type gain struct {
	site int32
	by   int64
	rest int64 // the sum of this gain and all after it in the list, at most huge
}

// Choose assigns each line to a site: fixed[k] is paid once for every site used, cost[k*lines+l] for line l at site k (Never where
// it cannot be). It fills out[l], reports the total and whether that is proven to be the least. A total of Never or more means
// that some line has no site. Of equally cheap answers the set met first wins, which depends on the arguments only.
func (c *Chooser) Choose(fixed, cost []int64, out []int32) (total int64, exact bool) {
	c.fixed, c.cost, c.lines, c.nodes = fixed, cost, len(out), 0
	if c.lines == 0 {
		return 0, true
	}
	c.best = huge
	c.singles()
	if c.lines > 1 && len(fixed) > 1 {
		c.prepare()
		c.roots()
	}
	for l := range out {
		at, least := int32(-1), int64(0)
		for _, k := range c.bestSet {
			if x := cost[int(k)*c.lines+l]; at < 0 || x < least {
				at, least = k, x
			}
		}
		out[l] = at
	}
	return c.best, c.NodesMax == 0 || c.nodes < c.NodesMax
}

// singles tries every site alone.
func (c *Chooser) singles() {
	at := 0
	for k := range c.fixed {
		total := c.fixed[k]
		for _, x := range c.cost[k*c.lines : (k+1)*c.lines] {
			total += x
		}
		if total < c.best {
			c.best, at = total, k
		}
	}
	c.bestSet = append(c.bestSet[:0], int32(at))
}

func (c *Chooser) prepare() {
	n, sites := c.lines, len(c.fixed)
	// A site that joins a set serves some line better than all others, so no set grows beyond the number of lines.
	depths := min(n, sites) + 1
	c.rows = resize(c.rows, depths*n)
	c.cheaper = resize(c.cheaper, sites*n)
	c.spare = c.spare[:0]
	copy(c.cheaper[(sites-1)*n:], c.cost[(sites-1)*n:sites*n])
	for k := sites - 2; k >= 0; k-- {
		for l := range n {
			c.cheaper[k*n+l] = min(c.cost[k*n+l], c.cheaper[(k+1)*n+l])
		}
	}
}

// roots looks at the sets of two and more sites, by their first site.
func (c *Chooser) roots() {
	n := c.lines
	last := len(c.fixed) - 1
	c.leastFixed = slices.Min(c.fixed)
	for k := range last {
		total, least := c.fixed[k], c.fixed[k]+c.leastFixed
		for l := range n {
			total += c.cost[k*n+l]
			least += c.cheaper[k*n+l]
		}
		if least >= c.best {
			continue
		}
		copy(c.rows[:n], c.cost[k*n:(k+1)*n])
		c.chosen = append(c.chosen[:0], int32(k))
		c.spare = c.spare[:0]
		for j := k + 1; j <= last; j++ {
			if by := c.gainOf(j, c.rows[:n]); by > 0 {
				c.spare = append(c.spare, gain{site: int32(j), by: by})
			}
		}
		c.grow(1, total, c.fixed[k], 0)
	}
}

// gainOf is what site k would save on a set that serves the lines at the costs of row; its fixed cost is counted.
func (c *Chooser) gainOf(k int, row []int64) int64 {
	by := -c.fixed[k]
	cost := c.cost[k*c.lines:][:len(row)]
	for l, x := range row {
		if d := x - cost[l]; d > 0 {
			by += d
		}
	}
	return by
}

// grow adds the candidates, spare[from:], to a set of the given depth and total, of which paid is for sites. Savings shrink as a set
// grows, so a site that saves nothing here saves nothing in any larger set, and the sum of the savings bounds what all of them can
// save together. That is strong when savings are small; when they are large, the cheapest cost of each line among what is left is
// the better bound, for a set that needs at least one more site.
func (c *Chooser) grow(depth int, total, paid int64, from int) {
	n, to := c.lines, len(c.spare)
	rest := int64(0)
	for i := to - 1; i >= from; i-- {
		rest = min(huge, rest+c.spare[i].by)
		c.spare[i].rest = rest
	}
	row := c.rows[(depth-1)*n : depth*n]
	for i := from; i < to; i++ {
		g := c.spare[i]
		if total-g.rest >= c.best || c.NodesMax > 0 && c.nodes >= c.NodesMax {
			return
		}
		c.nodes++
		c.chosen = append(c.chosen[:depth], g.site)
		if total-g.by < c.best {
			c.best = total - g.by
			c.bestSet = append(c.bestSet[:0], c.chosen...)
		}
		if i+1 == to || depth+1 >= n {
			continue
		}
		next := c.rows[depth*n : (depth+1)*n]
		cost := c.cost[int(g.site)*n:][:n]
		later := c.cheaper[int(c.spare[i+1].site)*n:][:n]
		fixed := paid + c.fixed[g.site]
		least := fixed + c.leastFixed
		for l, x := range row {
			y := min(x, cost[l])
			next[l] = y
			least += min(y, later[l])
		}
		if least >= c.best {
			continue
		}
		for _, after := range c.spare[i+1 : to] {
			if by := c.gainOf(int(after.site), next); by > 0 {
				c.spare = append(c.spare, gain{site: after.site, by: by})
			}
		}
		if len(c.spare) > to {
			c.grow(depth+1, total-g.by, fixed, to)
			c.spare = c.spare[:to]
		}
	}
}

func resize[T any](s []T, n int) []T { return slices.Grow(s[:0], n)[:n] }
