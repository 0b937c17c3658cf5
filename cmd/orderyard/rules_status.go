package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"orderyard/gateway/wire"
	"orderyard/messages"
)

func newRulesStatusCmd(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "status",
		Short:   "Show which rules are in force, and which each node routes by",
		Example: "  orderyard rules status",
		Args:    want(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, _, done, err := call[wire.RulesStatusAnswer](cmd.Context(), a, messages.RulesSubject("status"), "", wire.RulesStatusRequest{})
			if done {
				return err
			}
			line := "No rule set has been published: the built-in rules are in force."
			if e := s.Active; e != nil {
				line = fmt.Sprintf("Version %d (%s) is in force: %s by %s at %s", e.Version, e.RulesVersion, e.Act, e.By, moment(e.At))
			}
			if err := a.println(clean(line)); err != nil {
				return err
			}
			t := a.table("NODE", "STATUS", "#VERSION", "RULES", "WHY", "INCARNATION")
			for _, n := range s.Nodes {
				word, why := standing(n, s.Active)
				t.add(n.Node, status(word), n.Version, n.RulesVersion, why, n.Incarnation)
			}
			return t.section()
		},
	}
}

// standing says how a node stands to what is in force.
func standing(n wire.RulesNode, active *wire.RulesEntry) (word, why string) {
	switch {
	case n.Error != "":
		return "unknown", n.Error
	case n.Refused != nil:
		return "failed", fmt.Sprintf("refuses version %d: %s", n.Refused.Version, n.Refused.Reason)
	case active != nil && n.Activation < active.Activation:
		return "behind", ""
	}
	return "ok", ""
}
