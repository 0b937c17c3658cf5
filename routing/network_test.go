package routing

import (
	"slices"

	"orderyard/messages"
)

// network is a View of plain maps.
type network struct {
	sites map[string]*Site
	ids   []string
	stock map[string][]SiteStock
}

func newNetwork() *network {
	return &network{sites: map[string]*Site{}, stock: map[string][]SiteStock{}}
}

func (n *network) Stock(sku string) []SiteStock { return n.stock[sku] }
func (n *network) SiteIDs() []string            { return n.ids }
func (n *network) Site(id string) (*Site, bool) { s, ok := n.sites[id]; return s, ok }

func (n *network) addSite(s *Site) *network {
	if _, ok := n.sites[s.ID]; !ok {
		n.ids = append(n.ids, s.ID)
		slices.Sort(n.ids)
	}
	if s.Status == "" {
		s.Status = statusOnline
	}
	s.Locate()
	n.sites[s.ID] = s
	return n
}

func (n *network) setStock(sku, site string, atp int64) *network {
	rows := n.stock[sku]
	i, found := slices.BinarySearchFunc(rows, site, func(s SiteStock, id string) int {
		return slices.Compare([]byte(s.Site), []byte(id))
	})
	if found {
		rows[i].ATP = atp
	} else {
		n.stock[sku] = slices.Insert(rows, i, SiteStock{site, atp})
	}
	return n
}

func (n *network) atp(sku, site string) int64 {
	for _, s := range n.stock[sku] {
		if s.Site == site {
			return s.ATP
		}
	}
	return 0
}

// at0 is a destination on the equator, so that a site d degrees east is d × 111,195 m away.
func at0() *messages.Address { return &messages.Address{Country: "US", HasPosition: true} }

// east makes a site d degrees east of at0.
func east(id string, d float64) *Site { return &Site{ID: id, Country: "US", Lon: d} }

func line(i uint32, sku string, qty int64) *messages.LineNeed {
	return &messages.LineNeed{Line: i, Sku: sku, Quantity: qty}
}
