package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"orderyard/gateway/wire"
	"orderyard/messages"
)

func newOrderTraceCmd(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "trace ID",
		Short: "Show what happened to an order, oldest first",
		Long:  "Show what happened to an order, oldest first. The newest entries are kept, 150 at least.",
		Args:  want("ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			o, _, done, err := call[wire.OrderAnswer](cmd.Context(), a, messages.OrderSubject("trace"), "",
				wire.TraceOrderRequest{OrderID: args[0]})
			if done {
				return err
			}
			if o.OrderView == nil {
				return errors.New("the answer holds no order")
			}
			t := a.table("AT", "#MS", "WHAT", "DETAIL")
			for _, e := range o.Timeline {
				t.add(e.At, sinceFirst(o.Timeline[0].At, e.At), e.What, e.Detail)
			}
			if len(o.Timeline) > 0 && o.Timeline[0].What != "placed" { // with which every order begins
				fmt.Fprintln(a.err, "Not kept: what happened before that.")
			}
			return t.print("Nothing has happened yet.")
		},
	}
}

// sinceFirst is the milliseconds from the first entry: what took how long is the usual question to a trace.
func sinceFirst(first, at wire.Time) int64 { return int64(at - first) }
