package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// replayReport is what a replay ends with: stable JSON for programs, a table for people.
type replayReport struct {
	File          string           `json:"file"`
	Seed          uint64           `json:"seed"`
	Rows          int              `json:"rows"`
	Orders        replayOrders     `json:"orders"`
	Cancellations cancellations    `json:"cancellations"`
	OpeningStock  openingStock     `json:"opening_stock"`
	Rejected      replayRejected   `json:"rejected"`
	Speed         replaySpeed      `json:"speed"`
	Settled       bool             `json:"settled"`
	SettledAfterS float64          `json:"settled_after_s"`
	QuietS        float64          `json:"quiet_s"`
	Statuses      map[string]int64 `json:"statuses"`
	Exceptions    map[string]int64 `json:"exceptions"`
	Verdict       *auditReport     `json:"verdict"`
}

// replayOrders counts the orders of this run as the node shows them at the end.
type replayOrders struct {
	Sent             int64            `json:"sent"`
	Placed           int64            `json:"placed"`
	Repeated         int64            `json:"repeated"`
	Refused          map[string]int64 `json:"refused"`
	Lines            int64            `json:"lines"`
	Units            int64            `json:"units"`
	Allocated        int64            `json:"allocated"`
	WithWork         int64            `json:"with_work"`
	Split            int64            `json:"split"`
	SplitRate        float64          `json:"split_rate"`
	Rerouted         int64            `json:"rerouted"`
	Reroutes         int64            `json:"reroutes"`
	Backordered      int64            `json:"backordered"`
	BackorderedUnits int64            `json:"backordered_units"`
	Exceptions       int64            `json:"exceptions"`
	Cancelled        int64            `json:"cancelled"`
	Moving           int64            `json:"moving"`
	WaitingInPart    int64            `json:"waiting_in_part"`
	Unexplained      int64            `json:"unexplained"`
}

type openingStock struct {
	SKUs    int   `json:"skus"`
	Buckets int64 `json:"buckets"`
	Units   int64 `json:"units"`
	Ignored int64 `json:"ignored"` // buckets that did not take the count: a newer one is known, or too much has moved since
}

type replayRejected struct {
	Rows    int64           `json:"rows"`
	Reasons []*rejectedRows `json:"reasons"`
}

type replaySpeed struct {
	Seconds        float64 `json:"seconds"`
	OrdersPerS     float64 `json:"orders_per_s"`
	Retries        int64   `json:"retries"`
	AllocatedP50Ms int64   `json:"allocated_p50_ms"`
	AllocatedP99Ms int64   `json:"allocated_p99_ms"`
	AllocatedMaxMs int64   `json:"allocated_max_ms"`
}

func (r *replay) report(o *outcome, verdict *auditReport) *replayReport {
	seconds := max(r.ended.Sub(r.began).Seconds(), 1e-6)
	sent := r.sent.Load()
	report := &replayReport{
		File: r.f.file, Seed: r.f.seed, Rows: r.reader.rows, Cancellations: r.cancels, OpeningStock: r.opening,
		Orders: replayOrders{
			Sent: sent, Placed: r.placed.orders, Repeated: r.placed.repeated, Refused: r.placed.refused, Lines: r.placed.lines,
			Units: r.placed.units, Allocated: o.allocated, WithWork: o.parted, Split: o.split, Rerouted: o.rerouted,
			Reroutes: o.reroutes, Backordered: o.backordered, BackorderedUnits: o.shortUnits, Exceptions: o.failed,
			Cancelled: o.statuses["cancelled"], Moving: o.moving, WaitingInPart: o.partly, Unexplained: o.waits,
		},
		Rejected: replayRejected{r.rejects.rows, r.rejects.sorted()},
		Speed: replaySpeed{
			Seconds: round3(seconds), OrdersPerS: round3(float64(sent) / seconds), Retries: r.retries.Load(),
			AllocatedP50Ms: o.latency.ValueAtQuantile(50), AllocatedP99Ms: o.latency.ValueAtQuantile(99), AllocatedMaxMs: o.latency.Max(),
		},
		Settled: o.settled, SettledAfterS: round3(o.waited.Seconds()), QuietS: o.quiet.Seconds(), Statuses: o.statuses, Exceptions: o.exceptions, Verdict: verdict,
	}
	if o.parted > 0 {
		report.Orders.SplitRate = round3(float64(o.split) / float64(o.parted))
	}
	return report
}

func round3(x float64) float64 { return float64(int64(x*1000+0.5)) / 1000 }

func (p *replayReport) show(a *app) error {
	if a.output == outputJSON {
		return a.printValue(p)
	}
	t := a.table("REPLAY", "#COUNT", "NOTE")
	o := &p.Orders
	t.add("orders", o.Sent, note("%d new", o.Placed)+some(", %d repeated an earlier answer", o.Repeated)+counts("; refused: ", o.Refused))
	t.add("lines", o.Lines, note("of %d rows", p.Rows))
	t.add("units", o.Units, "")
	t.add("allocated", o.Allocated, note("whole orders, %s; p50 %v, p99 %v, slowest %v after placing", share100(o.Allocated, o.Sent),
		ms(p.Speed.AllocatedP50Ms), ms(p.Speed.AllocatedP99Ms), ms(p.Speed.AllocatedMaxMs)))
	t.add("split", o.Split, note("%s of %d orders with work at a site", share100(o.Split, o.WithWork), o.WithWork))
	t.add("re-routes", o.Reroutes, note("of %d orders", o.Rerouted))
	t.add("backordered", o.Backordered, note("orders that wait for %d units", o.BackorderedUnits))
	t.add("exceptions", o.Exceptions, counts("", p.Exceptions))
	t.add("cancelled", o.Cancelled, "")
	t.add("cancellations", p.Cancellations.Invoices, counts("", p.Cancellations.Outcomes))
	t.add("rejected rows", p.Rejected.Rows, "")
	t.add("orders/s", int64(p.Speed.OrdersPerS+0.5), note("%.1f s, %d retries", p.Speed.Seconds, p.Speed.Retries))
	if err := t.print(""); err != nil {
		return err
	}
	if err := p.showSections(a); err != nil {
		return err
	}
	return a.println("\n" + p.rest() + "\n" + p.Verdict.String())
}

func (p *replayReport) showSections(a *app) error {
	statuses := a.table("ORDERS BY STATUS", "#COUNT")
	for _, s := range byCount(p.Statuses) {
		statuses.add(status(s), p.Statuses[s])
	}
	if err := statuses.section(); err != nil {
		return err
	}
	rejected := a.table("REJECTED ROWS", "#COUNT", "FIRST")
	for _, r := range p.Rejected.Reasons {
		rejected.add(r.Reason, r.Rows, fmt.Sprintf("line %d: %s", r.FirstLine, shorten(r.FirstRow)))
	}
	return rejected.section()
}

// rest says how far the orders came.
func (p *replayReport) rest() string {
	o := &p.Orders
	idle := o.Moving - o.WaitingInPart
	switch {
	case p.Settled && idle == 0:
		return fmt.Sprintf("at rest after %.1f s: every order is completed, cancelled, held, a named exception or waits for stock (%d of them shipped in part)",
			p.SettledAfterS, o.WaitingInPart)
	case p.Settled:
		return fmt.Sprintf("nothing has moved for %v: %s with work that nobody does; %d of them neither allocated nor waiting for stock",
			time.Duration(p.QuietS*float64(time.Second)), plural(int(idle), "order"), o.Unexplained)
	}
	return fmt.Sprintf("still on the way after %.1f s: %s, %d of them neither allocated nor waiting for stock; a longer --settle waits for them",
		p.SettledAfterS, plural(int(o.Moving), "order"), o.Unexplained)
}

func note(format string, args ...any) string { return fmt.Sprintf(format, args...) }

func some(format string, n int64) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(format, n)
}

// counts lists what was counted, the most frequent first.
func counts(before string, of map[string]int64) string {
	var parts []string
	for _, word := range byCount(of) {
		parts = append(parts, fmt.Sprintf("%s %d", word, of[word]))
	}
	if len(parts) == 0 {
		return ""
	}
	return before + strings.Join(parts, ", ")
}

func byCount(of map[string]int64) []string {
	return slices.SortedFunc(maps.Keys(of), func(a, b string) int { return cmp.Or(cmp.Compare(of[b], of[a]), cmp.Compare(a, b)) })
}

func share100(part, whole int64) string {
	if whole == 0 {
		return "none"
	}
	return fmt.Sprintf("%.1f %%", 100*float64(part)/float64(whole))
}

func ms(n int64) time.Duration { return time.Duration(n) * time.Millisecond }

// shorten keeps an example on one line of a terminal.
func shorten(s string) string {
	const most = 60
	if r := []rune(s); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return s
}
