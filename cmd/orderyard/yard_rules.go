package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"orderyard/gateway/rulebook"
	"orderyard/gateway/wire"
	"orderyard/messages"
	"orderyard/persistence/jetstream"
	"orderyard/routing"
	"orderyard/routing/ruleset"
)

// wordRules is how nodes ask each other what they route by.
const wordRules = "rules"

// openRules loads what is in force before anything is routed.
func (y *yard) openRules(ctx context.Context) error {
	var err error
	if y.book, err = rulebook.Open(ctx, y.conn, rulebook.Options{Replicas: y.cfg.NATS.Replicas, Clock: y.nowMs}); err != nil {
		return err
	}
	if err := jetstream.Patiently(ctx, y.firstRules); err != nil {
		return err
	}
	return jetstream.Patiently(ctx, func(ctx context.Context) (err error) {
		y.rules, err = rulebook.Load(ctx, y.book, y.log)
		return err
	})
}

// firstRules publishes the file that the configuration names, if nobody has published anything.
func (y *yard) firstRules(ctx context.Context) error {
	file := y.cfg.Routing.Rules
	if file == "" {
		return nil
	}
	now, _, found, err := y.book.Active(ctx)
	if err != nil {
		return err
	}
	if found {
		y.log.Info("routing.rules counts no more: rules are published", "number", now.Number, "rules", now.Rules)
		return nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("routing.rules: %w", err)
	}
	if _, err := ruleset.Load(file, text); err != nil {
		return fmt.Errorf("routing.rules is no rule set:\n%w", err)
	}
	none := int64(0)
	_, err = y.book.Publish(ctx, rulebook.Draft{
		Text: string(text), By: "node:" + y.cfg.Node.Name, Note: "routing.rules: " + filepath.Base(file), BasedOn: &none,
	})
	var told *messages.Failure
	if errors.As(err, &told) && told.GetCode() == messages.CodeConflict {
		return nil // another node was first
	}
	return err
}

// followRules takes every further change, from before the doors open until the node has stopped.
func (y *yard) followRules(context.Context) error {
	y.rules.Follow(func(set *ruleset.Compiled, _ rulebook.Activation) { y.node.SetRules(rulesBy(set)) })
	return nil
}

// rulesBy are the dials of a decision by a set; nil = the built-in rules.
func rulesBy(set *ruleset.Compiled) *routing.Rules {
	rules := routing.DefaultRules()
	if set != nil {
		rules.Version, rules.Set = set.Version, set
	}
	return rules
}

func (y *yard) openRulesDoor() error {
	var err error
	y.rulesDoor, err = rulebook.OpenDoor(y.doors, rulebook.DoorOptions{
		Book: y.book, Nodes: y.rulesOfNodes, Prices: y.prices, Node: y.cfg.Node.Name, Metadata: y.metadata(), Log: y.log,
	})
	return err
}

// rulesHere says what this node routes by.
func (y *yard) rulesHere() wire.RulesNode {
	incarnation := ""
	if y.member != nil {
		incarnation = y.member.incarnation
	}
	return y.rules.Status().Row(y.cfg.Node.Name, incarnation)
}

// rulesOfNodes asks every node that lives, at the same time; one that does not answer has a row that says so.
func (y *yard) rulesOfNodes(ctx context.Context) []wire.RulesNode {
	rows := []wire.RulesNode{y.rulesHere()}
	if y.member == nil {
		return rows
	}
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	var wait sync.WaitGroup
	var mu sync.Mutex
	for _, peer := range y.member.current().Members {
		if peer.Incarnation == y.member.incarnation {
			continue
		}
		wait.Go(func() {
			row, err := y.member.askRules(ctx, peer.Incarnation)
			if err != nil {
				row = wire.RulesNode{Node: peer.Node, Incarnation: peer.Incarnation, Error: err.Error()}
			}
			mu.Lock()
			defer mu.Unlock()
			rows = append(rows, row)
		})
	}
	wait.Wait()
	slices.SortFunc(rows, func(a, b wire.RulesNode) int {
		return cmp.Or(cmp.Compare(a.Node, b.Node), cmp.Compare(a.Incarnation, b.Incarnation))
	})
	return rows
}

func (m *member) askRules(ctx context.Context, incarnation string) (row wire.RulesNode, err error) {
	err = m.bus.Ask(ctx, incarnation, wordRules, nil, func(part []byte) error { return wire.DecodeAnswer(part, &row) })
	return row, err
}

func (m *member) heardRules(_ context.Context, _ []byte, send func([]byte) error) error {
	row, err := wire.Encode(m.y.rulesHere())
	if err != nil {
		return err
	}
	return send(row)
}
