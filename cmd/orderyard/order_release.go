package main

import (
	"github.com/spf13/cobra"

	"orderyard/gateway/wire"
	"orderyard/messages"
)

func newOrderReleaseCmd(a *app) *cobra.Command {
	var request wire.ReleaseOrderRequest
	cmd := &cobra.Command{
		Use:   "release ID",
		Short: "End holds of an order, or resolve its exception",
		Long: "End one hold by its reason, or all without one. With --exception the exception of that kind is resolved instead, and the\n" +
			"order is routed again with its brakes reset.",
		Args: want("ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if request.Reason != "" && request.Exception != "" {
				return usage("--reason and --exception exclude each other")
			}
			request.OrderID, request.Actor = args[0], a.actor()
			return receipt(cmd.Context(), a, messages.OrderSubject("release"), a.newCommandID(), request)
		},
	}
	cmd.Flags().StringVar(&request.Reason, "reason", "", "only the hold with this reason")
	cmd.Flags().StringVar(&request.Exception, "exception", "", "the exception of this kind, such as unroutable")
	return a.withCommandID(cmd)
}
