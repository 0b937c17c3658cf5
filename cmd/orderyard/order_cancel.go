package main

import (
	"github.com/spf13/cobra"

	"orderyard/gateway/wire"
	"orderyard/messages"
)

func newOrderCancelCmd(a *app) *cobra.Command {
	request := wire.CancelOrderRequest{}
	cmd := &cobra.Command{
		Use:   "cancel ID",
		Short: "Cancel what can still be cancelled",
		Long: "Cancel what can still be cancelled. Units that no site has begun are freed at once; a site that has begun is asked, and\n" +
			"may refuse. The answer comes at once; `orderyard order get ID` shows what became of it.",
		Args: want("ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			request.OrderID, request.Actor = args[0], a.actor()
			return receipt(cmd.Context(), a, messages.OrderSubject("cancel"), a.newCommandID(), request)
		},
	}
	cmd.Flags().StringVar(&request.Reason, "reason", "", "customer, staff, duplicate, fraud, … (default customer)")
	cmd.Flags().StringVar(&request.Note, "note", "", "why, in words")
	return a.withCommandID(cmd)
}
