package actors

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"orderyard/messages"
	"orderyard/routing"
)

// View is the node's picture of stock and sites, fed by what became durable. Readers never wait: every change replaces a small
// immutable slice.
type View struct {
	skus  sync.Map // string → *skuStock
	count atomic.Int64

	mu    sync.Mutex // writers of sites
	sites atomic.Pointer[siteTable]
}

type skuStock struct {
	mu    sync.Mutex
	sites atomic.Pointer[[]routing.SiteStock]
}

type siteTable struct {
	byID map[string]*routing.Site
	ids  []string        // sorted
	asks map[string]bool // sites whose people answer for themselves (accept: manual)
}

var _ routing.View = (*View)(nil)

// NewView makes an empty view.
func NewView() *View {
	v := &View{}
	v.sites.Store(&siteTable{byID: map[string]*routing.Site{}})
	return v
}

// Stock gives a SKU's available quantity per site, sorted by site. The slice is shared: do not change it.
func (v *View) Stock(sku string) []routing.SiteStock {
	s, ok := v.skus.Load(sku)
	if !ok {
		return nil
	}
	if sites := s.(*skuStock).sites.Load(); sites != nil {
		return *sites
	}
	return nil
}

// Known says whether any site has ever carried the SKU.
func (v *View) Known(sku string) bool {
	_, ok := v.skus.Load(sku)
	return ok
}

// Site gives one site.
func (v *View) Site(id string) (*routing.Site, bool) {
	s, ok := v.sites.Load().byID[id]
	return s, ok
}

// asks says that a site's people answer for themselves.
func (v *View) asks(id string) bool { return v.sites.Load().asks[id] }

// SiteIDs lists all sites, sorted.
func (v *View) SiteIDs() []string { return v.sites.Load().ids }

// SKUs counts the SKUs ever seen.
func (v *View) SKUs() int64 { return v.count.Load() }

// setStock notes what a bucket has, and says whether that is more than before.
func (v *View) setStock(sku, site string, atp int64) (more bool) {
	got, loaded := v.skus.LoadOrStore(sku, &skuStock{})
	if !loaded {
		v.count.Add(1)
	}
	s := got.(*skuStock)
	s.mu.Lock()
	defer s.mu.Unlock()
	var old []routing.SiteStock
	if p := s.sites.Load(); p != nil {
		old = *p
	}
	i, found := slices.BinarySearchFunc(old, site, func(a routing.SiteStock, id string) int { return strings.Compare(a.Site, id) })
	if found && old[i].ATP == atp {
		return false
	}
	more = atp > 0 && (!found || old[i].ATP < atp)
	next := make([]routing.SiteStock, 0, len(old)+1)
	next = append(next, old[:i]...)
	next = append(next, routing.SiteStock{Site: site, ATP: atp})
	if found {
		i++
	}
	next = append(next, old[i:]...)
	s.sites.Store(&next)
	return more
}

// setSite notes what a site says of itself, and says whether it may now take what it did not take before.
func (v *View) setSite(m *messages.SiteView) (opened bool) {
	d := m.Doc
	if d == nil {
		return false
	}
	s := &routing.Site{
		ID: d.Id, Name: d.Name, Type: d.Type, Country: d.Country, Lat: d.Lat, Lon: d.Lon, Groups: d.Groups, LabelsAllowed: d.LabelsAllowed,
		CostPerOrder: d.CostPerOrder, CostPerUnit: d.CostPerUnit, Status: d.Status, PausedUntil: m.PausedUntilMs,
	}
	s.Locate()
	if most := d.GetCapacity().GetOpenMax(); most > 0 {
		s.OpenLoadPermille = m.Open * 1000 / most
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	old := v.sites.Load()
	asks := d.Accept == "manual"
	was, known := old.byID[d.Id]
	if known && sameForRouting(was, s) && old.asks[d.Id] == asks {
		return false
	}
	next := &siteTable{byID: make(map[string]*routing.Site, len(old.byID)+1), asks: maps.Clone(old.asks)}
	if next.asks == nil {
		next.asks = make(map[string]bool)
	}
	next.asks[d.Id] = asks
	for id, site := range old.byID {
		next.byID[id] = site
	}
	next.byID[d.Id] = s
	for id := range next.byID {
		next.ids = append(next.ids, id)
	}
	slices.Sort(next.ids)
	v.sites.Store(next)
	return s.Status == "online" && (!known || !sameButLoad(was, s))
}

// reopened says whether a site's pause has run out between two moments.
func (v *View) reopened(after, until int64) bool {
	for _, s := range v.sites.Load().byID {
		if s.PausedUntil > after && s.PausedUntil <= until {
			return true
		}
	}
	return false
}

// sameForRouting spares a copy of the table when only the load moved a little: it is a hint and the last tie-breaker but one.
func sameForRouting(a, b *routing.Site) bool {
	load := a.OpenLoadPermille - b.OpenLoadPermille
	return load > -10 && load < 10 && sameButLoad(a, b)
}

func sameButLoad(a, b *routing.Site) bool {
	return a.Status == b.Status && a.PausedUntil == b.PausedUntil && a.Name == b.Name && a.Type == b.Type &&
		a.Country == b.Country && a.Lat == b.Lat && a.Lon == b.Lon && a.CostPerOrder == b.CostPerOrder && a.CostPerUnit == b.CostPerUnit &&
		slices.Equal(a.Groups, b.Groups) && slices.Equal(a.LabelsAllowed, b.LabelsAllowed)
}
