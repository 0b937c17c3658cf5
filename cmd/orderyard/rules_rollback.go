package main

import (
	"github.com/spf13/cobra"

	"orderyard/gateway/wire"
)

func newRulesRollbackCmd(a *app) *cobra.Command {
	q, within := wire.RollbackRulesRequest{}, rulesWithin
	cmd := &cobra.Command{
		Use:   "rollback VERSION [--note TEXT]",
		Short: "Put an earlier version of the rules in force again",
		Long: "Put an earlier version of the rules in force again, and wait until every node routes by it. It becomes a new entry of the\n" +
			"history; nothing is forgotten. A draft is put in force the same way.",
		Example: "  orderyard rules rollback 2 --note \"3 sends everything to Denver\"",
		Args:    want("VERSION"),
		RunE: func(cmd *cobra.Command, args []string) error {
			var err error
			if q.Version, err = versionArg(args[0]); err != nil {
				return err
			}
			q.Actor = a.actor()
			return a.changeRules(cmd.Context(), "rollback", within, func(now int64) any {
				q.BasedOn = &now
				return q
			})
		},
	}
	cmd.Flags().StringVar(&q.Note, "note", "", "why, for the history")
	cmd.Flags().DurationVar(&within, "within", within, "how long to wait for every node; the change stands all the same")
	return cmd
}
