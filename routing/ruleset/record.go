package ruleset

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// Record is what a rule said about its candidates, in words: the evidence that goes into a decision record.
type Record struct {
	Version    string     `json:"version"`
	Rule       string     `json:"rule"`
	Outcome    string     `json:"outcome"`
	Dropped    []string   `json:"dropped,omitempty"` // soft filters not asked
	Muted      []string   `json:"muted,omitempty"`   // scores that decided nothing
	DecidedBy  string     `json:"decided_by,omitempty"`
	Candidates []Evidence `json:"candidates"` // those that pass, best first; then the others by site id
}

// Evidence is what became of one site.
type Evidence struct {
	Site      string   `json:"site"`
	Filter    string   `json:"filter,omitempty"` // the first that it failed; "" = it passed
	Expected  string   `json:"expected,omitempty"`
	Actual    string   `json:"actual,omitempty"`
	Abstained []string `json:"abstained,omitempty"` // filters that had no fact to go by
	Units     int64    `json:"units,omitempty"`
	Penalty   int64    `json:"penalty,omitempty"`
	Scores    []Mark   `json:"scores,omitempty"`
}

// Mark is one score in its own unit.
type Mark struct {
	Score string `json:"score"`
	Value int64  `json:"value"`
	Unit  string `json:"unit,omitempty"`
	Known bool   `json:"known"`
}

// Record puts what Try found into words, for at most so many candidates.
func (r *Run) Record(candidatesMax int) Record {
	rec := Record{Version: r.c.Version, Rule: r.rule.Name, Outcome: r.outcome().String(), DecidedBy: r.DecidedBy()}
	for _, i := range r.Dropped() {
		rec.Dropped = append(rec.Dropped, r.rule.filters[i].Kind)
	}
	for _, i := range r.Muted() {
		rec.Muted = append(rec.Muted, r.rule.scores[i].Kind)
	}
	shown := slices.Clone(r.ranking)
	for i := range r.verdicts {
		if r.verdicts[i].Failed != Passed {
			shown = append(shown, int32(i))
		}
	}
	slices.SortStableFunc(shown[len(r.ranking):], func(a, b int32) int {
		return strings.Compare(r.candidates[a].Site.ID, r.candidates[b].Site.ID)
	})
	for _, i := range shown[:min(len(shown), max(candidatesMax, 0))] {
		rec.Candidates = append(rec.Candidates, r.evidence(int(i)))
	}
	return rec
}

func (r *Run) evidence(i int) Evidence {
	v := &r.verdicts[i]
	e := Evidence{Site: r.candidates[i].Site.ID}
	for k := range r.rule.filters {
		if v.Abstained&(1<<k) != 0 {
			e.Abstained = append(e.Abstained, r.rule.filters[k].Kind)
		}
	}
	if v.Failed != Passed {
		e.Filter, e.Expected, e.Actual = r.Explain(i)
		return e
	}
	e.Units, e.Penalty = v.Units, v.Penalty
	for k, loss := range r.Losses(i) {
		s := &r.rule.scores[k]
		e.Scores = append(e.Scores, Mark{s.Kind, s.natural(loss), s.unit(), v.Unscored&(1<<k) == 0})
	}
	return e
}

// Natural appends the scores of a candidate that passes, each in its own direction and unit. A score without a value is the largest number: see
// Verdict.Unscored.
func (r *Run) Natural(candidate int, into []int64) []int64 {
	for k, loss := range r.Losses(candidate) {
		into = append(into, r.rule.scores[k].natural(loss))
	}
	return into
}

// natural is a score in its own direction.
func (s *score) natural(loss int64) int64 {
	switch {
	case loss == never:
		return never
	case s.op == byStockBalance, s.op == byCapacity, s.op == byMargin, s.op == byTurnover && s.By != wordSold, s.op == byExpr && s.High:
		return negSat(loss)
	}
	return loss
}

// unit names what a score counts.
func (s *score) unit() string {
	switch s.op {
	case byDistance:
		if s.Number > 0 {
			return itoa(s.Number) + " km"
		}
		return "m"
	case byCost, byMargin, byOpportunity:
		return "minor units"
	case byDeliveryTime:
		if s.Number > 1 {
			return itoa(s.Number) + " h"
		}
		return "h"
	case byWorkload:
		if s.Number > 1 {
			return itoa(s.Number) + " permille"
		}
		return "permille"
	case byStockBalance:
		return "units left"
	case byTurnover:
		return map[string]string{wordSupply: "weeks/1000", wordSold: "units/1000 a week", wordAge: "days"}[s.By]
	case byExpiry:
		return "days"
	case byFewestParts:
		return "lines"
	case byCO2:
		return "gCO2e"
	}
	return ""
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

func timeText(ms int64) string { return time.UnixMilli(ms).UTC().Format(time.RFC3339) }
