package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"orderyard/routing/ruleset"
)

func newRulesTestCmd(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "test FILE…",
		Short: "Run the rule tests that lie beside files of rules: FILE.test.yaml",
		Long: "Run the rule tests that lie beside files of rules: beside default.yaml those of default.test.yaml. A test gives facts and says\n" +
			"which route, rule, filters, scores and winner must come of them; see configs/routing/README.md. No node is asked.",
		Example: "  orderyard rules test configs/routing/default.yaml",
		Args:    wantFiles,
		RunE:    func(_ *cobra.Command, args []string) error { return a.testRules(args) },
	}
}

// testedFile is what became of the tests of one file.
type testedFile struct {
	File     string         `json:"file"`
	Tests    string         `json:"tests"`
	Rules    string         `json:"rules_version"`
	OK       bool           `json:"ok"`
	Results  []testedCase   `json:"results,omitempty"`
	Problems []rulesProblem `json:"problems,omitempty"` // of the test file itself: none was run

	text []byte
}

type testedCase struct {
	Name     string         `json:"name"`
	Line     int            `json:"line"`
	OK       bool           `json:"ok"`
	Failures []rulesProblem `json:"failures,omitempty"`
}

func (a *app) testRules(names []string) error {
	var answer struct {
		OK    bool         `json:"ok"`
		Files []testedFile `json:"files"`
	}
	t, failed, ran := a.table("FILE", "#LINE", "TEST", "STATUS"), 0, 0
	answer.OK = true
	for _, name := range names {
		f, err := a.goodRules(name)
		if err != nil {
			return err
		}
		if !exists(testsBeside(name)) {
			return fmt.Errorf("%s has no tests beside it: write %s", name, testsBeside(name))
		}
		tested, err := a.runTests(f)
		if err != nil {
			return err
		}
		for _, r := range tested.Results {
			word := status("ok")
			if ran++; !r.OK {
				word = "failed"
				failed++
			}
			t.add(tested.Tests, r.Line, r.Name, word)
		}
		answer.OK = answer.OK && tested.OK
		answer.Files = append(answer.Files, tested)
	}
	if a.output == outputJSON {
		if err := a.printValue(answer); err != nil {
			return err
		}
	} else {
		if err := t.print(""); err != nil {
			return err
		}
		for _, f := range answer.Files {
			a.printFailures(f)
		}
	}
	switch {
	case answer.OK:
		return nil
	case failed == 0:
		return errors.New("a test file is wrong: none of its tests was run")
	}
	return fmt.Errorf("%d of %s failed", failed, plural(ran, "test"))
}

// runTests runs the tests beside a file of good rules.
func (a *app) runTests(f rulesFile) (testedFile, error) {
	tested := testedFile{File: f.File, Tests: testsBeside(f.File), Rules: f.Rules}
	var err error
	if tested.text, err = a.read(tested.Tests, rulesFileMax); err != nil {
		return tested, err
	}
	results, found := ruleset.RunTests(f.set, tested.Tests, tested.text)
	tested.OK, tested.Problems = len(found) == 0, problemsOf(found)
	for _, r := range results {
		one := testedCase{Name: r.Name, Line: r.Line, OK: len(r.Failures) == 0, Failures: problemsOf(r.Failures)}
		tested.OK = tested.OK && one.OK
		tested.Results = append(tested.Results, one)
	}
	return tested, nil
}

func (a *app) printFailures(f testedFile) {
	for _, p := range f.Problems {
		a.printProblem(p)
	}
	for _, r := range f.Results {
		for _, p := range r.Failures {
			a.printProblem(p)
		}
	}
}
