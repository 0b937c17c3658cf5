package whatif

import (
	"cmp"
	"fmt"
	"slices"

	"orderyard/routing"
)

// Yard is where past orders are routed: sites, and units of SKUs at sites. Fill it, then make sides of it; from then on it must not change. It is
// a routing.View of what was there before the first order.
type Yard struct {
	ids   []string
	sites map[string]*routing.Site
	stock map[string][]routing.SiteStock // by SKU, sorted by site
}

// NewYard is an empty yard.
func NewYard() *Yard {
	return &Yard{sites: map[string]*routing.Site{}, stock: map[string][]routing.SiteStock{}}
}

// AddSite adds a site, or puts it in the place of the one with its id. The site is only read.
func (y *Yard) AddSite(s *routing.Site) {
	if _, known := y.sites[s.ID]; !known {
		at, _ := slices.BinarySearch(y.ids, s.ID)
		y.ids = slices.Insert(y.ids, at, s.ID)
	}
	y.sites[s.ID] = s
}

// AddStock puts units to those that a site has of a SKU. Units may be negative while a yard is filled: a bucket can owe more than it has.
func (y *Yard) AddStock(sku, site string, units int64) {
	rows := y.stock[sku]
	if at, found := find(rows, site); found {
		rows[at].ATP += units
	} else {
		y.stock[sku] = slices.Insert(rows, at, routing.SiteStock{Site: site, ATP: units})
	}
}

// ATP is what a site can promise of a SKU before anything is taken.
func (y *Yard) ATP(sku, site string) int64 { return atp(y.stock[sku], site) }

// Stock implements routing.View.
func (y *Yard) Stock(sku string) []routing.SiteStock { return y.stock[sku] }

// Site implements routing.View.
func (y *Yard) Site(id string) (*routing.Site, bool) { s, ok := y.sites[id]; return s, ok }

// SiteIDs implements routing.View.
func (y *Yard) SiteIDs() []string { return y.ids }

// Sites is the number of sites.
func (y *Yard) Sites() int { return len(y.ids) }

// SKUs is the number of SKUs that any site has carried.
func (y *Yard) SKUs() int { return len(y.stock) }

func find(rows []routing.SiteStock, site string) (int, bool) {
	return slices.BinarySearchFunc(rows, site, func(s routing.SiteStock, id string) int { return cmp.Compare(s.Site, id) })
}

func atp(rows []routing.SiteStock, site string) int64 {
	if at, found := find(rows, site); found {
		return rows[at].ATP
	}
	return 0
}

// view is a side's own picture of the yard. It implements routing.View.
type view struct {
	yard  *Yard
	sites map[string]*routing.Site
	own   map[string][]routing.SiteStock // SKUs of which units were taken
}

func newView(y *Yard) *view {
	v := &view{yard: y, sites: make(map[string]*routing.Site, len(y.sites)), own: map[string][]routing.SiteStock{}}
	for id, s := range y.sites {
		mine := *s
		mine.PausedUntil, mine.Open, mine.OpenLoadPermille, mine.Recorded = 0, 0, 0, nil
		for _, w := range []*routing.Window{&mine.Hour, &mine.Day} {
			w.Taken, w.Until = 0, 1 // the window before: nothing is accepted yet in the present one
		}
		if s.Calendar != nil {
			mine.Calendar = &memo{of: s.Calendar}
		}
		v.sites[id] = &mine
	}
	return v
}

// Stock implements routing.View.
func (v *view) Stock(sku string) []routing.SiteStock {
	if rows, taken := v.own[sku]; taken {
		return rows
	}
	return v.yard.stock[sku]
}

// Site implements routing.View.
func (v *view) Site(id string) (*routing.Site, bool) { s, ok := v.sites[id]; return s, ok }

// SiteIDs implements routing.View.
func (v *view) SiteIDs() []string { return v.yard.ids }

// take takes units out of a bucket and says what is left. Routing never gives more than it was shown: if it did, every figure would be wrong.
func (v *view) take(sku, site string, units int64) (left int64) {
	rows, taken := v.own[sku]
	if !taken {
		rows = slices.Clone(v.yard.stock[sku])
		v.own[sku] = rows
	}
	at, found := find(rows, site)
	if !found || rows[at].ATP < units {
		panic(fmt.Sprintf("whatif: a plan takes %d of %s at %s, which has %d", units, sku, site, atp(rows, site)))
	}
	rows[at].ATP -= units
	return rows[at].ATP
}

const hourMs = 60 * 60 * 1000

// accept counts a fulfillment order in the windows of the site's limits. Routing keeps what it knows of a site for as long as it is the same one, so a
// fuller site is another one.
func (v *view) accept(id string, now int64) {
	if old := v.sites[id]; old == nil || old.Hour.Limit <= 0 && old.Day.Limit <= 0 {
		return
	}
	fuller := *v.sites[id]
	s := &fuller
	v.sites[id] = s
	if s.Hour.Limit > 0 {
		count(&s.Hour, now, (now/hourMs+1)*hourMs)
	}
	if s.Day.Limit > 0 {
		until := (now/(24*hourMs) + 1) * 24 * hourMs
		if s.Calendar != nil {
			until = s.Calendar.WorkDays(now).Until
		}
		count(&s.Day, now, until)
	}
}

func count(w *routing.Window, now, until int64) {
	if now >= w.Until {
		w.Taken, w.Until = 0, until
	}
	w.Taken++
}

// memo keeps the last answer of a calendar: a side walks through time by itself, and the calendar it shares with others may forget.
type memo struct {
	of   routing.Calendar
	last *routing.WorkDays
}

// WorkDays implements routing.Calendar, for one goroutine.
func (m *memo) WorkDays(now int64) *routing.WorkDays {
	if m.last == nil || now < m.last.From || now >= m.last.Until {
		m.last = m.of.WorkDays(now)
	}
	return m.last
}
