package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"orderyard/gateway/wire"
	"orderyard/messages"
)

const (
	// rulesWithin is how long a change of rules is waited for at every node: they are told at once, and look by themselves every two seconds.
	rulesWithin = 30 * time.Second
	// rulesPoll is how often they are asked.
	rulesPoll = 100 * time.Millisecond
)

func newRulesPublishCmd(a *app) *cobra.Command {
	q := wire.PublishRulesRequest{}
	based, within := int64(-1), rulesWithin
	cmd := &cobra.Command{
		Use:   "publish FILE [--note TEXT]",
		Short: "Put a file of rules in force at every node",
		Long: "Put a file of rules in force at every node: check it, run the tests beside it, publish it as the next version, and wait until\n" +
			"every node routes by it. Orders that are planned from then on store this version; those before keep theirs. Publishing what is in\n" +
			"force already changes nothing. When somebody else publishes meanwhile, one of both is told of a conflict.",
		Example: "  orderyard rules publish configs/routing/default.yaml --note \"as shipped\"",
		Args:    want("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			f, err := a.goodRules(args[0])
			if err != nil {
				return err
			}
			if exists(testsBeside(args[0])) {
				tested, err := a.runTests(f)
				if err != nil {
					return err
				}
				if !tested.OK {
					a.printFailures(tested)
					return fmt.Errorf("%s: its tests fail, so it is not published", args[0])
				}
				q.Tests = string(tested.text)
			} else {
				fmt.Fprintf(a.err, "No tests beside it: %s would be run before every publication.\n", testsBeside(args[0]))
			}
			q.Text, q.Actor = string(f.text), a.actor()
			if q.Note == "" {
				q.Note = f.set.Set.Note
			}
			if cmd.Flags().Changed("based-on") {
				q.BasedOn = &based
			}
			return a.changeRules(cmd.Context(), "publish", within, func(now int64) any {
				if q.BasedOn == nil {
					q.BasedOn = &now
				}
				return q
			})
		},
	}
	cmd.Flags().StringVar(&q.Note, "note", "", "why, for the history (default: the note in the file)")
	cmd.Flags().Int64Var(&based, "based-on", based, "version the file was made from, 0 = the built-in rules: a conflict if another one is in force")
	cmd.Flags().DurationVar(&within, "within", within, "how long to wait for every node; the change stands all the same")
	return cmd
}

// changeRules asks for a change of what is in force, made by somebody who sees what is in force now, and waits until every node follows.
func (a *app) changeRules(ctx context.Context, verb string, within time.Duration, request func(now int64) any) error {
	c, err := a.connect()
	if err != nil {
		return err
	}
	defer c.close()
	before, err := c.rulesStatus(ctx)
	if err != nil {
		return err
	}
	now := int64(0)
	if before.Active != nil {
		now = before.Active.Version
	}
	got, err := c.ask(ctx, messages.RulesSubject(verb), "", request(now))
	if err != nil {
		_, _, err = show[wire.RulesReceipt](a, got, err)
		return err
	}
	var r wire.RulesReceipt
	if err := wire.DecodeAnswer(got.body, &r); err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	nodes, waited := a.awaitRules(ctx, c, r, within)
	if a.output == outputJSON {
		return errors.Join(a.printJSON(got.body), waited)
	}
	said := fmt.Sprintf("Version %d (%s) is in force", r.Version, r.RulesVersion)
	if waited == nil && within > 0 {
		said += " at " + plural(nodes, "node")
	}
	switch {
	case r.Unchanged:
		said += ", as before"
	case r.Previous != 0:
		said += fmt.Sprintf("; before it was version %d", r.Previous)
	}
	return errors.Join(a.println(clean(said+".")), waited)
}

// rulesStatus asks what is in force and what the nodes route by.
func (c *client) rulesStatus(ctx context.Context) (status wire.RulesStatusAnswer, err error) {
	got, err := c.ask(ctx, messages.RulesSubject("status"), "", wire.RulesStatusRequest{})
	if err != nil {
		return status, err
	}
	if err := wire.DecodeAnswer(got.body, &status); err != nil {
		return status, fmt.Errorf("read the answer: %w", err)
	}
	return status, nil
}

// awaitRules returns when every node routes by what the receipt names, or by something later. Who refuses it is told at once; who has not come
// so far in time is named.
func (a *app) awaitRules(ctx context.Context, c *client, r wire.RulesReceipt, within time.Duration) (nodes int, err error) {
	if within <= 0 {
		return 0, nil
	}
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	var behind []string
	for {
		status, err := c.rulesStatus(ctx)
		if err == nil {
			var refused []string
			if behind, refused = lagging(status.Nodes, r.Activation); len(refused) > 0 {
				return 0, fmt.Errorf("version %d is in force, but refused at %s; roll back, or upgrade there", r.Version, strings.Join(refused, "; "))
			}
			if len(behind) == 0 {
				return len(status.Nodes), nil
			}
		}
		select {
		case <-ctx.Done():
			if len(behind) == 0 {
				return 0, exitWith(exitUnavailable, fmt.Errorf("version %d is in force, but no node said so within %v", r.Version, within))
			}
			return 0, exitWith(exitUnavailable, fmt.Errorf("version %d is in force, but after %v not yet at %s; look with `orderyard rules status`",
				r.Version, within, strings.Join(behind, ", ")))
		case <-time.After(rulesPoll):
		}
	}
}

// lagging names the nodes that do not route by an activation yet, and those that never will.
func lagging(nodes []wire.RulesNode, activation int64) (behind, refused []string) {
	for _, n := range nodes {
		switch {
		case n.Error != "":
			behind = append(behind, clean(n.Node)+" (does not answer)")
		case n.Activation >= activation:
		case n.Refused != nil && n.Refused.Activation >= activation:
			refused = append(refused, clean(n.Node+": "+n.Refused.Reason))
		default:
			behind = append(behind, clean(n.Node))
		}
	}
	return behind, refused
}
