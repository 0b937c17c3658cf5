package main

import (
	"context"
	"fmt"
	"io"
	"regexp"
	"runtime/debug"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/spf13/cobra"

	"orderyard/configs"
)

// app is one run of the program: its streams, its environment and the flags that every client command has.
type app struct {
	in       io.Reader
	out, err io.Writer
	getenv   func(string) string
	now      func() time.Time
	terminal bool // out is one: tables may use color
	progress bool // err is one: progress may be redrawn

	server    string
	identity  configs.NATS // the files by which a client proves who it is
	timeout   time.Duration
	output    string
	commandID string
	moments   []string // flags with the times that this command line has computed from the clock
	keyed     bool     // the command has --command-id

	ran bool // the command line was understood: errors from here on are not about usage
}

const (
	outputTable = "table"
	outputJSON  = "json"

	timeoutDefault = 5 * time.Second
)

func newApp(in io.Reader, out, err io.Writer, getenv func(string) string) *app {
	return &app{in: in, out: out, err: err, getenv: getenv, now: time.Now, terminal: isTerminal(out), progress: isTerminal(err)}
}

// execute runs one command line and returns the exit code. Everything that went wrong has been said on a.err by then.
func (a *app) execute(ctx context.Context, args []string) int {
	root := newRootCmd(a)
	root.SetArgs(protectNegatives(args))
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.err)
	cmd, err := root.ExecuteContextC(ctx)
	if err != nil && !a.ran {
		err = usage("%v", err)
	}
	return a.report(cmd, err)
}

func newRootCmd(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:   "orderyard",
		Short: "Orderyard decides which site fulfills which unit of an order, and never sells a unit twice",
		Long: "Orderyard decides which site fulfills which unit of an order, and never sells a unit twice.\n\n" +
			"`orderyard dev` starts everything in one process. The client commands speak to it over NATS.",
		Version:       version(),
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.NoArgs,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			if a.output != outputTable && a.output != outputJSON {
				return fmt.Errorf("--output must be table or json, not %q", a.output)
			}
			if a.timeout <= 0 {
				return fmt.Errorf("--timeout must be above 0, is %v", a.timeout)
			}
			a.keyed = cmd.Flags().Lookup("command-id") != nil
			a.ran = true
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	server := a.getenv("ORDERYARD_SERVER")
	if server == "" {
		server = nats.DefaultURL
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	flags := root.PersistentFlags()
	flags.StringVar(&a.server, "server", server, "NATS server of the node, or ORDERYARD_SERVER")
	a.identityFlags(root)
	flags.DurationVar(&a.timeout, "timeout", timeoutDefault, "how long to wait for an answer, retries included")
	flags.StringVarP(&a.output, "output", "o", outputTable, "table for people, json for programs")
	root.AddCommand(
		newOrderCmd(a),
		newStockCmd(a),
		newSiteCmd(a),
		newFulfillmentCmd(a),
		newEventsCmd(a),
		newDevCmd(a),
		newNodeCmd(a),
		newClusterCmd(a),
		newRulesCmd(a),
		newHealthCmd(a),
		newReplayCmd(a),
		newVerifyCmd(a),
		newSimCmd(a),
		newBenchCmd(a),
	)
	return root
}

// group makes a command that only holds others: called alone it shows them, called with a wrong word it says so.
func group(use, short string, subcommands ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{
		Use: use, Short: short,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return fmt.Errorf("%q is no command of %q", args[0], cmd.CommandPath())
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(subcommands...)
	return cmd
}

// want checks that exactly the named arguments are there, and says in words which one is not.
func want(names ...string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) < len(names) {
			return fmt.Errorf("%s is missing", names[len(args)])
		}
		if len(args) > len(names) {
			return fmt.Errorf("%q is one argument too many", args[len(names)])
		}
		return nil
	}
}

// withCommandID adds --command-id to a command that changes something, so that a person can repeat it after a time-out.
func (a *app) withCommandID(cmd *cobra.Command) *cobra.Command {
	cmd.Flags().StringVar(&a.commandID, "command-id", "", "idempotency key: the same key is answered as the first time (default: a fresh one)")
	return cmd
}

// release is set when a release is built: -ldflags "-X main.release=1.2.3".
var release string

func version() string {
	if release != "" {
		return release
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}

// minus stands for the sign of a negative number among the arguments, which would otherwise be read as a flag.
const minus = "\u2212"

var negative = regexp.MustCompile(`^-[0-9]+$`)

// protectNegatives lets `stock adjust SKU@SITE -5` mean what it says.
func protectNegatives(args []string) []string {
	safe := make([]string, len(args))
	for i, arg := range args {
		if negative.MatchString(arg) {
			arg = minus + strings.TrimPrefix(arg, "-")
		}
		safe[i] = arg
	}
	return safe
}
