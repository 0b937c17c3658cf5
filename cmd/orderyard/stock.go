package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"orderyard/gateway/wire"
	"orderyard/messages"
)

func newStockCmd(a *app) *cobra.Command {
	return group("stock", "Count, move and see stock",
		newStockSetCmd(a), newStockAdjustCmd(a), newStockReceiveCmd(a), newStockGetCmd(a), newStockAvailableCmd(a), newStockImportCmd(a))
}

func newStockSetCmd(a *app) *cobra.Command {
	var asOf string
	var safety, unsellable int64
	cmd := &cobra.Command{
		Use:   "set SKU@SITE QTY",
		Short: "Say what was counted at a site",
		Long: "Say what was counted at a site. Reservations made after the count survive it; a count older than the last one is ignored.\n" +
			"Count when nothing moves, or give the moment of the count with --as-of.",
		Example: "  orderyard stock set TSHIRT-M@DC-DENVER 120",
		Args:    want("SKU@SITE", "QTY"),
		RunE: func(cmd *cobra.Command, args []string) error {
			sku, site, err := bucketArg(args[0])
			if err != nil {
				return err
			}
			quantity, err := quantityArg(args[1])
			if err != nil {
				return err
			}
			request := wire.SetStockRequest{SKU: sku, Site: site, OnHand: &quantity}
			if request.AsOf, err = a.parseMoment("as-of", asOf); err != nil {
				return err
			}
			if cmd.Flags().Changed("safety-stock") {
				request.SafetyStock = &safety
			}
			if cmd.Flags().Changed("unsellable") {
				request.Unsellable = &unsellable
			}
			return bucketChange(cmd.Context(), a, "set", request)
		},
	}
	cmd.Flags().StringVar(&asOf, "as-of", "", "when it was counted (default: now)")
	cmd.Flags().Int64Var(&safety, "safety-stock", 0, "units never offered (default: as before)")
	cmd.Flags().Int64Var(&unsellable, "unsellable", 0, "units damaged or in quarantine (default: as before)")
	return a.withCommandID(cmd)
}

func newStockAdjustCmd(a *app) *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use:     "adjust SKU@SITE ±QTY --reason R",
		Short:   "Add or take units, with a reason",
		Example: "  orderyard stock adjust TSHIRT-M@DC-DENVER -3 --reason breakage",
		Args:    want("SKU@SITE", "QTY"),
		RunE: func(cmd *cobra.Command, args []string) error {
			sku, site, err := bucketArg(args[0])
			if err != nil {
				return err
			}
			delta, err := quantityArg(args[1])
			if err != nil {
				return err
			}
			if reason == "" {
				return usage("--reason is required: found, breakage, theft, correction, …")
			}
			return bucketChange(cmd.Context(), a, "adjust", wire.AdjustStockRequest{SKU: sku, Site: site, Delta: delta, Reason: reason})
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why the units came or went")
	return a.withCommandID(cmd)
}

func newStockReceiveCmd(a *app) *cobra.Command {
	var reference string
	cmd := &cobra.Command{
		Use:     "receive SKU@SITE QTY",
		Short:   "Add units that arrived",
		Example: "  orderyard stock receive TSHIRT-M@DC-DENVER 500 --reference PO-77",
		Args:    want("SKU@SITE", "QTY"),
		RunE: func(cmd *cobra.Command, args []string) error {
			sku, site, err := bucketArg(args[0])
			if err != nil {
				return err
			}
			quantity, err := quantityArg(args[1])
			if err != nil {
				return err
			}
			return bucketChange(cmd.Context(), a, "receive",
				wire.ReceiveStockRequest{SKU: sku, Site: site, Quantity: quantity, Reference: reference})
		},
	}
	cmd.Flags().StringVar(&reference, "reference", "", "the purchase order, transfer or notice it came with")
	return a.withCommandID(cmd)
}

// bucketChange asks for a change of one bucket and shows the bucket after it.
func bucketChange(ctx context.Context, a *app, verb string, request any) error {
	b, _, done, err := call[wire.StockAnswer](ctx, a, messages.StockSubject(verb), a.newCommandID(), request)
	if done {
		return err
	}
	switch {
	case b.Ignored && b.IgnoredReason == "moved_since":
		fmt.Fprintln(a.err, "Ignored: more has moved since than is remembered; count again.")
	case b.Ignored:
		fmt.Fprintln(a.err, "Ignored: a younger count is known.")
	}
	t := a.bucketTable()
	if b.Bucket != nil {
		if b.ATP != nil { // the answer has one field for both
			b.Bucket.ATP = *b.ATP
		}
		t.bucket(b.Bucket)
	}
	return t.print("Done.")
}

func (a *app) bucketTable() *rows {
	return a.table("SKU", "SITE", "#ATP", "#ON HAND", "#RESERVED", "#ALLOCATED", "#SAFETY", "#UNSELLABLE", "#INCOMING", "#VERSION")
}

func (r *rows) bucket(b *wire.Bucket) {
	var incoming int64
	for _, in := range b.Incoming {
		incoming += in.Quantity
	}
	r.add(b.SKU, b.Site, b.ATP, b.OnHand, b.Reserved, b.Allocated, b.SafetyStock, b.Unsellable, incoming, b.Version)
}

// bucketArg splits SKU@SITE; a SKU holds no '@', so there is one way to read it.
func bucketArg(arg string) (sku, site string, err error) {
	sku, site, ok := messages.SplitBucket(arg)
	if !ok {
		return "", "", usage("%q names no site: write SKU@SITE", arg)
	}
	if err := messages.CheckSKU(sku); err != nil {
		return "", "", usage("SKU %q %v", sku, err)
	}
	if err := messages.CheckToken(site); err != nil {
		return "", "", usage("site %q %v", site, err)
	}
	return sku, site, nil
}

// quantityArg reads whole units with an optional sign.
func quantityArg(arg string) (int64, error) {
	plain := strings.TrimPrefix(strings.Replace(arg, minus, "-", 1), "+")
	n, err := strconv.ParseInt(plain, 10, 64)
	if err != nil || strings.HasPrefix(arg, "+-") {
		return 0, usage("%q is no whole number of units", strings.Replace(arg, minus, "-", 1))
	}
	return n, nil
}
