package main

import (
	"os"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"orderyard/gateway/wire"
)

// TestPrintedCommands proves that every command line which the README and the help texts print is one that the program understands.
func TestPrintedCommands(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	a := newApp(nil, nil, nil, func(string) string { return "" })
	texts := []string{string(readme)}
	var walk func(*cobra.Command)
	walk = func(c *cobra.Command) {
		texts = append(texts, c.Example)
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(newRootCmd(a))
	checked := 0
	for _, text := range texts {
		for line := range strings.Lines(text) {
			args, ok := printedCommand(line)
			if !ok {
				continue
			}
			checked++
			root := newRootCmd(a) // flags keep what was parsed into them
			cmd, rest, err := root.Find(protectNegatives(args))
			if err == nil {
				err = cmd.ParseFlags(rest)
			}
			if err == nil {
				err = cmd.ValidateArgs(cmd.Flags().Args())
			}
			if err != nil || !cmd.Runnable() {
				t.Errorf("%s: %v", strings.TrimSpace(line), err)
			}
		}
	}
	if checked < 20 {
		t.Errorf("found only %d commands", checked)
	}
}

// printedCommand takes the arguments out of a line that begins with the program; a comment or a file for the output behind it is left out.
func printedCommand(line string) ([]string, bool) {
	line, _, _ = strings.Cut(strings.TrimSpace(line), " #")
	line, _, _ = strings.Cut(line, " >")
	for _, program := range []string{"./orderyard ", "orderyard ", "go run ./cmd/orderyard "} {
		if rest, ok := strings.CutPrefix(line, program); ok {
			return words(strings.ReplaceAll(rest, `"`, "'")), true
		}
	}
	return nil, false
}

// TestExampleOrder proves that the order of the README's session is one that every node takes.
func TestExampleOrder(t *testing.T) {
	body, err := os.ReadFile("../../examples/order.json")
	if err != nil {
		t.Fatal(err)
	}
	order, errs, failure := wire.DecodeOrder(body)
	if failure != nil || len(errs) > 0 {
		t.Fatal(failure, errs)
	}
	sum := order.GetShippingAmount() + order.GetTax() - order.GetDiscount()
	for _, l := range order.GetLines() {
		sum += l.GetQuantity() * l.GetUnitPrice()
	}
	if sum != order.GetPaymentAmount() {
		t.Errorf("the lines come to %d, the payment to %d", sum, order.GetPaymentAmount())
	}
}
