package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"orderyard/routing/ruleset"
)

// rulesFileMax bounds a file of rules or of rule tests: what is larger is another file under the wrong name.
const rulesFileMax = 1 << 20

func newRulesCmd(a *app) *cobra.Command {
	return group("rules", "Check, test, simulate, publish and roll back the routing rules",
		newRulesCheckCmd(a), newRulesTestCmd(a), newRulesExplainCmd(a), newRulesPublishCmd(a), newRulesStatusCmd(a), newRulesShowCmd(a),
		newRulesHistoryCmd(a), newRulesRollbackCmd(a), newRulesSimulateCmd(a), newRulesShadowCmd(a),
		newRulesRecheckCmd(a), newRulesPricesCmd(a), newRulesSweepCmd(a))
}

// wantFiles checks that at least one file is named.
func wantFiles(_ *cobra.Command, args []string) error {
	if len(args) == 0 {
		return errors.New("FILE is missing")
	}
	return nil
}

// rulesFile is one file of rules and what is wrong with it.
type rulesFile struct {
	File     string         `json:"file"`
	OK       bool           `json:"ok"`
	Rules    string         `json:"rules_version,omitempty"`
	Routes   []string       `json:"routes,omitempty"`
	Problems []rulesProblem `json:"problems,omitempty"`
	Warnings []rulesProblem `json:"warnings,omitempty"` // what is right, and not done yet

	text []byte
	set  *ruleset.Compiled
}

// rulesProblem is one mistake and its place.
type rulesProblem struct {
	Source  string `json:"source"`
	Line    int    `json:"line,omitzero"`
	Column  int    `json:"column,omitzero"`
	Key     string `json:"key,omitempty"`
	Message string `json:"message"`
}

func problemsOf(found []ruleset.Problem) []rulesProblem {
	var list []rulesProblem
	for _, p := range found {
		list = append(list, rulesProblem(p))
	}
	return list
}

// print writes the problem as compilers do, so that editors find the place.
func (a *app) printProblem(p rulesProblem) { fmt.Fprintln(a.err, clean(ruleset.Problem(p).String())) }

// loadRules reads and compiles a file. An error means that it cannot be read; what is wrong in it is in the result.
func (a *app) loadRules(name string) (rulesFile, error) {
	f := rulesFile{File: name}
	var err error
	if f.text, err = a.read(name, rulesFileMax); err != nil {
		return f, err
	}
	f.set, err = ruleset.Load(name, f.text)
	var wrong *ruleset.Error
	switch {
	case errors.As(err, &wrong):
		f.Problems = problemsOf(wrong.Problems)
		return f, nil
	case err != nil:
		return f, err
	}
	f.OK, f.Rules, f.Routes, f.Warnings = true, f.set.Version, f.set.Routes(), problemsOf(f.set.Set.NotYet())
	return f, nil
}

// goodRules is loadRules for whoever can do nothing with a file that is wrong.
func (a *app) goodRules(name string) (rulesFile, error) {
	f, err := a.loadRules(name)
	if err != nil || f.OK {
		return f, err
	}
	for _, p := range f.Problems {
		a.printProblem(p)
	}
	return f, fmt.Errorf("%s: %s", name, plural(len(f.Problems), "mistake"))
}

// testsBeside is where the rule tests of a file are: default.yaml has default.test.yaml.
func testsBeside(name string) string {
	for _, end := range []string{".yaml", ".yml"} {
		if base, ok := strings.CutSuffix(name, end); ok {
			return base + ".test" + end
		}
	}
	return name + ".test.yaml"
}

func exists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}

// versionArg reads the number of a version.
func versionArg(text string) (int64, error) {
	n, err := strconv.ParseInt(strings.TrimPrefix(text, "v"), 10, 64)
	if err != nil || n < 1 {
		return 0, usage("VERSION must be a number such as 3, not %q", text)
	}
	return n, nil
}
