package actors

import (
	"maps"
	"slices"
	"sync"
)

// news is what was observed here and not yet told to other nodes. A bucket that changes a thousand times between two tellings is told
// once. It is called for every commit: all it does then is look at a flag the bucket's own lock protects. A nil news takes nothing.
type news struct {
	wake chan struct{} // holds one when there is something to tell soon

	mu    sync.Mutex
	skus  []*skuStock
	sites map[string]bool // true = at once; else with the next heartbeat, for only its load changed
}

func newNews() *news { return &news{wake: make(chan struct{}, 1), sites: make(map[string]bool)} }

// stock notes that a SKU has a bucket with news, and says that it did. The caller holds the SKU's lock.
func (n *news) stock(s *skuStock) bool {
	if n == nil {
		return false
	}
	if s.listed {
		return true
	}
	s.listed = true
	n.mu.Lock()
	n.skus = append(n.skus, s)
	first := len(n.skus) == 1
	n.mu.Unlock()
	if first {
		n.ring()
	}
	return true
}

// site notes a site.
func (n *news) site(id string, soon bool) {
	if n == nil {
		return
	}
	n.mu.Lock()
	ring := soon && !n.sites[id]
	n.sites[id] = n.sites[id] || soon
	n.mu.Unlock()
	if ring {
		n.ring()
	}
}

func (n *news) ring() {
	select {
	case n.wake <- struct{}{}:
	default:
	}
}

// take gives at most so many SKUs, and the sites that are due, and forgets them. It rings again for SKUs that are left, and says that
// there are.
func (n *news) take(skusMax int, all bool) (skus []*skuStock, sites []string, more bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	skus = n.skus
	n.skus = nil
	if len(skus) > skusMax {
		skus, n.skus = skus[:skusMax:skusMax], skus[skusMax:]
		more = true
		n.ring()
	}
	for _, id := range slices.Sorted(maps.Keys(n.sites)) {
		if all || n.sites[id] {
			sites = append(sites, id)
			delete(n.sites, id)
		}
	}
	return skus, sites, more
}

// share begins to collect news. What is known already counts as news, so that the first telling holds everything. Doing it again
// does nothing.
func (v *View) share() *news {
	n := newNews()
	if !v.news.CompareAndSwap(nil, n) {
		return v.news.Load()
	}
	v.skus.Range(func(_, value any) bool {
		s := value.(*skuStock)
		s.mu.Lock()
		defer s.mu.Unlock()
		for i := range s.marks {
			s.marks[i].news = n.stock(s)
		}
		return true
	})
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, id := range v.SiteIDs() {
		n.site(id, true)
	}
	return n
}

// levels hands over a SKU's buckets; with newsOnly those that have news, which they then have no more.
func (s *skuStock) levels(newsOnly bool, fn func(sku, site string, atp int64, version uint64)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if newsOnly {
		s.listed = false
	}
	for i, at := range s.sites {
		if newsOnly && !s.marks[i].news {
			continue
		}
		if newsOnly {
			s.marks[i].news = false
		}
		fn(s.sku, at.Site, at.ATP, s.marks[i].version)
	}
}
