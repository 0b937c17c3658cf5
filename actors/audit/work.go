package audit

import "orderyard/messages"

// work is a fulfillment order that a site has and has not shipped.
type work struct{ site, id, order string }

// work notes what a site has at hand.
func (p *Part) work(ref messages.Ref, m *siteModel) {
	for _, id := range sortedKeys(m.work) {
		if w := m.work[id]; !w.shipped && w.order != "" {
			p.hands = append(p.hands, work{ref.ID, id, w.order})
		}
	}
}

// strays finds work that a site has at hand and that its order has ended, or never asked for: its customer would get the goods nevertheless, perhaps from
// two sites.
func strays(parts []*Part) (found []Violation) {
	expected := map[string]bool{}
	for _, p := range parts {
		for _, id := range p.expected {
			expected[id] = true
		}
	}
	for _, p := range parts {
		for _, w := range p.hands {
			if !expected[w.id] {
				found = p.disagree(found, messages.SiteRef(w.site), "works on %s, which order %s does not count on", w.id, w.order)
			}
		}
	}
	return found
}
