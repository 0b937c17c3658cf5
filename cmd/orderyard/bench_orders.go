package main

import "github.com/spf13/cobra"

func newBenchOrdersCmd(a *app) *cobra.Command {
	return &cobra.Command{Use: "orders"}
}
