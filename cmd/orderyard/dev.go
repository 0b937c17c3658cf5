package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"orderyard/configs"
	"orderyard/gateway/fleet"
	"orderyard/persistence/jetstream/embedded"
)

type devFlags struct {
	config   string
	natsPort int
	http     string
	data     string
	fresh    bool
	noDemo   bool
	noFleet  bool
	reject   int
}

func newDevCmd(a *app) *cobra.Command {
	var f devFlags
	cmd := &cobra.Command{
		Use:   "dev",
		Short: "Run everything in one process: NATS with a durable store, one node, a demo network",
		Long: "Run everything in one process: an embedded NATS server with JetStream and synced writes, one node, and, when the store is\n" +
			"empty, a demo network of sites and stock with simulated people who pick, pack, ship and sometimes refuse.\n\n" +
			"Ctrl-C stops cleanly; the next start goes on where this one ended.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runDev(cmd.Context(), a, cmd, f) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.config, "config", "", "configuration file over the defaults of dev")
	flags.IntVar(&f.natsPort, "nats-port", 4222, "port for NATS clients, 0 = any free one")
	flags.StringVar(&f.http, "http", "127.0.0.1:8080", `address of probes and metrics, "" = none`)
	flags.StringVar(&f.data, "data", "./data", "folder that keeps everything")
	flags.BoolVar(&f.fresh, "fresh", false, "begin with an empty store: what the data folder holds is removed")
	flags.BoolVar(&f.noDemo, "no-demo", false, "no demo sites and stock")
	flags.BoolVar(&f.noFleet, "no-fleet", false, "no simulated people at the sites: work waits for `orderyard fulfillment`")
	flags.IntVar(&f.reject, "reject-permille", -1, "how many of 1,000 fulfillment orders the simulated sites refuse (default: fleet.reject_permille)")
	return cmd
}

func runDev(ctx context.Context, a *app, cmd *cobra.Command, f devFlags) error {
	cfg, err := devConfig(a, cmd, f)
	if err != nil {
		return err
	}
	log := newLogger(a, cfg.Log)
	slog.SetDefault(log)
	if f.fresh {
		if err := embedded.Empty(storeDir(cfg)); err != nil {
			return err
		}
	}
	y, err := openYard(ctx, cfg, log)
	if err != nil {
		return devHint(err, cfg)
	}
	demo := ""
	if !f.noDemo {
		if demo, err = y.loadDemo(ctx); err != nil {
			return errors.Join(err, y.close())
		}
	}
	staff, err := y.hireFleet(ctx, f)
	if err != nil {
		return errors.Join(err, y.close())
	}
	line := "Orderyard is ready: NATS " + y.server.ClientURL()
	if y.http != nil {
		line += " · http://" + y.http.Addr()
	}
	if err := a.println(line + " · data in " + cfg.Node.Data + demo); err != nil {
		return errors.Join(err, y.close())
	}
	<-ctx.Done()
	if err := a.println("Stopping: finishing what is under way."); err != nil {
		log.Debug("terminal gone", "error", err)
	}
	if staff != nil {
		staff.Stop()
	}
	return y.close()
}

func (y *yard) hireFleet(ctx context.Context, f devFlags) (*fleet.Fleet, error) {
	if f.noFleet {
		return nil, nil
	}
	c := y.cfg.Fleet
	return fleet.Start(ctx, y.conn, fleet.Options{
		PickAfter: c.PickAfter, PackAfter: c.PackAfter, ShipAfter: c.ShipAfter, DeliverAfter: c.DeliverAfter,
		RejectPermille: c.RejectPermille, Seed: c.Seed, Log: y.log,
	})
}

// devConfig: the defaults of dev, then the file, then the environment, then the flags a person typed.
func devConfig(a *app, cmd *cobra.Command, f devFlags) (configs.Config, error) {
	cfg, warnings, err := configs.Load(configs.Dev(), f.config, os.Environ())
	if err != nil {
		return cfg, err
	}
	for _, w := range warnings {
		fmt.Fprintln(a.err, w)
	}
	if !cfg.NATS.Embedded() {
		return cfg, usage("dev runs its own NATS server; nats.url %q is for `orderyard node`", cfg.NATS.URL)
	}
	typed := cmd.Flags().Changed
	if typed("nats-port") {
		if f.natsPort < 0 || f.natsPort > 65535 {
			return cfg, usage("--nats-port must be 0 to 65535, is %d", f.natsPort)
		}
		cfg.NATS.Port = f.natsPort
	}
	if typed("http") {
		cfg.HTTP.Addr = f.http
	}
	if typed("data") {
		cfg.Node.Data = f.data
	}
	if typed("reject-permille") {
		if f.reject < 0 || f.reject > 1000 {
			return cfg, usage("--reject-permille must be 0 to 1000, is %d", f.reject)
		}
		cfg.Fleet.RejectPermille = f.reject
	}
	return cfg, nil
}

// devHint adds what to do to an error of the start.
func devHint(err error, cfg configs.Config) error {
	switch {
	case errors.Is(err, os.ErrPermission):
		return fmt.Errorf("%w: choose another folder with --data", err)
	case isPortTaken(err):
		return fmt.Errorf("%w: choose another with --nats-port or --http (0 = any free one)", err)
	}
	return err
}

func isPortTaken(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "listen"
}

func newLogger(a *app, c configs.Log) *slog.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.Level)); err != nil {
		level = slog.LevelInfo
	}
	o := &slog.HandlerOptions{Level: level}
	if c.Format == "json" {
		return slog.New(slog.NewJSONHandler(a.err, o))
	}
	return slog.New(slog.NewTextHandler(a.err, o))
}

// demoSKUs and demoWithin describe the demo stock.
const (
	demoSKUs   = 2000
	demoWithin = time.Minute
)

func demoSKU(i int) string { return "SKU-" + strconv.Itoa(10000 + i)[1:] }
