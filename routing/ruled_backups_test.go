package routing

import (
	"os"
	"strings"
	"testing"

	"orderyard/messages"
)

// TestBackupsSpareParcels proves that back-ups are asked, one after the other, also where the sites have everything, but not few enough of them; that
// they are asked before a soft filter is dropped; and that nobody was asked where that does not help.
func TestBackupsSpareParcels(t *testing.T) {
	text, err := os.ReadFile("../configs/routing/backups.yaml")
	if err != nil {
		t.Fatal(err)
	}
	soft := strings.Replace(string(text), "          - stock: any\n", "          - {group: main, soft: true}\n          - stock: any\n", 1)
	for _, c := range []struct {
		name, rules, partial string
		left                 int32
		stock                map[string]string // site → SKUs
		want, decided        string
	}{
		{"one parcel", string(text), "complete_only", 3, map[string]string{"BACK-US": "AB", "LAST": "AB"}, "BACK-US:2", ""},
		{"no further site", string(text), "split", 1, map[string]string{"BACK-US": "AB"}, "BACK-US:2", ""},
		{"the second one has it", string(text), "complete_only", 3, map[string]string{"BACK-US": "A", "LAST": "AB"}, "LAST:2", ""},
		{"two parcels are enough", string(text), "split", 2, map[string]string{"BACK-US": "AB"}, "x:1 y:1", ""},
		{"most of it from one", string(text), "ship_available", 1, map[string]string{"BACK-US": "AB"}, "BACK-US:2", ""},
		{"nobody has both", string(text), "complete_only", 3, map[string]string{"BACK-US": "A", "LAST": "B"}, "", stepComplete},
		{"before a soft filter", soft, "complete_only", 3, map[string]string{"BACK-US": "AB", "z": "AB"}, "BACK-US:2", ""},
		{"then the soft filter", soft, "complete_only", 3, map[string]string{"BACK-US": "A", "z": "AB"}, "z:2", ""},
	} {
		net := newNetwork().addSite(east("x", 1)).addSite(east("y", 2)).addSite(east("z", 9)).setStock("A", "x", 5).setStock("B", "y", 5)
		for _, s := range []*Site{east("BACK-US", 3), east("LAST", 4)} {
			net.addSite(s)
		}
		for _, id := range []string{"x", "y", "BACK-US", "LAST"} {
			net.sites[id].Groups = []string{"main"}
		}
		for id, skus := range c.stock {
			for _, sku := range skus {
				net.setStock(string(sku), id, 5)
			}
		}
		req := &messages.PlanRequest{ShipTo: at0(), Partial: c.partial, SplitsLeft: c.left, Needs: []*messages.LineNeed{line(0, "A", 1), line(1, "B", 1)}}
		p := Route(req, net, byRules(t, c.rules), oracleNow)
		d := p.Decision
		if gives(p) != c.want || c.decided != "" && d.DecidedBy != c.decided {
			t.Errorf("%s: %s gives, want %s: %v", c.name, gives(p), c.want, d)
		}
		for _, s := range d.Candidates {
			if asked := s.Filter != "backup"; c.decided != "" && asked && (s.Site == "BACK-US" || s.Site == "LAST") {
				t.Errorf("%s: %s was asked: %v", c.name, s.Site, d)
			}
		}
	}
}
