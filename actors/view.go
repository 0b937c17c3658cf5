package actors

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"orderyard/routing"
	"orderyard/routing/opportunity"
)

// View is the node's picture of stock and sites, fed by what became durable here and by what other nodes say. Readers never wait: every
// change replaces a small immutable slice. News of one entity comes in any order and more than once: the higher version counts.
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
	if sites := s.(*skuStock).sites.Load(); sites != nil {
		return *sites
	}
	return nil
}

// ATP is what a site has of a SKU, as far as this node has heard.
func (v *View) ATP(sku, site string) int64 {
	stock := v.Stock(sku)
	if i, found := slices.BinarySearchFunc(stock, site, func(a routing.SiteStock, id string) int { return strings.Compare(a.Site, id) }); found {
		return stock[i].ATP
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
