package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"
	"time"

	"github.com/nats-io/nats.go/micro"
	"github.com/spf13/cobra"

	"orderyard/actors/audit"
	"orderyard/actors/entity"
	"orderyard/cluster"
	"orderyard/gateway/ingress"
	"orderyard/persistence"
	"orderyard/persistence/jetstream"
)

func newVerifyCmd(a *app) *cobra.Command {
	var settle time.Duration
	var data string
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Re-check the invariants over the journal of a running node, or over a copy",
		Long: "Read the journal of every partition, check that each record continues the one before, and replay it: nothing was oversold, no unit is\n" +
			"in two places, no site took more than it can, every hold ended once and in time, every version follows the one before, and the\n" +
			"checkpoint is what the journal leads to. Where the journal was cut, the audit begins with the checkpoint. When the yard is at rest,\n" +
			"buckets and orders must also agree about every claim. Where no node serves, as over a backup, nothing has come due since the last record.\n\n" +
			"--data reads the folder of a stopped `orderyard dev`, or of a stopped NATS server, or a copy of one: through a copy of its own in the\n" +
			"folder for temporary files (TMPDIR), which needs as much room. The original is never changed.\n\n" +
			"Names the first offending record and exits 6 when something is broken.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if data != "" && cmd.Flags().Changed("settle") {
				return usage("--settle waits for a running yard, --data reads one that has stopped: give one of them")
			}
			tuneAuditMemory()
			o := verifyOptions{patience: settle, tell: a.err, now: nowMs}
			if data != "" {
				return a.verifyFolder(cmd.Context(), data, o)
			}
			c, err := a.connect()
			if err != nil {
				return err
			}
			defer c.close()
			store, err := jetstream.Open(cmd.Context(), c.conn, jetstream.Options{Existing: true})
			if err != nil {
				return err
			}
			o.served = c.served
			return a.verifyStore(cmd.Context(), store, o)
		},
	}
	cmd.Flags().DurationVar(&settle, "settle", 0, "wait this long for the yard to come to rest, so that claims can be compared")
	cmd.Flags().StringVar(&data, "data", "", "read this folder instead of a running server")
	return cmd
}

// verifyOptions are the dials of a verification.
type verifyOptions struct {
	patience time.Duration
	now      func() int64                   // nil = the history has ended
	served   func(ctx context.Context) bool // whether somebody goes on with it: else it has ended; nil = yes
	tell     io.Writer                      // nil = nobody waits
}

func nowMs() int64 { return time.Now().UnixMilli() }

// servedWithin is how long the nodes have to say that they are there.
const servedWithin = 2 * time.Second

// served asks whether any node's doors are open. In a yard without nodes, such as a backup that is looked at, nothing is due: nobody ends a hold.
func (c *client) served(ctx context.Context) bool {
	subject, err := micro.ControlSubject(micro.PingVerb, ingress.ServiceStock, "")
	if err != nil {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, servedWithin)
	defer cancel()
	_, err = c.conn.RequestWithContext(ctx, subject, nil)
	return err == nil
}

// auditReport is what an audit found.
type auditReport struct {
	Entities   int               `json:"entities"`
	Commits    int64             `json:"commits"`
	Events     int64             `json:"events"`
	Settled    bool              `json:"settled"`
	Violations []audit.Violation `json:"violations"` // the first one first
	Seconds    float64           `json:"seconds"`
	Busy       string            `json:"busy,omitempty"`
	Rate       float64           `json:"events_per_second"`
	Compared   int64             `json:"entities_as_in_checkpoint"` // that the checkpoint and the journal have alike
	PeakBytes  int64             `json:"peak_rss_bytes"`            // of this process
	Partitions int               `json:"partitions"`
}

func (a *app) verifyStore(ctx context.Context, store persistence.Store, o verifyOptions) error {
	report, err := verifyBy(ctx, store, o)
	if err != nil {
		return err
	}
	return a.showAudit(report)
}

// verifyUntilRest audits, and again for as long as something is found to be under way and there is time.
func verifyUntilRest(ctx context.Context, store persistence.Store, patience time.Duration) (*auditReport, error) {
	return verifyBy(ctx, store, verifyOptions{patience: patience, now: nowMs})
}

func verifyBy(ctx context.Context, store persistence.Store, o verifyOptions) (*auditReport, error) {
	const pause = 500 * time.Millisecond
	for end := time.Now().Add(o.patience); ; {
		v, err := verifyOnce(ctx, store, o)
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

// verifyOnce reads every partition to its end, as many at once as there are processors. Claims are compared only when no partition moved meanwhile
// and no entity owes another anything: else a message on its way would look like a broken promise. What is kept of a partition that was read
// is its claims; so memory holds the entities of the partitions at work and the claims of all, however long the history is.
func verifyOnce(ctx context.Context, store persistence.Store, o verifyOptions) (*auditReport, error) {
	began := time.Now()
	if o.served != nil && !o.served(ctx) {
		o.now = nil
	}
	partitions, err := storedPartitions(ctx, store)
	if err != nil {
		return nil, err
	}
	done := new(verifyTally)
	defer tellProgress(o.tell, partitions, done)()
	read, err := verifyAll(ctx, store, o, partitions, done)
	if err != nil {
		return nil, err
	}
	v := &auditReport{Settled: true, Partitions: partitions}
	parts := make([]*audit.Part, partitions)
	for p, one := range read {
		last, _, err := store.Last(ctx, p)
		if err != nil {
			return nil, err
		}
		v.Settled = v.Settled && last == one.head && !one.damaged
		v.add(one.part)
		parts[p] = one.part
	}
	v.Settled = v.Settled && v.Busy == ""
	if v.Settled {
		v.Violations = append(v.Violations, audit.Agree(parts)...)
	}
	audit.First(v.Violations)
	v.Seconds = time.Since(began).Seconds()
	v.Rate, v.PeakBytes = eventsPerSecond(v.Events, v.Seconds), peakRSS()
	return v, nil
}

func (v *auditReport) add(p *audit.Part) {
	v.Entities += p.Entities
	v.Commits += p.Commits
	v.Events += p.Events
	v.Compared += p.Compared
	v.Violations = append(v.Violations, p.Found...)
	if v.Busy == "" {
		v.Busy = p.Busy
	}
}

// verifyAll reads the partitions side by side.
func verifyAll(ctx context.Context, store persistence.Store, o verifyOptions, partitions int, done *verifyTally) ([]*verifiedPartition, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	read := make([]*verifiedPartition, partitions)
	errs := make([]error, partitions)
	next := make(chan int)
	var wait sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), partitions) {
		wait.Add(1)
		go func() {
			defer wait.Done()
			v := &verifier{store: store, limits: entity.DefaultLimits(), now: o.now, done: done}
			for p := range next {
				if read[p], errs[p] = v.partition(ctx, p); errs[p] != nil {
					cancel() // the others need not go on
				}
			}
		}()
	}
	for p := range partitions {
		next <- p
	}
	close(next)
	wait.Wait()
	for _, err := range errs {
		if err != nil && !errors.Is(err, context.Canceled) {
			return nil, err
		}
	}
	return read, errors.Join(errs...)
}

// tellEvery is how long somebody waits before, and between, being told how far it is.
const tellEvery = 2 * time.Second

// tellProgress tells until the function it gives is called.
func tellProgress(to io.Writer, partitions int, done *verifyTally) func() {
	if to == nil {
		return func() {}
	}
	stop, began := make(chan struct{}), time.Now()
	var wait sync.WaitGroup
	wait.Add(1)
	go func() {
		defer wait.Done()
		for {
			select {
			case <-stop:
				return
			case <-time.After(tellEvery):
				events := done.events.Load()
				fmt.Fprintf(to, "%d of %s read, %d events, %.0f/s\n", done.partitions.Load(), plural(partitions, "partition"), events,
					eventsPerSecond(events, time.Since(began).Seconds()))
			}
		}
	}()
	return func() { close(stop); wait.Wait() }
}

func storedPartitions(ctx context.Context, store persistence.Store) (int, error) {
	n, found, err := cluster.StoredPartitions(ctx, store)
	if err == nil && !found {
		err = jetstream.ErrNoStore
	}
	return n, err
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

// showViolations names everything that is broken, and ends with the first.
func (a *app) showViolations(v *auditReport) error {
	if len(v.Violations) == 0 {
		return nil
	}
	for _, found := range v.Violations[1:] {
		fmt.Fprintln(a.err, clean(found.String()))
	}
	if len(v.Violations) == 1 {
		return exitWith(exitInvariant, fmt.Errorf("an invariant is broken: %s", v.Violations[0]))
	}
	return exitWith(exitInvariant, fmt.Errorf("%d broken promises, the first: %s", len(v.Violations), v.Violations[0]))
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
	compared := ""
	if v.Compared > 0 {
		compared = fmt.Sprintf("; %d entities are as in the checkpoint", v.Compared)
	}
	return fmt.Sprintf("%s: %d entities, %d events in %d commits checked in %.1f s (%.0f events/s, at most %d MiB of memory)%s; %s",
		word, v.Entities, v.Events, v.Commits, v.Seconds, v.Rate, v.PeakBytes>>20, compared, rest)
}
