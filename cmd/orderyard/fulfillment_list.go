package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"orderyard/gateway/wire"
	"orderyard/messages"
)

func newFulfillmentListCmd(a *app) *cobra.Command {
	var site string
	var request wire.FulfillmentListRequest
	cmd := &cobra.Command{
		Use:     "list --site S",
		Short:   "List the work of one site",
		Example: "  orderyard fulfillment list --site DC-DENVER --status open",
		Args:    want(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := messages.CheckToken(site); err != nil {
				return usage("--site %v; `orderyard site list` shows the sites", err)
			}
			page, _, done, err := call[wire.FulfillmentListAnswer](cmd.Context(), a, messages.FulfillmentSubject("list", site), "", request)
			if done {
				return err
			}
			t := a.table("FULFILLMENT", "STATUS", "REQUEST", "LINES", "SHIP TO", "WORK DATE", "ANSWER BY", "CHANGED", "NEXT")
			for _, f := range page.Fulfillments {
				to := ""
				if f.ShipTo != nil {
					to = f.ShipTo.PostalCode + " " + f.ShipTo.Country
				}
				t.add(f.ID, status(f.Status), status(f.RequestStatus), fulfillmentLines(f.Lines), to, f.WorkDate, f.AnswerBy,
					firstTime(f.ChangedAt, f.CreatedAt), list(f.SupportedActions))
			}
			if err := t.print("No work at " + clean(site) + "."); err != nil {
				return err
			}
			if page.NextCursor != "" {
				fmt.Fprintf(a.err, "There are more: add --cursor %s\n", clean(page.NextCursor))
			}
			return nil
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&site, "site", "", "the site whose work it is")
	flags.StringVar(&request.Status, "status", "", "only work with this status, such as open")
	flags.Uint32Var(&request.Limit, "limit", wire.ListDefault, fmt.Sprintf("rows of one page, at most %d", wire.ListMax))
	flags.StringVar(&request.Cursor, "cursor", "", "go on where the last page ended")
	return cmd
}
