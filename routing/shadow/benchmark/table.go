package benchmark

import (
	"encoding/json"
	"fmt"
	"strings"
)

// JSON is the report for programs.
func (r Report) JSON() ([]byte, error) {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode the report: %w", err)
	}
	return append(text, '\n'), nil
}

// Markdown is the report for people.
func (r Report) Markdown() string {
	var b strings.Builder
	n := r.Network
	fmt.Fprintf(&b, "Network %s: %d cities, %d centers, %d items, orders of up to %d items, carried with chance %.2f.\n",
		n.Name, len(n.Cities), len(n.Centers), n.Items, n.SizeMax, n.Carry)
	fmt.Fprintf(&b, "%d instances × %d sequences × %d orders, seed %d, %d rounds for the first prices and the bounds.\n\n",
		r.Instances, r.Sequences, n.Orders, r.Seed, r.Rounds)
	for _, bound := range r.Bounds {
		fmt.Fprintf(&b, "- %s ÷ L\\*: %s\n", strings.ReplaceAll(bound.Name, "*", `\*`), bound.Over)
	}
	b.WriteString("\n| policy | cost ÷ DLP | cost ÷ L\\* | cost ÷ L\\* shipping | gap closed to L\\* | … to L\\* shipping | packages/order | ")
	b.WriteString("unfulfilled/order | p50 µs | p99 µs | prices ms/sequence |\n|-|-|-|-|-|-|-|-|-|-|-|\n")
	for _, row := range r.Rows {
		name := row.Policy
		if row.Apart {
			name = "*" + name + "*"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %.2f | %.4f | %s | %s | %s |\n", name, row.OverLP.text(), row.OverBound, row.OverShip.text(),
			percent(row.GapClosed), percent(row.ShipClosed), row.Packages, row.Short,
			positive(row.P50, "%.2f"), positive(row.P99, "%.2f"), positive(row.Prices, "%.0f"))
	}
	return b.String()
}

func (m Mean) String() string { return fmt.Sprintf("%.4f ± %.4f", m.Mean, m.Error) }

func (m *Mean) text() string {
	if m == nil {
		return ""
	}
	return m.String()
}

func percent(share *float64) string {
	if share == nil {
		return ""
	}
	return fmt.Sprintf("%.0f %%", 100**share)
}

// positive leaves out what was not measured.
func positive(x float64, format string) string {
	if x <= 0 {
		return ""
	}
	return fmt.Sprintf(format, x)
}
