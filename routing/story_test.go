package routing

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"orderyard/messages"
)

const storyNow = 1_795_000_000_000

// TestStories proves what routing answers to people's cases, by golden text of the plan and its record.
//
//	network                          sites and stock, added to what is there ("reset" begins anew)
//	site ID [east=degrees] [field=value…]
//	stock SKU SITE=units…
//	route [partial=…] [splits=n] [used=site,site]…
//	need LINE SKU QUANTITY [group=…] [labels=a,b]
//	exclude SITE [sku=…] [for=ms] [reason=…]
//	known SITE SKU UNITS [age=ms]
func TestStories(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		net := newNetwork()
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			switch d.Cmd {
			case "reset":
				net = newNetwork()
				return ""
			case "network":
				for _, l := range strings.Split(d.Input, "\n") {
					storyNetwork(t, net, strings.Fields(l))
				}
				return ""
			case "route":
				rules := DefaultRules()
				return storyPlan(Route(storyRequest(t, d, rules), net, rules, storyNow))
			}
			t.Fatalf("unknown command %s", d.Cmd)
			return ""
		})
	})
}

func number(t *testing.T, s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func storyNetwork(t *testing.T, net *network, f []string) {
	if f[0] == "stock" {
		for _, s := range f[2:] {
			site, units, _ := strings.Cut(s, "=")
			net.setStock(f[1], site, number(t, units))
		}
		return
	}
	s := &Site{ID: f[1], Country: "US"}
	for _, o := range f[2:] {
		key, value, _ := strings.Cut(o, "=")
		switch key {
		case "east":
			s.Lon, _ = strconv.ParseFloat(value, 64)
		case "order":
			s.CostPerOrder = number(t, value)
		case "unit":
			s.CostPerUnit = number(t, value)
		case "load":
			s.OpenLoadPermille = number(t, value)
		case "status":
			s.Status = value
		case "country":
			s.Country = value
		case "paused":
			s.PausedUntil = storyNow + number(t, value)
		case "labels":
			s.LabelsAllowed = strings.Split(value, ",")
		default:
			t.Fatalf("unknown field %s", key)
		}
	}
	net.addSite(s)
}

func storyRequest(t *testing.T, d *datadriven.TestData, rules *Rules) *messages.PlanRequest {
	req := &messages.PlanRequest{PlanNo: 1, Cause: "placed", ShipTo: at0(), Partial: "split"}
	for _, a := range d.CmdArgs {
		switch a.Key {
		case "partial":
			req.Partial = a.Vals[0]
		case "splits":
			req.SplitsLeft = int32(number(t, a.Vals[0]))
		case "used":
			req.SitesUsed = a.Vals
		case "country":
			req.ShipTo.Country = a.Vals[0]
		case "postal":
			req.ShipTo.HasPosition, req.ShipTo.PostalCode = false, a.Vals[0]
		case "equal_within_km":
			rules.EqualWithinKm = number(t, a.Vals[0])
		case "steps_max":
			rules.StepsMax = number(t, a.Vals[0])
		default:
			t.Fatalf("unknown argument %s", a.Key)
		}
	}
	for _, l := range strings.Split(d.Input, "\n") {
		if f := strings.Fields(l); len(f) > 0 {
			storyLine(t, req, f)
		}
	}
	return req
}

func storyLine(t *testing.T, req *messages.PlanRequest, f []string) {
	options := map[string]string{}
	words := 0
	for _, o := range f {
		if key, value, ok := strings.Cut(o, "="); ok {
			options[key] = value
		} else {
			words++
		}
	}
	f = f[:words]
	switch f[0] {
	case "need":
		n := line(uint32(number(t, f[1])), f[2], number(t, f[3]))
		n.Group = options["group"]
		if options["labels"] != "" {
			n.Labels = strings.Split(options["labels"], ",")
		}
		req.Needs = append(req.Needs, n)
	case "exclude":
		e := &messages.Exclusion{Site: f[1], Sku: options["sku"], Reason: options["reason"]}
		if options["for"] != "" {
			e.UntilMs = storyNow + number(t, options["for"])
		}
		req.Exclusions = append(req.Exclusions, e)
	case "known":
		k := &messages.KnownStock{Site: f[1], Sku: f[2], Atp: number(t, f[3]), AtMs: storyNow}
		if options["age"] != "" {
			k.AtMs -= number(t, options["age"])
		}
		req.Known = append(req.Known, k)
	default:
		t.Fatalf("unknown line %v", f)
	}
}

func storyPlan(p *messages.Plan) string {
	var b strings.Builder
	quantities := func(lines []*messages.LineQuantity) string {
		var s []string
		for _, l := range lines {
			s = append(s, fmt.Sprintf("%d×line %d", l.Quantity, l.Line))
		}
		return strings.Join(s, ", ")
	}
	for _, a := range p.Assignments {
		fmt.Fprintf(&b, "%s gives %s over %d m\n", a.Site, quantities(a.Lines), a.DistanceM)
	}
	if len(p.Short) > 0 {
		fmt.Fprintf(&b, "short %s\n", quantities(p.Short))
	}
	d := p.Decision
	fmt.Fprintf(&b, "decided by %s, %d m, cost %d, exact %v, %s, %s\n", d.DecidedBy, d.DistanceM, d.Cost, d.Exact, d.Strategy, p.RulesVersion)
	if d.Note != "" {
		fmt.Fprintf(&b, "note: %s\n", d.Note)
	}
	for _, c := range d.Candidates {
		switch {
		case c.Filter != "":
			fmt.Fprintf(&b, "  %s fails %s: expected %s, actual %s\n", c.Site, c.Filter, c.Expected, c.Actual)
		case c.Chosen:
			fmt.Fprintf(&b, "* %s %d m, %d units, cost and load %v\n", c.Site, c.DistanceM, c.Units, c.Scores)
		default:
			fmt.Fprintf(&b, "  %s %d m, %d units, cost and load %v\n", c.Site, c.DistanceM, c.Units, c.Scores)
		}
	}
	return b.String()
}
