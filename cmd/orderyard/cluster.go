package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"orderyard/gateway/wire"
	"orderyard/messages"
)

func newClusterCmd(a *app) *cobra.Command {
	return group("cluster", "Show the nodes and their partitions; drain a node",
		newClusterStatusCmd(a), newClusterPartitionsCmd(a), newClusterDrainCmd(a))
}

func newClusterStatusCmd(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "List the nodes as one of them sees the cluster",
		Args:  want(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			got, _, done, err := call[wire.ClusterStatusAnswer](cmd.Context(), a, messages.ClusterSubject("status"), "", wire.ClusterStatusRequest{})
			if done {
				return err
			}
			c := got.Cluster
			t := a.table("NODE", "STATUS", "#PARTITIONS", "#WEIGHT", "GOSSIP", "REMOTE", "STARTED", "VERSION", "INCARNATION")
			for _, m := range c.Nodes {
				gossip := "sees it"
				if !m.Gossip {
					gossip = "does not"
				}
				t.add(m.Node, status(m.Status), m.Partitions, m.Weight, gossip, m.RemoteAddr, m.StartedAt, m.Version, m.Incarnation)
			}
			if err := t.print("No nodes."); err != nil {
				return err
			}
			return a.println(fmt.Sprintf("\n%d partitions: %d owned, %d moving, %d without an owner · as %s sees it",
				c.Partitions, c.Owned, c.Moving, c.Unowned, clean(c.AnsweredBy)))
		},
	}
}

func newClusterPartitionsCmd(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "partitions",
		Short: "List who owns which partition",
		Args:  want(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			got, _, done, err := call[wire.ClusterPartitionsAnswer](cmd.Context(), a, messages.ClusterSubject("partitions"), "", wire.ClusterPartitionsRequest{})
			if done {
				return err
			}
			t := a.table("#PARTITION", "PHASE", "NODE", "NEXT", "SINCE", "INCARNATION")
			for _, p := range got.Partitions {
				t.add(p.Partition, status(p.Phase), p.Node, p.Next, p.Since, p.Incarnation)
			}
			return t.print("No partitions.")
		},
	}
}

// drainPoll is how often the way of a drain is looked at.
const drainPoll = 200 * time.Millisecond

func newClusterDrainCmd(a *app) *cobra.Command {
	within := time.Minute
	cmd := &cobra.Command{
		Use:   "drain NODE",
		Short: "Move a node's partitions to the others, without a failed request",
		Long: "Move a node's partitions to the others, without a failed request, and wait until it has none. The node stays up as a door and\n" +
			"takes no partitions until it is started again. A node that is stopped (SIGTERM) drains by itself.",
		Example: "  orderyard cluster drain node-3",
		Args:    want("NODE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.connect()
			if err != nil {
				return err
			}
			defer c.close()
			got, err := c.ask(cmd.Context(), messages.ClusterSubject("drain"), "", wire.ClusterDrainRequest{Node: args[0]})
			if err != nil {
				_, _, err = show[wire.ClusterDrainAnswer](a, got, err)
				return err
			}
			var begun wire.ClusterDrainAnswer
			if err := wire.DecodeAnswer(got.body, &begun); err != nil {
				return fmt.Errorf("read the answer: %w", err)
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), within)
			defer cancel()
			return a.watchDrain(ctx, c, begun)
		},
	}
	cmd.Flags().DurationVar(&within, "within", within, "how long to wait for the last partition; the drain goes on all the same")
	return cmd
}

// watchDrain shows how the node's partitions become fewer, and returns when it has none.
func (a *app) watchDrain(ctx context.Context, c *client, begun wire.ClusterDrainAnswer) error {
	bar := a.progressBar(int64(begun.Partitions), "partitions moved")
	for {
		got, err := c.ask(ctx, messages.ClusterSubject("status"), "", wire.ClusterStatusRequest{})
		if err != nil && ctx.Err() == nil {
			return err
		}
		var now wire.ClusterStatusAnswer
		if err == nil {
			if err := wire.DecodeAnswer(got.body, &now); err != nil {
				return fmt.Errorf("read the answer: %w", err)
			}
			left, there := partitionsOf(now.Cluster, begun.Incarnation)
			if bar != nil {
				_ = bar.Set64(max(int64(begun.Partitions-left), 0)) // a terminal that went away is no failure
			}
			if left == 0 {
				begun.Partitions = 0
				return a.drained(begun, there)
			}
			begun.Partitions = max(begun.Partitions, left)
		}
		select {
		case <-ctx.Done():
			return exitWith(exitUnavailable, fmt.Errorf("%s still has partitions; it goes on draining, look with `orderyard cluster status`", clean(begun.Node)))
		case <-time.After(drainPoll):
		}
	}
}

func partitionsOf(c *wire.ClusterStatus, incarnation string) (partitions int, there bool) {
	for _, m := range c.Nodes {
		if m.Incarnation == incarnation {
			return m.Partitions, true
		}
	}
	return 0, false
}

func (a *app) drained(begun wire.ClusterDrainAnswer, there bool) error {
	if a.output == outputJSON {
		return a.printValue(begun)
	}
	if !there {
		return a.println(clean(begun.Node) + " has left the cluster.")
	}
	return a.println(clean(begun.Node) + " has no partitions any more; it may be stopped.")
}
