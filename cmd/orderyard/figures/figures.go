package figures

import (
	"slices"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Report is one run of one or more benchmarks on one machine. Its JSON is stable: fields are added, never renamed.
type Report struct {
	Machine Machine `json:"machine"`
	Benches []Bench `json:"benches"`
}

// Bench is one benchmark's result.
type Bench struct {
	ID     string   `json:"id"` // of docs/benchmarks: "B1 B2"
	Name   string   `json:"name"`
	Title  string   `json:"title"`
	Setup  string   `json:"setup"` // rounds, seconds, requests under way
	Rows   []Row    `json:"rows"`
	Goals  []Goal   `json:"goals"`
	Notes  []string `json:"notes,omitempty"` // what was checked, what else to know
	Skips  []string `json:"skips,omitempty"` // peers that are not installed
	Failed string   `json:"failed,omitempty"`
}

// Row is one thing measured in every round.
type Row struct {
	Name    string    `json:"name"`
	Unit    string    `json:"unit"` // of Rounds: "/s", "ms", "commands/sync"
	Ours    bool      `json:"ours"`
	Rounds  []float64 `json:"rounds"`
	Median  float64   `json:"median"`
	Lowest  float64   `json:"lowest"`
	Highest float64   `json:"highest"`
	Latency *Latency  `json:"latency,omitempty"`
	Allocs  float64   `json:"allocs_per_op,omitempty"`
	CPU     float64   `json:"server_cpu_us_per_op,omitempty"` // microseconds
	Note    string    `json:"note,omitempty"`
}

// Latency holds quantiles over all rounds, in milliseconds.
type Latency struct {
	Count int64   `json:"count"`
	P50   float64 `json:"p50_ms"`
	P90   float64 `json:"p90_ms"`
	P99   float64 `json:"p99_ms"`
	P999  float64 `json:"p999_ms"`
	Max   float64 `json:"max_ms"`
}

// Goal is one figure beside what was wanted.
type Goal struct {
	What    string  `json:"what"`
	Unit    string  `json:"unit"` // "×", "ms", "commands/sync"
	Value   float64 `json:"value"`
	Lowest  float64 `json:"lowest"`
	Highest float64 `json:"highest"`
	AtLeast bool    `json:"at_least"` // else at most
	Bound   float64 `json:"bound"`
	Met     bool    `json:"met"`
}

// NewRow summarizes the rounds of one side.
func NewRow(name, unit string, rounds []float64, latency *hdrhistogram.Histogram) Row {
	r := Row{Name: name, Unit: unit, Rounds: rounds, Median: Median(rounds)}
	r.Lowest, r.Highest = Bounds(rounds)
	if latency != nil {
		r.Latency = LatencyOf(latency)
	}
	return r
}

// LatencyOf reads a histogram of microseconds; nil when it is empty.
func LatencyOf(h *hdrhistogram.Histogram) *Latency {
	if h.TotalCount() == 0 {
		return nil
	}
	ms := func(q float64) float64 { return float64(h.ValueAtQuantile(q)) / 1000 }
	return &Latency{Count: h.TotalCount(), P50: ms(50), P90: ms(90), P99: ms(99), P999: ms(99.9), Max: float64(h.Max()) / 1000}
}

// AtLeast is a goal whose median over the rounds must reach bound.
func AtLeast(what, unit string, values []float64, bound float64) Goal {
	g := goal(what, unit, values, bound)
	g.AtLeast, g.Met = true, len(values) > 0 && g.Value >= bound
	return g
}

// AtMost is a goal whose median over the rounds must stay within bound.
func AtMost(what, unit string, values []float64, bound float64) Goal {
	g := goal(what, unit, values, bound)
	g.Met = len(values) > 0 && g.Value <= bound
	return g
}

func goal(what, unit string, values []float64, bound float64) Goal {
	g := Goal{What: what, Unit: unit, Value: Median(values), Bound: bound}
	g.Lowest, g.Highest = Bounds(values)
	return g
}

// Ratios compares two sides round by round: a machine that was slow in one round was slow for both. A round in which the second side
// did nothing has no ratio.
func Ratios(ours, theirs []float64) []float64 {
	var ratios []float64
	for i := range min(len(ours), len(theirs)) {
		if theirs[i] > 0 {
			ratios = append(ratios, ours[i]/theirs[i])
		}
	}
	return ratios
}

// Median is the middle value; of an even number of values the mean of the two in the middle. 0 without values.
func Median(values []float64) float64 {
	n := len(values)
	if n == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// Quantile is the smallest value that at least the share q of the values does not exceed; 0 without values.
func Quantile(values []float64, q float64) float64 {
	n := len(values)
	if n == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	at := int(q * float64(n))
	if float64(at) == q*float64(n) {
		at--
	}
	return sorted[min(max(at, 0), n-1)]
}

// Bounds are the lowest and the highest value; zeros without values.
func Bounds(values []float64) (low, high float64) {
	if len(values) == 0 {
		return 0, 0
	}
	return slices.Min(values), slices.Max(values)
}

// Milliseconds is d with its fraction.
func Milliseconds(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e6 }
