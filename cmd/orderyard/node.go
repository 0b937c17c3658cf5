package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"

	"github.com/spf13/cobra"

	"orderyard/configs"
)

func newNodeCmd(a *app) *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "node",
		Short: "Run one member of a cluster",
		Long: "Run one member of a cluster. Everything is configured by a file and by ORDERYARD_… over it; configs/orderyard.yaml names every\n" +
			"key with its default and one line of advice.\n\n" +
			"SIGTERM or Ctrl-C drains: readiness goes off, requests under way are answered, every partition is handed to another node without a\n" +
			"failed request, and the process ends. A second signal ends it at once; nothing acknowledged is lost by that either.",
		Example: "  ORDERYARD_NODE_NAME=node-1 ORDERYARD_NATS_URL=nats://nats-1:4222 orderyard node --config orderyard.yaml",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return runNode(cmd.Context(), a, file) },
	}
	cmd.Flags().StringVar(&file, "config", "", "configuration file; what it leaves out keeps its default")
	return cmd
}

func runNode(ctx context.Context, a *app, file string) error {
	cfg, warnings, err := configs.Load(configs.Default(), file, os.Environ())
	if err != nil {
		return err
	}
	for _, w := range warnings {
		fmt.Fprintln(a.err, w)
	}
	log := newLogger(a, cfg.Log).With("self", cfg.Node.Name)
	slog.SetDefault(log)
	y, err := openMember(ctx, cfg, log)
	if err != nil {
		return nodeHint(err)
	}
	line := fmt.Sprintf("Orderyard node %s is ready", cfg.Node.Name)
	if y.server != nil {
		line += ": NATS " + y.server.ClientURL()
	} else {
		line += ": NATS " + y.conn.ConnectedUrlRedacted()
	}
	if y.http != nil {
		line += " · http://" + y.http.Addr()
	}
	if err := a.println(line + " · incarnation " + y.member.incarnation); err != nil {
		return errors.Join(err, y.close())
	}
	<-ctx.Done()
	if err := a.println("Draining: finishing what is under way and handing the partitions over."); err != nil {
		log.Debug("terminal gone", "error", err)
	}
	return y.close()
}

// nodeHint adds what to do to an error of the start.
func nodeHint(err error) error {
	if isPortTaken(err) {
		return fmt.Errorf("%w: another process listens there; see cluster.bind, cluster.remote.bind and http.addr", err)
	}
	return err
}
