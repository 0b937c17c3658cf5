package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"orderyard/gateway/wire"
	"orderyard/messages"
)

func newRulesShowCmd(a *app) *cobra.Command {
	tests := false
	cmd := &cobra.Command{
		Use:     "show [VERSION]",
		Aliases: []string{"fetch"},
		Short:   "Show a published version as it was written; without a number the one in force",
		Long: "Show a published version as it was written; without a number the one in force. Standard output holds the file and nothing else,\n" +
			"so that it can be kept and edited; who published it and why is said beside it.",
		Example: "  orderyard rules show 3 > rules.yaml\n  orderyard rules show 3 --tests > rules.test.yaml",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			return want("VERSION")(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			var q wire.GetRulesRequest
			if len(args) > 0 {
				var err error
				if q.Version, err = versionArg(args[0]); err != nil {
					return err
				}
			}
			v, _, done, err := call[wire.RulesAnswer](cmd.Context(), a, messages.RulesSubject("get"), "", q)
			if done {
				return err
			}
			head := fmt.Sprintf("version %d, %s: %s, published by %s at %s", v.Version, v.RulesVersion, v.State, v.By, moment(v.At))
			if v.Note != "" {
				head += ": " + v.Note
			}
			fmt.Fprintln(a.err, clean(head))
			text := v.Text
			if tests {
				text = v.Tests
			}
			return a.printText(text)
		},
	}
	cmd.Flags().BoolVar(&tests, "tests", false, "its rule tests instead")
	return cmd
}

// printText writes a file as it is; a terminal gets it without what it would obey instead of show.
func (a *app) printText(text string) error {
	if !a.terminal {
		_, err := io.WriteString(a.out, text)
		return err
	}
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	for i := range lines {
		lines[i] = clean(lines[i])
	}
	return a.println(strings.Join(lines, "\n"))
}
