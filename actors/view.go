package actors

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"orderyard/routing"
	"orderyard/routing/opportunity"
)

// View is the node's picture of stock and sites, fed by what became durable here and by what other nodes say. Readers get small slices that do not
// change any more: those of sites are there, that of a SKU is made when it is read after a change, for where there are several nodes a SKU changes here
// many times between two looks at it. News of one entity comes in any order and more than once: the higher version counts.
type View struct {
	skus  sync.Map // string → *skuStock
	count atomic.Int64
	news  atomic.Pointer[news] // what other nodes have not been told; nil = there are no others

	prices atomic.Pointer[opportunity.Table] // nil = nobody has computed any

	mu    sync.Mutex // writers of sites
	sites atomic.Pointer[siteTable]
}

type skuStock struct {
	sku    string
	read   atomic.Pointer[[]routing.SiteStock] // sites as they were read last; nil = they have changed since
	mu     sync.Mutex
	sites  []routing.SiteStock // sorted by site
	marks  []mark              // one per site, beside sites
	listed bool                // among the news
}

// stock gives the sites for readers.
func (s *skuStock) stock() []routing.SiteStock {
	if p := s.read.Load(); p != nil {
		return *p
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	list := slices.Clone(s.sites)
	s.read.Store(&list)
	return list
}

// find gives a site's place; with the lock held.
func (s *skuStock) find(site string) (i int, found bool) {
	return slices.BinarySearchFunc(s.sites, site, func(a routing.SiteStock, id string) int { return strings.Compare(a.Site, id) })
}

// mark is what a bucket's writers know beside its stock.
type mark struct {
	version uint64
	news    bool // to be told to other nodes
}

type siteTable struct {
	byID map[string]*siteSlot
	ids  []string // sorted
}

var (
	_ routing.View   = (*View)(nil)
	_ routing.Priced = (*View)(nil)
)

// NewView makes an empty view.
func NewView() *View {
	v := &View{}
	v.sites.Store(&siteTable{byID: make(map[string]*siteSlot)})
	return v
}

// Stock gives a SKU's available quantity per site, sorted by site. The slice is shared: do not change it.
func (v *View) Stock(sku string) []routing.SiteStock {
	s, ok := v.skus.Load(sku)
	if !ok {
		return nil
	}
	return s.(*skuStock).stock()
}

// ATP is what a site has of a SKU, as far as this node has heard.
func (v *View) ATP(sku, site string) int64 {
	got, ok := v.skus.Load(sku)
	if !ok {
		return 0
	}
	s := got.(*skuStock)
	s.mu.Lock()
	defer s.mu.Unlock()
	if i, found := s.find(site); found {
		return s.sites[i].ATP
	}
	return 0
}

// Known says whether any site has ever carried the SKU.
func (v *View) Known(sku string) bool {
	_, ok := v.skus.Load(sku)
	return ok
}

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
		sku = strings.Clone(sku)
		if got, loaded = v.skus.LoadOrStore(sku, &skuStock{sku: sku}); !loaded {
			v.count.Add(1)
		}
	}
	s := got.(*skuStock)
	s.mu.Lock()
	defer s.mu.Unlock()
	i, found := s.find(site)
	if found && version < s.marks[i].version {
		return false
	}
	known := found && version == s.marks[i].version
	if !found {
		s.marks = slices.Insert(s.marks, i, mark{})
		s.sites = slices.Insert(s.sites, i, routing.SiteStock{Site: strings.Clone(site)}) // what is given may be a part of a message
		s.read.Store(nil)
	}
	s.marks[i].version = version
	if !known || own {
		s.marks[i].news = own && v.news.Load().stock(s)
	}
	if old := s.sites[i].ATP; !known && old != atp {
		s.sites[i].ATP = atp
		s.read.Store(nil)
		return atp > old && atp > 0
	}
	return false
}
