package main

import (
	"fmt"
	"slices"

	"github.com/spf13/cobra"
)

func newRulesCheckCmd(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "check FILE…",
		Short: "Find every mistake in files of rules, with line and column",
		Long: "Find every mistake in files of rules, with line and column, without asking a node. What is accepted here compiles at every\n" +
			"node of this version.",
		Example: "  orderyard rules check configs/routing/default.yaml",
		Args:    wantFiles,
		RunE: func(_ *cobra.Command, args []string) error {
			var answer struct {
				OK    bool        `json:"ok"`
				Files []rulesFile `json:"files"`
			}
			t, mistakes := a.table("FILE", "STATUS", "RULES", "#ROUTES"), 0
			for _, name := range args {
				f, err := a.loadRules(name)
				if err != nil {
					return err
				}
				word := status("ok")
				if !f.OK {
					word = "failed"
				}
				mistakes += len(f.Problems)
				answer.Files = append(answer.Files, f)
				t.add(f.File, word, f.Rules, len(f.Routes))
			}
			answer.OK = mistakes == 0
			if a.output == outputJSON {
				if err := a.printValue(answer); err != nil {
					return err
				}
			} else if err := t.print(""); err != nil {
				return err
			}
			if a.output != outputJSON {
				for _, f := range answer.Files {
					for _, p := range slices.Concat(f.Problems, f.Warnings) {
						a.printProblem(p)
					}
				}
			}
			if answer.OK {
				return nil
			}
			return fmt.Errorf("%s in %s", plural(mistakes, "mistake"), plural(len(args), "file"))
		},
	}
}
