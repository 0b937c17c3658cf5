package main

import (
	"cmp"
	"context"
	"fmt"
	"runtime"
	"strings"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"orderyard/cmd/orderyard/figures"
)

// side is one thing measured, over all rounds.
type side struct {
	name    string
	unit    string // of rates
	ours    bool
	rates   []float64
	latency *hdrhistogram.Histogram // of the present round, microseconds
	total   *hdrhistogram.Histogram // of all rounds
	p50s    []float64               // of each round, milliseconds
	p99s    []float64
	allocs  float64 // per operation
	done    int64
	note    string
	cpu     func() time.Duration // of the server so far; nil = not known
	whose   string               // whose that is; "" = the server's
	used    time.Duration        // of it, in rounds
	took    time.Duration        // what counts of the present round as its time; 0 = all of it
}

// latencyMax is the longest time that is recorded as itself; the rate shows longer ones.
const latencyMax = time.Minute

func newSide(name string) *side {
	newHistogram := func() *hdrhistogram.Histogram { return hdrhistogram.New(1, latencyMax.Microseconds(), 3) }
	return &side{name: name, unit: "/s", latency: newHistogram(), total: newHistogram()}
}

// newOurs is a side that is Orderyard itself.
func newOurs(name string) *side {
	s := newSide(name)
	s.ours = true
	return s
}

// step is one measurement of a round.
type step struct {
	s   *side
	run func() (int64, error)
}

// interleave measures every side in turn, as often as there are rounds.
func (f *benchFlags) interleave(ctx context.Context, a *app, steps ...step) error {
	for round := range f.rounds {
		fmt.Fprintf(a.err, "round %d of %d\n", round+1, f.rounds)
		for i, m := range steps {
			last := round == f.rounds-1 && i == len(steps)-1
			if err := f.profiled(last, func() error { return m.s.measure(m.run) }); err != nil {
				return err
			}
			if err := ctx.Err(); err != nil {
				return err
			}
		}
	}
	return nil
}

// measure runs one round of a side; run gives how many operations it did.
func (s *side) measure(run func() (int64, error)) error {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if s.cpu != nil {
		s.used -= s.cpu()
	}
	began := time.Now()
	n, err := run()
	took := cmp.Or(s.took, time.Since(began))
	if err != nil {
		return fmt.Errorf("%s: %w", s.name, err)
	}
	if s.cpu != nil {
		s.used += s.cpu()
	}
	runtime.ReadMemStats(&after)
	s.rates = append(s.rates, float64(n)/took.Seconds())
	s.done += n
	if n > 0 {
		s.allocs = float64(after.Mallocs-before.Mallocs) / float64(n)
	}
	s.fold()
	return nil
}

// fold ends a round of latencies.
func (s *side) fold() {
	if s.latency.TotalCount() == 0 {
		return
	}
	s.p50s = append(s.p50s, float64(s.latency.ValueAtQuantile(50))/1000)
	s.p99s = append(s.p99s, float64(s.latency.ValueAtQuantile(99))/1000)
	s.total.Merge(s.latency)
	s.latency.Reset()
}

// record notes how long one operation took. Longer than a minute counts as a minute.
func record(h *hdrhistogram.Histogram, d time.Duration) {
	_ = h.RecordValue(min(max(d.Microseconds(), 1), latencyMax.Microseconds())) // within its bounds
}

func (s *side) median() float64 { return figures.Median(s.rates) }

func (s *side) row() figures.Row {
	r := figures.NewRow(s.name, s.unit, s.rates, s.total)
	r.Ours, r.Note = s.ours, s.note
	if s.cpu != nil && s.done > 0 {
		r.CPU = float64(s.used.Microseconds()) / float64(s.done)
		r.Note = strings.TrimPrefix(r.Note+fmt.Sprintf(", %s µs of %s CPU each", figures.Number(r.CPU), cmp.Or(s.whose, "the server's")), ", ")
	}
	return r
}

// rowsOf are the rows of sides whose work was done in this process, with what they allocated.
func rowsOf(sides ...*side) []figures.Row {
	rows := make([]figures.Row, len(sides))
	for i, s := range sides {
		rows[i] = s.row()
		rows[i].Allocs = s.allocs
	}
	return rows
}
