package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"orderyard/gateway/wire"
)

func newOrderCmd(a *app) *cobra.Command {
	return group("order", "Place, see and change orders",
		newOrderPlaceCmd(a), newOrderGetCmd(a), newOrderListCmd(a), newOrderCancelCmd(a), newOrderHoldCmd(a), newOrderReleaseCmd(a),
		newOrderTraceCmd(a), newOrderExplainCmd(a))
}

// receipt asks for a change of an order and shows what became of it.
func receipt(ctx context.Context, a *app, subject, commandID string, request any) error {
	r, _, done, err := call[wire.OrderReceipt](ctx, a, subject, commandID, request)
	if done {
		return err
	}
	return a.printReceipt(r)
}

func (a *app) printReceipt(r wire.OrderReceipt) error {
	t := a.table("ORDER", "STATUS", "#VERSION")
	t.add(r.OrderID, status(r.Status), r.Version)
	return t.print("")
}

// actor is who stands on the timeline for a change made here.
func (a *app) actor() string {
	if user := a.getenv("USER"); user != "" {
		return "cli:" + user
	}
	return "cli"
}

func plural(n int, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %ss", n, one)
}
