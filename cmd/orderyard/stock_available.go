package main

import (
	"strings"

	"github.com/spf13/cobra"

	"orderyard/gateway/wire"
	"orderyard/messages"
)

func newStockAvailableCmd(a *app) *cobra.Command {
	var site string
	cmd := &cobra.Command{
		Use:   "available SKU...",
		Short: "Show what can be promised of SKUs, as far as the node knows: for shop windows, some milliseconds old",
		Long: "Show what can be promised of SKUs, from what the node knows, without asking a bucket: fast for many, and some milliseconds old. `stock get` asks\n" +
			"the buckets, and a reservation alone decides.",
		Example: "  orderyard stock available SKU-0001 SKU-0002 --site DC-DENVER",
		Args:    cobra.RangeArgs(1, wire.BatchMax),
		RunE: func(cmd *cobra.Command, args []string) error {
			got, _, done, err := call[wire.AvailableAnswer](cmd.Context(), a, messages.StockSubject("available"), "", wire.AvailableRequest{SKUs: args, Site: site})
			if done {
				return err
			}
			t := a.table("SKU", "#ATP", "SITES")
			for _, s := range got.SKUs {
				where := make([]string, len(s.Sites))
				for i, at := range s.Sites {
					where[i] = at.Site
				}
				t.add(s.SKU, s.ATP, strings.Join(where, " "))
			}
			return t.print("")
		},
	}
	cmd.Flags().StringVar(&site, "site", "", "only what this site can promise")
	return cmd
}
