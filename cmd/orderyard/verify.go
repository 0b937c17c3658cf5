package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"orderyard/actors"
	"orderyard/actors/audit"
	"orderyard/actors/entity"
	"orderyard/cluster"
	"orderyard/persistence"
	"orderyard/persistence/jetstream"
)

func newVerifyCmd(a *app) *cobra.Command {
	var settle time.Duration
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Re-check the invariants over the journal of a running node",
		Long: "Read the journal from its newest checkpoints on and re-check that nothing was oversold, no unit is in two places, no site took\n" +
			"more than it can, every hold ended once and in time, and every version follows the one before. When the yard is at rest, buckets\n" +
			"and orders must also agree about every claim. Exits 6 and names the offending records when something is broken.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.connect()
			if err != nil {
				return err
			}
			defer c.close()
			store, err := jetstream.Open(cmd.Context(), c.conn, jetstream.Options{})
			if err != nil {
				return err
			}
			report, err := verifyUntilRest(cmd.Context(), store, settle)
			if err != nil {
				return err
			}
			return a.showAudit(report)
		},
	}
	cmd.Flags().DurationVar(&settle, "settle", 0, "wait this long for the yard to come to rest, so that claims can be compared")
	return cmd
}

// auditReport is what an audit found.
type auditReport struct {
	Entities   int               `json:"entities"`
	Commits    int64             `json:"commits"`
	Events     int64             `json:"events"`
	Settled    bool              `json:"settled"`
	Violations []audit.Violation `json:"violations"`
	Seconds    float64           `json:"seconds"`
	Busy       string            `json:"busy,omitempty"`
}

// verifyUntilRest audits, and again for as long as something is found to be under way and there is time.
func verifyUntilRest(ctx context.Context, store persistence.Store, patience time.Duration) (*auditReport, error) {
	const pause = 500 * time.Millisecond
	for end := time.Now().Add(patience); ; {
		v, err := verifyOnce(ctx, store)
		if err != nil || v.Settled || len(v.Violations) > 0 || time.Now().Add(pause).After(end) {
			return v, err
		}
		select {
		case <-ctx.Done():
			return v, ctx.Err()
		case <-time.After(pause):
		}
	}
}

// verifyOnce reads every partition to its end. Claims are compared only when no partition moved meanwhile and no entity owes another
// anything: else a message on its way would look like a broken promise.
func verifyOnce(ctx context.Context, store persistence.Store) (*auditReport, error) {
	began := time.Now()
	partitions, err := storedPartitions(ctx, store)
	if err != nil {
		return nil, err
	}
	auditor := newAuditor()
	heads := make([]uint64, partitions)
	for p := range partitions {
		if heads[p], err = verifyPartition(ctx, store, auditor, p); err != nil {
			return nil, err
		}
	}
	still := true
	for p := range partitions {
		last, _, err := store.Last(ctx, p)
		if err != nil {
			return nil, err
		}
		still = still && last == heads[p]
	}
	v := &auditReport{Busy: auditor.Busy(time.Now().UnixMilli())}
	v.Settled = still && v.Busy == ""
	v.Violations = auditor.Finish(time.Now().UnixMilli(), v.Settled)
	v.Entities, v.Commits, v.Events, v.Seconds = auditor.Entities(), auditor.Commits, auditor.Events, time.Since(began).Seconds()
	return v, nil
}

func newAuditor() *audit.Auditor {
	limits := entity.DefaultLimits()
	return audit.New(actors.Kinds(func() int64 { return time.Now().UnixMilli() }, actors.RememberForMs, nil), &limits)
}

func storedPartitions(ctx context.Context, store persistence.Store) (int, error) {
	n, found, err := cluster.StoredPartitions(ctx, store)
	if err == nil && !found {
		err = errors.New("this NATS server holds no Orderyard store")
	}
	return n, err
}

// verifyPartition audits one partition and gives the position it reached. A checkpoint that was replaced meanwhile is started again.
func verifyPartition(ctx context.Context, store persistence.Store, auditor *audit.Auditor, p int) (uint64, error) {
	mark, err := highWater(ctx, store, p)
	if err != nil {
		return 0, err
	}
	manifest, _, err := store.Load(ctx, p, auditor.CheckpointSlices(p))
	if err != nil {
		return 0, fmt.Errorf("checkpoint of partition %d: %w", p, err)
	}
	log := persistence.OpenLog(store, p, persistence.LogOptions{HighWater: persistence.Mark{Position: mark}})
	err = log.Recover(ctx, manifest, func(position uint64, payload []byte) error {
		c, err := entity.DecodeCommit(payload)
		if err != nil {
			return fmt.Errorf("partition %d position %d: %w", p, position, err)
		}
		auditor.Commit(p, position, c)
		return nil
	})
	return log.Position(), err
}

func (a *app) showAudit(v *auditReport) error {
	if a.output == outputJSON {
		if err := a.printValue(v); err != nil {
			return err
		}
	} else if err := a.println(v.String()); err != nil {
		return err
	}
	return a.showViolations(v)
}

func (a *app) showViolations(v *auditReport) error {
	for _, found := range v.Violations {
		fmt.Fprintln(a.err, found)
	}
	if len(v.Violations) > 0 {
		return exitWith(exitInvariant, fmt.Errorf("%d broken promises", len(v.Violations)))
	}
	return nil
}

func (v *auditReport) String() string {
	word := "every invariant holds"
	if n := len(v.Violations); n > 0 {
		word = fmt.Sprintf("%d VIOLATIONS", n)
	}
	rest := "at rest: buckets and orders agree about every claim"
	if !v.Settled {
		rest = "work is under way, so claims of buckets and orders were not compared"
		if v.Busy != "" {
			rest += " (" + v.Busy + ")"
		}
	}
	return fmt.Sprintf("%s: %d entities, %d events in %d commits checked in %.1f s; %s", word, v.Entities, v.Events, v.Commits, v.Seconds, rest)
}
