package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"orderyard/gateway/wire"
	"orderyard/messages"
)

func newRulesHistoryCmd(a *app) *cobra.Command {
	var q wire.RulesHistoryRequest
	cmd := &cobra.Command{
		Use:   "history",
		Short: "Show how the rules in force came about, newest first",
		Long: "Show how the rules in force came about, newest first: each publication and each rollback is an entry. The state is the\n" +
			"version's now: active is in force, archived was, a draft was stored and never in force.",
		Example: "  orderyard rules history --limit 50",
		Args:    want(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			h, _, done, err := call[wire.RulesHistoryAnswer](cmd.Context(), a, messages.RulesSubject("history"), "", q)
			if done {
				return err
			}
			t := a.table("#ENTRY", "#VERSION", "STATE", "RULES", "ACT", "BY", "AT", "NOTE")
			for _, e := range h.Drafts {
				t.add("-", e.Version, status(e.State), e.RulesVersion, "", e.By, e.At, e.Note)
			}
			for _, e := range h.History {
				t.add(e.Activation, e.Version, status(e.State), e.RulesVersion, e.Act, e.By, e.At, e.Note)
			}
			if err := t.print("No rule set has been published: the built-in rules are in force."); err != nil {
				return err
			}
			if h.NextBefore > 0 {
				fmt.Fprintf(a.err, "Older ones: add --before %d\n", h.NextBefore)
			}
			return nil
		},
	}
	cmd.Flags().Int64Var(&q.Limit, "limit", 0, "so many entries, at most 200 (default 20)")
	cmd.Flags().Int64Var(&q.Before, "before", 0, "only entries older than this one")
	return cmd
}
