package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"

	"orderyard/gateway/wire"
	"orderyard/messages"
)

// everyNode asks every node under a word of the rules, and waits until as many have answered as the rules' status knows, or until it takes too long.
// Who is missing is no detail: figures of some nodes look like those of all.
func everyNode[T any](ctx context.Context, c *client, word string, request any) ([]T, error) {
	nodes, err := c.rulesStatus(ctx)
	if err != nil {
		return nil, err
	}
	body, err := wire.Encode(request)
	if err != nil {
		return nil, fmt.Errorf("write the request: %w", err)
	}
	inbox := nats.NewInbox()
	replies, err := c.conn.SubscribeSync(inbox)
	if err == nil {
		err = c.conn.PublishRequest(messages.RulesSubject(word), inbox, body)
	}
	if err != nil {
		return nil, fmt.Errorf("ask the nodes: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	var answers []T
	for len(answers) < len(nodes.Nodes) {
		m, err := replies.NextMsgWithContext(ctx)
		if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, nats.ErrNoResponders) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("ask the nodes: %w", err)
		}
		var one T
		if err := wire.DecodeAnswer(m.Data, &one); err != nil {
			return nil, fmt.Errorf("read the answer: %w", err)
		}
		answers = append(answers, one)
	}
	if missing := len(nodes.Nodes) - len(answers); missing > 0 {
		return answers, exitWith(exitUnavailable, fmt.Errorf("%s of %d did not answer", plural(missing, "node"), len(nodes.Nodes)))
	}
	return answers, nil
}
