package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/spf13/cobra"

	"orderyard/gateway/rulebook"
	"orderyard/messages"
	"orderyard/routing"
)

// recheckReport is what deciding everything again found.
type recheckReport struct {
	Orders    int      `json:"orders"`
	Decisions int      `json:"decisions"` // with inputs: those by operators' rules
	Same      int      `json:"same"`
	Differ    int      `json:"differ"`
	Skipped   int      `json:"skipped"`  // made by rules that are not published any more, or at sites that are gone
	Built     int      `json:"built_in"` // decisions by the built-in rules, which record no inputs
	Flips     int      `json:"flips"`    // losing sites that a small change makes win, decided again with the change
	Held      int      `json:"held"`     // of these: those that did win
	Firm      int      `json:"firm"`     // losing sites that nothing small makes win
	Bytes     int64    `json:"record_bytes"`
	Seconds   float64  `json:"seconds"`
	Found     []string `json:"found,omitempty"`
}

const recheckFoundMax = 20

func newRulesRecheckCmd(a *app) *cobra.Command {
	flips := 0
	cmd := &cobra.Command{
		Use:   "recheck",
		Short: "Decide every recorded decision once more, and compare",
		Long: "Read all orders out of checkpoints and journal, without side effects, and make each routing decision that they keep once more: with the\n" +
			"rules of then, the numbers of its record and nothing else. Plan and evidence must be the same, byte for byte. With --flips also ask of\n" +
			"so many decisions what would have made a losing site win, and decide again with that change: it must win. Exits 6 when something differs.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			r, err := a.recheck(cmd.Context(), flips)
			if err != nil {
				return err
			}
			if a.output == outputJSON {
				err = a.printValue(r)
			} else {
				err = a.println(r.String())
			}
			for _, found := range r.Found {
				fmt.Fprintln(a.err, clean(found))
			}
			if bad := r.Differ + r.Flips - r.Held; err == nil && bad > 0 {
				err = exitWith(exitInvariant, fmt.Errorf("%s not what the record says", plural(bad, "decision")))
			}
			return err
		},
	}
	cmd.Flags().IntVar(&flips, "flips", 0, "ask of so many decisions what would have made another site win")
	return cmd
}

func (a *app) recheck(ctx context.Context, flips int) (*recheckReport, error) {
	began := time.Now()
	c, err := a.connect()
	if err != nil {
		return nil, err
	}
	defer c.close()
	reader, err := readYard(ctx, c.conn)
	if err != nil {
		return nil, err
	}
	r := &rechecker{report: &recheckReport{}, flips: flips, sites: reader.sites()}
	if r.rules, err = everyRules(ctx, c.conn); err != nil {
		return nil, err
	}
	for _, ref := range reader.refs(messages.KindOrder) {
		if m, ok := reader.cores[ref].Machine().(interface{ Explain() *messages.OrderView }); ok {
			r.order(m.Explain())
		}
	}
	r.report.Seconds = time.Since(began).Seconds()
	return r.report, nil
}

// everyRules compiles every version that was ever in force, by what plans call it.
func everyRules(ctx context.Context, conn *nats.Conn) (map[string]*routing.Rules, error) {
	all := map[string]*routing.Rules{}
	book, err := rulebook.Open(ctx, conn, rulebook.Options{Existing: true})
	if errors.Is(err, rulebook.ErrNone) {
		return all, nil
	}
	if err != nil {
		return nil, err
	}
	history, err := book.History(ctx)
	if err != nil {
		return nil, err
	}
	for _, entry := range history.Activations {
		v, found, err := book.Version(ctx, entry.Number)
		if err != nil || !found {
			return nil, fmt.Errorf("version %d of the rules cannot be read: %w", entry.Number, err)
		}
		set, err := v.Compile()
		if err != nil {
			continue // of a newer language: its decisions are counted as skipped
		}
		rules := rulesBy(set)
		all[rules.Version] = rules
	}
	return all, nil
}

// rechecker decides again.
type rechecker struct {
	report *recheckReport
	rules  map[string]*routing.Rules
	sites  routing.View
	flips  int
}

func (r *rechecker) order(v *messages.OrderView) {
	if v == nil || v.Order == nil {
		return
	}
	r.report.Orders++
	for _, p := range v.Decisions {
		if p.GetDecision().GetInputs() == nil {
			r.report.Built++
			continue
		}
		rules := r.rules[p.RulesVersion]
		if rules == nil {
			r.report.Skipped++
			continue
		}
		again, err := routing.Decide(v.Order, p, r.sites, rules)
		if err != nil {
			r.report.Skipped++
			r.found("order %s plan %d: %v", v.OrderId, p.PlanNo, err)
			continue
		}
		r.report.Decisions++
		r.report.Bytes += int64(p.Decision.SizeVT())
		if why := routing.Differs(p, again); why != "" {
			r.report.Differ++
			r.found("order %s plan %d: %s", v.OrderId, p.PlanNo, why)
			continue
		}
		r.report.Same++
		if r.report.Flips+r.report.Firm < r.flips {
			r.flip(v, p, rules)
		}
	}
}

// flip asks of the best site that did not give what would have made it give, and whether it does.
func (r *rechecker) flip(v *messages.OrderView, p *messages.Plan, rules *routing.Rules) {
	for _, c := range p.Decision.Candidates {
		if c.Chosen {
			continue
		}
		req, now, err := routing.Again(v.Order, p)
		if err != nil {
			return
		}
		then, err := routing.RecordedView(req, p, r.sites)
		if err != nil {
			return
		}
		flip := routing.Want(req, then, rules, now, c.Site)
		switch {
		case flip.Won:
		case flip.Reason != "":
			r.report.Firm++
		default:
			r.report.Flips++
			wins := slices.ContainsFunc(flip.Plan.GetAssignments(), func(x *messages.Assignment) bool { return x.Site == c.Site })
			if wins && len(flip.Changes) > 0 {
				r.report.Held++
			} else {
				r.found("order %s plan %d: %s does not win with %v", v.OrderId, p.PlanNo, c.Site, flip.Changes)
			}
		}
		return
	}
}

func (r *rechecker) found(format string, args ...any) {
	if len(r.report.Found) < recheckFoundMax {
		r.report.Found = append(r.report.Found, fmt.Sprintf(format, args...))
	}
}

func (r *recheckReport) String() string {
	text := fmt.Sprintf("%s of %s decided again in %.1f s: %d the same, %d differ", plural(r.Decisions, "decision"), plural(r.Orders, "order"), r.Seconds, r.Same, r.Differ)
	if r.Decisions > 0 {
		text += fmt.Sprintf("; a record takes %d bytes", r.Bytes/int64(r.Decisions))
	}
	if r.Skipped > 0 {
		text += fmt.Sprintf("; %d skipped, for their rules or sites are gone", r.Skipped)
	}
	if r.Built > 0 {
		text += fmt.Sprintf("; %d by the built-in rules, which record no inputs", r.Built)
	}
	if n := r.Flips + r.Firm; n > 0 {
		text += fmt.Sprintf("\n%d losing sites: %d win with a small change, and %d of them did when it was made; nothing small helps %d", n, r.Flips, r.Held, r.Firm)
	}
	return text
}
