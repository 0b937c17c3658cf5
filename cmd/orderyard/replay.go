package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"orderyard/configs"
	"orderyard/gateway/fleet"
	"orderyard/gateway/wire"
	"orderyard/persistence/jetstream"
)

type replayFlags struct {
	file     string
	factor   float64
	noStock  bool
	lift     bool
	rate     float64
	inflight int
	limit    int
	seed     uint64
	policy   wire.Policy
	fleet    bool
	reject   int
	rejects  string
	settle   time.Duration
}

func newReplayCmd(a *app) *cobra.Command {
	var f replayFlags
	cmd := &cobra.Command{
		Use:   "replay FILE.csv[.gz]",
		Short: "Send a real order history into a running node, and tell what became of it",
		Long: "Send an order history with the columns of UCI's Online Retail data set (invoice, sku, quantity, invoiced_at, unit_price and, if\n" +
			"wanted, customer) into a running node: an invoice is an order, of at most 500 lines, under the channel `replay`; a C… invoice\n" +
			"cancels the customer's newest earlier order with its SKUs. Customers live at US postal codes, spread as people are. The file is\n" +
			"streamed twice: once to count the demand, which makes the opening stock, once to send. A wrong row is counted and stops nothing.\n\n" +
			"The limits of the sites (per hour, per day, open work) are lifted first, because months of orders arrive within a minute;\n" +
			"--lift-capacity=false keeps them: sites then refuse for capacity, and many orders end as the exception unroutable.\n\n" +
			"It ends with a table and the verdict of the invariant check, and exits 6 when an invariant is broken. Running it again with the\n" +
			"same file and flags adds nothing: every order is answered as the first time.",
		Example: "  orderyard replay examples/history.csv --stock-factor 0.9",
		Args:    want("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			f.file = args[0]
			if err := f.check(); err != nil {
				return err
			}
			return a.replay(cmd.Context(), f)
		},
	}
	flags := cmd.Flags()
	flags.Float64Var(&f.factor, "stock-factor", 1.1, "opening stock as a factor of the file's demand per SKU; below 1 some orders must wait")
	flags.BoolVar(&f.noStock, "no-stock", false, "set no opening stock: the node has some")
	flags.BoolVar(&f.lift, "lift-capacity", true, "take the capacity limits of all sites away first")
	flags.Float64Var(&f.rate, "rate", 0, "orders per second, 0 = as fast as the node takes them")
	flags.IntVar(&f.inflight, "inflight", 256, "orders under way at once")
	flags.IntVar(&f.limit, "limit", 0, "send only the first so many orders, 0 = all")
	flags.Uint64Var(&f.seed, "seed", 1, "where customers live and which sites carry what; another seed makes other orders")
	flags.StringVar(&f.policy.Partial, "partial", "ship_available", "policy of the orders: split, complete_only or ship_available")
	flags.StringVar(&f.policy.OnShort, "on-short", "backorder", "policy of the orders: backorder, cancel or hold")
	flags.Int32Var(&f.policy.SplitsMax, "splits-max", 0, "most sites for one order, 0 = as the node has it")
	flags.BoolVar(&f.fleet, "fleet", false, "simulate the people of the sites from here, for a node that has none")
	flags.IntVar(&f.reject, "reject-permille", configs.Default().Fleet.RejectPermille, "how many of 1,000 fulfillment orders that fleet refuses")
	flags.StringVar(&f.rejects, "rejects", "", "write every row that was left out into this CSV file, with its line and the reason")
	flags.DurationVar(&f.settle, "settle", 3*time.Minute, "how long orders may take to come to rest after the last was sent")
	return cmd
}

func (f *replayFlags) check() error {
	switch {
	case !(f.factor >= 0 && f.factor <= 1000):
		return usage("--stock-factor must be from 0 to 1000, is %v", f.factor)
	case !(f.rate >= 0) || math.IsInf(f.rate, 0):
		return usage("--rate must be 0 or more, is %v", f.rate)
	case f.inflight < 1 || f.inflight > 8192:
		return usage("--inflight must be from 1 to 8192, is %d", f.inflight)
	case f.limit < 0:
		return usage("--limit must be 0 or more, is %d", f.limit)
	case f.reject < 0 || f.reject > 1000:
		return usage("--reject-permille must be 0 to 1000, is %d", f.reject)
	case f.settle < 0:
		return usage("--settle must be 0 or more, is %v", f.settle)
	}
	return nil
}

// replay is one run over one file.
type replay struct {
	app    *app
	f      replayFlags
	client *client
	total  *survey
	bar    *progressbar.ProgressBar
	output sync.Mutex // of messages on the error stream

	reader  *invoices
	rejects rejections
	past    *history
	ours    map[uint64]struct{} // hashes of the order ids of this run

	sent, retries atomic.Int64
	mu            sync.Mutex // of what follows
	placed        placements
	cancels       cancellations
	opening       openingStock
	refusals      int // told on the error stream
	began, ended  time.Time
}

func (a *app) replay(ctx context.Context, f replayFlags) error {
	total, err := surveyReplay(f.file, f.limit)
	if err != nil {
		return err
	}
	// The node may be killed and started again under a replay, which then goes on.
	c, err := a.connect(func(o *nats.Options) error {
		o.AllowReconnect, o.MaxReconnect, o.ReconnectWait, o.ReconnectBufSize = true, -1, 200*time.Millisecond, -1
		return nil
	})
	if err != nil {
		return err
	}
	defer c.close()
	r := &replay{
		app: a, f: f, client: c, total: total, past: newHistory(), ours: make(map[uint64]struct{}, total.orders),
		rejects: rejections{reasons: make(map[string]*rejectedRows)}, placed: placements{refused: make(map[string]int64)},
		cancels: cancellations{Outcomes: make(map[string]int64)},
	}
	report, err := r.run(ctx)
	if err != nil {
		return err
	}
	if err := report.show(a); err != nil {
		return err
	}
	return a.showViolations(report.Verdict)
}

func (r *replay) run(ctx context.Context) (*replayReport, error) {
	sites, err := r.prepareNetwork(ctx)
	if err != nil {
		return nil, err
	}
	if !r.f.noStock {
		if err := r.openingStock(ctx, sites, r.total); err != nil {
			return nil, err
		}
	}
	if r.f.fleet {
		staff, err := fleet.Start(ctx, r.client.conn, fleet.Options{RejectPermille: r.f.reject, Seed: r.f.seed})
		if err != nil {
			return nil, err
		}
		defer staff.Stop()
	}
	if err := r.sendFile(ctx); err != nil {
		return nil, fmt.Errorf("%w; %s went in before that: running it again goes on from there", err, plural(int(r.sent.Load()), "order"))
	}
	outcome, err := r.settle(ctx)
	if err != nil {
		return nil, err
	}
	store, err := jetstream.Open(ctx, r.client.conn, jetstream.Options{Existing: true})
	if err != nil {
		return nil, err
	}
	verdict, err := verifyUntilRest(ctx, store, verifyPatience)
	if err != nil {
		return nil, err
	}
	return r.report(outcome, verdict), nil
}

// verifyPatience is how long the check waits for the last messages under way.
const verifyPatience = 5 * time.Second

// sendFile streams the file a second time and sends what it holds.
func (r *replay) sendFile(ctx context.Context) error {
	file, err := openReplay(r.f.file)
	if err != nil {
		return err
	}
	defer file.close()
	if r.f.rejects != "" {
		out, err := os.Create(r.f.rejects)
		if err != nil {
			return fmt.Errorf("write the rejected rows: %w", err)
		}
		r.rejects.open(out)
	}
	r.bar = r.app.progressBar(file.size, "replaying")
	r.reader, r.began = newInvoices(file, r.rejects.add), time.Now()
	stop := r.showProgress(func() {
		if r.bar != nil {
			r.bar.Describe(r.pace())
			_ = r.bar.Set64(min(file.offset(), file.size-1)) // the last byte would finish the bar
		}
	})
	err = r.send(ctx)
	stop()
	if r.bar != nil {
		_ = r.bar.Finish()
		r.bar = nil
	}
	return errors.Join(err, r.rejects.close())
}

const (
	// replayLineEvery is how often a line of progress is written where no bar can be drawn.
	replayLineEvery = 5 * time.Second
	replayBarEvery  = 200 * time.Millisecond
)

// showProgress calls draw often, and says a plain line now and then when nobody looks at a bar. The function it gives ends that.
func (r *replay) showProgress(draw func()) func() {
	every := replayLineEvery
	if r.bar != nil {
		every = replayBarEvery
	}
	done, gone := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(gone)
		ticker := time.NewTicker(every)
		defer ticker.Stop()
		for {
			select {
			case <-done:
				return
			case <-ticker.C:
				draw()
				if r.bar == nil {
					r.say("%s", r.pace())
				}
			}
		}
	}()
	return func() { close(done); <-gone }
}

// pace is one line about how it goes.
func (r *replay) pace() string {
	sent := r.sent.Load()
	perSecond := float64(sent) / max(time.Since(r.began).Seconds(), 0.001)
	return fmt.Sprintf("%d of %d orders sent, %.0f/s, %d retries", sent, r.total.orders, perSecond, r.retries.Load())
}

// say writes a line for people on the error stream.
func (r *replay) say(format string, args ...any) {
	r.output.Lock()
	defer r.output.Unlock()
	if r.bar != nil {
		_ = r.bar.Clear()
	}
	fmt.Fprintln(r.app.err, clean(fmt.Sprintf(format, args...)))
}
