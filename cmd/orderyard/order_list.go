package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"orderyard/gateway/wire"
	"orderyard/messages"
)

func newOrderListCmd(a *app) *cobra.Command {
	var filter wire.ListFilter
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List orders, newest first",
		Example: "  orderyard order list --status backordered",
		Args:    want(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			page, _, done, err := call[wire.OrderListAnswer](cmd.Context(), a, messages.OrderSubject("list"), "",
				wire.ListOrdersRequest{ListFilter: filter})
			if done {
				return err
			}
			t := a.table("ORDER", "STATUS", "PLACED", "#LINES", "#UNITS", "#TOTAL", "SITES", "#REROUTES", "EXCEPTIONS")
			for _, o := range page.Orders {
				t.add(o.OrderID, status(o.Status), firstTime(o.PlacedAt, o.AcceptedAt), o.Lines, o.Units, money(o.Total, o.Currency),
					list(o.Sites), o.Reroutes, list(o.Exceptions))
			}
			if err := t.print("No orders."); err != nil {
				return err
			}
			if page.NextCursor != "" {
				fmt.Fprintf(a.err, "There are more: add --cursor %s\n", clean(page.NextCursor))
			}
			return nil
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&filter.Status, "status", "", "only orders with this status")
	flags.StringVar(&filter.Channel, "channel", "", "only orders of this channel")
	flags.StringVar(&filter.Site, "site", "", "only orders with work at this site")
	flags.StringVarP(&filter.Q, "query", "q", "", "only orders whose id holds this text")
	flags.Uint32Var(&filter.Limit, "limit", wire.ListDefault, fmt.Sprintf("rows of one page, at most %d", wire.ListMax))
	flags.StringVar(&filter.Cursor, "cursor", "", "go on where the last page ended")
	return cmd
}
