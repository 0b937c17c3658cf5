package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"orderyard/configs"
	"orderyard/messages"
	"orderyard/routing"
	"orderyard/routing/geo"
	"orderyard/routing/ruleset"
	"orderyard/routing/shadow/benchmark"
)

type routingFlags struct {
	decisions            int
	rules                string
	network              string
	instances, sequences int
	seed                 uint64
}

func newBenchRoutingCmd(a *app) *cobra.Command {
	f := routingFlags{}
	cmd := &cobra.Command{
		Use:   "routing",
		Short: "How long a routing decision takes, and how good it is on the published benchmark",
		Long: "How long a routing decision takes, by the built-in rules and by a rule set, over a hundred sites; and how good a decision is: policies on the\n" +
			"published multi-item benchmark (generator of Ma 2023, cost model of Jasin & Sinha 2015) beside a lower bound that no policy can beat.\n" +
			"--network none leaves the second part out. docs/benchmarks/routing.md says what the rows are.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.decisions < 100 || f.decisions > 10_000_000 {
				return usage("--decisions must be 100 to 10000000, is %d", f.decisions)
			}
			if f.network != "none" && !slices.Contains(benchmark.Networks(), f.network) {
				return usage("--network must be none or one of %s, is %q", strings.Join(benchmark.Networks(), ", "), f.network)
			}
			if f.instances < 1 || f.instances > 1000 || f.sequences < 1 || f.sequences > 1000 {
				return usage("--instances and --sequences must be 1 to 1000")
			}
			return benchRouting(cmd.Context(), a, &f)
		},
	}
	cmd.Flags().IntVar(&f.decisions, "decisions", 20_000, "decisions of each row")
	cmd.Flags().StringVar(&f.rules, "rules", "", "a rule set instead of the default one")
	cmd.Flags().StringVar(&f.network, "network", "small", "small, big-50, big-25 or none")
	cmd.Flags().IntVar(&f.instances, "instances", 3, "instances of the network; the literature takes 30")
	cmd.Flags().IntVar(&f.sequences, "sequences", 3, "sequences of orders for each instance; the literature takes 30")
	cmd.Flags().Uint64Var(&f.seed, "seed", 1, "the seed all others follow from")
	return cmd
}

// routingRow is how long decisions of one kind took.
type routingRow struct {
	Rules     string  `json:"rules"`
	Lines     int     `json:"lines"`
	Sites     int     `json:"sites"`
	Stocked   int     `json:"stocked_percent"`
	P50Us     float64 `json:"p50_us"`
	P99Us     float64 `json:"p99_us"`
	Allocs    float64 `json:"allocs"`
	RecordMax int     `json:"record_bytes_max"`
	Proven    float64 `json:"proven_percent"`
}

func benchRouting(ctx context.Context, a *app, f *routingFlags) error {
	sets, err := a.benchRules(f.rules)
	if err != nil {
		return err
	}
	var rows []routingRow
	for _, size := range [][2]int{{2, 30}, {5, 100}} {
		for _, stocked := range []int{100, 50, 10} {
			for _, rules := range sets {
				rows = append(rows, timeRouting(rules, size[0], size[1], stocked, f.decisions))
			}
		}
	}
	if a.output != outputJSON {
		if err := a.printRouting(rows); err != nil {
			return err
		}
	}
	out := struct {
		Decisions []routingRow      `json:"decisions"`
		Published *benchmark.Report `json:"published,omitempty"`
		Machine   string            `json:"machine"`
	}{Decisions: rows, Machine: a.machine()}
	if f.network != "none" {
		report, err := a.publishedRouting(ctx, f)
		if err != nil {
			return err
		}
		out.Published = &report
		if a.output != outputJSON {
			if err := a.println("\n" + report.Markdown()); err != nil {
				return err
			}
		}
	}
	if a.output == outputJSON {
		return a.printValue(out)
	}
	return a.println(a.machine())
}

// benchRules are the built-in rules and a set of operators.
func (a *app) benchRules(file string) ([]*routing.Rules, error) {
	text := configs.DefaultRules()
	if file != "" {
		var err error
		if text, err = a.read(file, rulesFileMax); err != nil {
			return nil, err
		}
	} else {
		file = "default.yaml"
	}
	set, err := ruleset.Load(file, text)
	if err != nil {
		return nil, err
	}
	return []*routing.Rules{routing.DefaultRules(), rulesBy(set)}, nil
}

// benchNetwork is a routing.View of sites at US postal codes.
type benchNetwork struct {
	ids   []string
	sites map[string]*routing.Site
	stock map[string][]routing.SiteStock
}

func (n *benchNetwork) Stock(sku string) []routing.SiteStock { return n.stock[sku] }
func (n *benchNetwork) SiteIDs() []string                    { return n.ids }
func (n *benchNetwork) Site(id string) (*routing.Site, bool) { s, ok := n.sites[id]; return s, ok }
func newBenchNetwork(sites, skus, stocked int) (n *benchNetwork) {
	r := rand.New(rand.NewPCG(1, uint64(sites*skus+stocked)))
	n = &benchNetwork{sites: map[string]*routing.Site{}, stock: map[string][]routing.SiteStock{}}
	for i := range sites {
		lat, lon, _ := geo.Locate("US", geo.PopulationPostal(uint64(i)))
		s := &routing.Site{
			ID: fmt.Sprintf("site-%03d", i), Type: "dc", Country: "US", Lat: lat, Lon: lon, Status: "online", CostPerOrder: 120 + r.Int64N(80),
			CostPerUnit: 20 + r.Int64N(30), OpenLoadPermille: r.Int64N(900),
		}
		s.Locate()
		n.ids, n.sites[s.ID] = append(n.ids, s.ID), s
	}
	for i := range skus {
		for _, id := range n.ids {
			if r.IntN(100) < stocked {
				sku := "SKU-" + strconv.Itoa(i)
				n.stock[sku] = append(n.stock[sku], routing.SiteStock{Site: id, ATP: 1 + r.Int64N(50)})
			}
		}
	}
	return n
}

// timeRouting decides orders to many destinations and takes the time of each.
func timeRouting(rules *routing.Rules, lines, sites, stocked, decisions int) routingRow {
	const destinations = 256
	net := newBenchNetwork(sites, 4*lines, stocked)
	r := rand.New(rand.NewPCG(2, 3))
	requests := make([]*messages.PlanRequest, destinations)
	for i := range requests {
		o := &messages.Order{
			Channel: "web", ExternalId: strconv.Itoa(i), Partial: "ship_available",
			ShipTo: &messages.Address{Country: "US", PostalCode: geo.PopulationPostal(r.Uint64())},
		}
		for l := range lines {
			o.Lines = append(o.Lines, &messages.OrderLine{Id: strconv.Itoa(l), Sku: "SKU-" + strconv.Itoa(4*l+r.IntN(4)), Quantity: 1 + r.Int64N(3), UnitPrice: 2000})
		}
		requests[i] = routing.Question(o, "placed")
	}
	row := routingRow{Rules: rules.Version, Lines: lines, Sites: sites, Stocked: stocked}
	now := time.Now().UnixMilli()
	took := make([]time.Duration, decisions)
	proven := 0
	before := mallocs()
	for i := range took {
		began := time.Now()
		p := routing.Route(requests[i%destinations], net, rules, now)
		took[i] = time.Since(began)
		if p.Decision.Exact {
			proven++
		}
		row.RecordMax = max(row.RecordMax, p.Decision.SizeVT())
	}
	row.Allocs = float64(mallocs()-before) / float64(decisions)
	slices.Sort(took)
	row.P50Us = float64(took[decisions/2].Nanoseconds()) / 1000
	row.P99Us = float64(took[decisions*99/100].Nanoseconds()) / 1000
	row.Proven = 100 * float64(proven) / float64(decisions)
	return row
}

func (a *app) printRouting(rows []routingRow) error {
	t := a.table("RULES", "#LINES", "#SITES", "#STOCKED", "#P50 µs", "#P99 µs", "#ALLOCS", "#RECORD", "#PROVEN")
	for _, r := range rows {
		t.add(r.Rules, r.Lines, r.Sites, fmt.Sprintf("%d %%", r.Stocked), fmt.Sprintf("%.1f", r.P50Us), fmt.Sprintf("%.1f", r.P99Us),
			fmt.Sprintf("%.0f", r.Allocs), fmt.Sprintf("%d B", r.RecordMax), fmt.Sprintf("%.1f %%", r.Proven))
	}
	return t.print("")
}

// publishedRouting runs the published benchmark, with CBC for the literature's bound where it is installed.
func (a *app) publishedRouting(ctx context.Context, f *routingFlags) (benchmark.Report, error) {
	began := time.Now()
	o := benchmark.Options{
		Network: f.network, Instances: f.instances, Sequences: f.sequences, Seed: f.seed,
		Clock: func() time.Duration { return time.Since(began) },
	}
	if path, err := exec.LookPath("cbc"); err == nil && f.network == "small" {
		o.SolveLP = func(program []byte) (benchmark.LP, error) { return solveByCBC(ctx, path, program) }
	}
	return benchmark.Run(o, func(done, of int) {
		fmt.Fprintf(a.err, "%d of %d instances after %v\n", done, of, time.Since(began).Round(time.Second))
	})
}

// solveByCBC solves a linear program with the open-source solver.
func solveByCBC(ctx context.Context, path string, program []byte) (lp benchmark.LP, err error) {
	dir, err := os.MkdirTemp("", "orderyard-bench-")
	if err != nil {
		return lp, err
	}
	defer os.RemoveAll(dir)
	in, out := filepath.Join(dir, "program.lp"), filepath.Join(dir, "solution.txt")
	if err := os.WriteFile(in, program, 0o600); err != nil {
		return lp, err
	}
	if text, err := exec.CommandContext(ctx, path, append([]string{in}, benchmark.CBCArguments(out)...)...).CombinedOutput(); err != nil {
		return lp, fmt.Errorf("cbc: %w: %s", err, text)
	}
	text, err := os.ReadFile(out)
	if err != nil {
		return lp, err
	}
	return benchmark.ReadCBC(text)
}

// mallocs counts the allocations of the process.
func mallocs() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.Mallocs
}
