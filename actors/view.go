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

// View is the node's picture of stock and sites, fed by what became durable here and by what other nodes say. Readers never wait: every
// change replaces a small immutable slice. News of one entity comes in any order and more than once: the higher version counts.
type View struct {
	skus  sync.Map // string → *skuStock
	count atomic.Int64
	news  atomic.Pointer[news] // what other nodes have not been told; nil = there are no others

	mu    sync.Mutex // writers of sites
	sites atomic.Pointer[siteTable]
	views map[string]*messages.SiteView // by site: the newest, under mu. The table may lag behind it in load
}

type skuStock struct {
	sku    string
	mu     sync.Mutex
	sites  atomic.Pointer[[]routing.SiteStock]
	marks  []mark // one per site, beside sites
	listed bool   // among the news
}

// mark is what a bucket's writers know beside its stock.
type mark struct {
	version uint64
	news    bool // to be told to other nodes
}

type siteTable struct {
	byID map[string]*routing.Site
	ids  []string        // sorted
	asks map[string]bool // sites whose people answer for themselves (accept: manual)
}

var _ routing.View = (*View)(nil)

// NewView makes an empty view.
func NewView() *View {
	v := &View{views: make(map[string]*messages.SiteView)}
	v.sites.Store(&siteTable{byID: make(map[string]*routing.Site), asks: make(map[string]bool)})
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

// setStock notes what a bucket has at a version, and says whether that is more than before. A version that is not newer changes nothing. own
// says that it was observed here: then other nodes are to hear of it, the second time as well, for a partition that is taken over tells
// everything once more (see Sharing).
func (v *View) setStock(sku, site string, atp int64, version uint64, own bool) (more bool) {
	got, loaded := v.skus.Load(sku)
	if !loaded {
		if got, loaded = v.skus.LoadOrStore(sku, &skuStock{sku: sku}); !loaded {
			v.count.Add(1)
		}
	}
	s := got.(*skuStock)
	s.mu.Lock()
	defer s.mu.Unlock()
	var old []routing.SiteStock
	if p := s.sites.Load(); p != nil {
		old = *p
	}
	i, found := slices.BinarySearchFunc(old, site, func(a routing.SiteStock, id string) int { return strings.Compare(a.Site, id) })
	if found && version < s.marks[i].version {
		return false
	}
	if !found {
		s.marks = slices.Insert(s.marks, i, mark{})
	}
	known := found && version == s.marks[i].version
	s.marks[i].version = version
	if !known || own {
		s.marks[i].news = own && v.news.Load().stock(s)
	}
	if known || found && old[i].ATP == atp {
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

// setSite notes what a site says of itself, and says whether it may now take what it did not take before. Versions and own are as with
// setStock.
func (v *View) setSite(m *messages.SiteView, own bool) (opened bool) {
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
	if have := v.views[d.Id]; have != nil && m.Version <= have.Version {
		if own && m.Version == have.Version {
			v.news.Load().site(d.Id, false)
		}
		return false
	}
	v.views[d.Id] = m
	old := v.sites.Load()
	asks := d.Accept == "manual"
	was, known := old.byID[d.Id]
	same := known && sameForRouting(was, s) && old.asks[d.Id] == asks
	if own {
		v.news.Load().site(d.Id, !same)
	}
	if same {
		return false
	}
	next := &siteTable{byID: maps.Clone(old.byID), asks: maps.Clone(old.asks)}
	next.byID[d.Id], next.asks[d.Id] = s, asks
	next.ids = slices.Sorted(maps.Keys(next.byID))
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
