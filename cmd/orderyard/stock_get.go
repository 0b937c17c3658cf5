package main

import (
	"github.com/spf13/cobra"

	"orderyard/gateway/wire"
	"orderyard/messages"
)

func newStockGetCmd(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "get SKU[@SITE]",
		Short:   "Show the stock of a SKU at one site, or at every site that has carried it",
		Example: "  orderyard stock get TSHIRT-M",
		Args:    want("SKU[@SITE]"),
		RunE: func(cmd *cobra.Command, args []string) error {
			sku, site, one := messages.SplitBucket(args[0])
			request := wire.GetStockRequest{SKU: sku, Site: site}
			if one {
				if _, _, err := bucketArg(args[0]); err != nil {
					return err
				}
			}
			// Both answers read into one shape: the single bucket beside the list.
			b, _, done, err := call[stockGot](cmd.Context(), a, messages.StockSubject("get"), "", request)
			if done {
				return err
			}
			t := a.bucketTable()
			if one {
				if b.SKU != "" {
					t.bucket(&b.Bucket)
				}
				return t.print("No stock.")
			}
			total := wire.Bucket{SKU: sku, Site: "(all)"}
			for i := range b.Buckets {
				t.bucket(&b.Buckets[i])
				total.ATP += b.Buckets[i].ATP
				total.OnHand += b.Buckets[i].OnHand
				total.Reserved += b.Buckets[i].Reserved
				total.Allocated += b.Buckets[i].Allocated
				total.SafetyStock += b.Buckets[i].SafetyStock
				total.Unsellable += b.Buckets[i].Unsellable
			}
			if len(b.Buckets) > 1 {
				t.add(total.SKU, total.Site, total.ATP, total.OnHand, total.Reserved, total.Allocated, total.SafetyStock, total.Unsellable, "-", "-")
			}
			return t.print("No site has carried " + clean(sku) + ".")
		},
	}
}

// stockGot is the answer about one bucket or about all buckets of a SKU, whichever came.
type stockGot struct {
	wire.Head
	wire.Bucket
	Buckets []wire.Bucket `json:"buckets"`
}
