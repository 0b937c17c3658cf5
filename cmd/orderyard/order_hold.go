package main

import (
	"github.com/spf13/cobra"

	"orderyard/gateway/wire"
	"orderyard/messages"
)

func newOrderHoldCmd(a *app) *cobra.Command {
	var request wire.HoldOrderRequest
	var until string
	cmd := &cobra.Command{
		Use:     "hold ID --reason R",
		Short:   "Keep an order from being released to its sites",
		Long:    "Keep an order from being released to its sites. Planning and reserving go on. Several holds may be open at once.",
		Example: "  orderyard order hold web-1001 --reason customer_request --note \"asked to wait\" --until 48h",
		Args:    want("ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if request.Reason == "" {
				return usage("--reason is required: customer_request, high_risk_of_fraud, incorrect_address, other, …")
			}
			var err error
			if request.Until, err = a.parseMoment("until", until); err != nil {
				return err
			}
			request.OrderID, request.Actor = args[0], a.actor()
			return receipt(cmd.Context(), a, messages.OrderSubject("hold"), a.newCommandID(), request)
		},
	}
	cmd.Flags().StringVar(&request.Reason, "reason", "", "why: one of the glossary's hold reasons")
	cmd.Flags().StringVar(&request.Note, "note", "", "why, in words")
	cmd.Flags().StringVar(&until, "until", "", "ends by itself at this time, or after this duration")
	return a.withCommandID(cmd)
}
