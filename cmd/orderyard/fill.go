package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"orderyard/actors"
	"orderyard/actors/entity"
	"orderyard/cluster"
	"orderyard/gateway/egress"
	"orderyard/messages"
	"orderyard/persistence"
)

// filler writes a large yard into a store without a running node: the real cores decide, one after the other in one goroutine, and what they
// decided goes into real logs in large commits. It is for measurements and tests that need a full store; a node that starts on it cannot tell it
// from one that was filled through the doors. Decisions do not wait for their commits: a filler that dies leaves a store to be thrown away.
type filler struct {
	plan     fillPlan
	store    persistence.Store
	kinds    entity.Kinds
	limits   entity.Limits
	know     *actors.Knowledge
	lanes    []*fillLane
	queue    []messages.Request
	now      int64
	rng      *rand.Rand
	events   int64
	backlog  error             // the first that went wrong
	progress func(what string) // told now and then
}

// fillPlan says what the yard holds.
type fillPlan struct {
	Orders     int
	Buckets    int
	Partitions int
	Sites      int // 0 = one for every 5,000 orders, at least fillSitesMin
	Tail       int // of the orders: so many come after the checkpoint. Without a checkpoint it says nothing
	Checkpoint bool
}

// fillLane is one partition: its log, its entities as bytes but for those at work, and the open commit.
type fillLane struct {
	log     *persistence.Log
	store   *entity.Store
	cores   map[messages.Ref]*entity.Core
	batch   []byte
	commits int
}

const (
	fillSitesMin     = 20
	fillSitesPerSKU  = 10   // sites that carry a SKU
	fillUnits        = 4000 // of a bucket
	fillManual       = 10   // one site in so many answers by hand: its orders stay reserved
	fillEmpty        = 20   // one SKU in so many is nowhere on hand: whoever orders it waits
	fillTogether     = 256  // orders placed before all are left to rest
	fillCommitBytes  = 256 << 10
	fillRememberMs   = actors.RememberForMs
	fillSliceBytes   = persistence.SliceMax
	fillTellEvery    = 50_000
	fillTries        = 10 // at a checkpoint
	fillTheNode      = "filler"
	fillOrderPrefix  = "f"
	fillPromisedUnit = 1999
)

func newFiller(store persistence.Store, plan fillPlan) *filler {
	if plan.Sites == 0 {
		plan.Sites = max(fillSitesMin, plan.Orders/5000)
	}
	f := &filler{plan: plan, store: store, limits: entity.DefaultLimits(), now: time.Now().UnixMilli(), rng: rand.New(rand.NewPCG(20, 26)), progress: func(string) {}}
	clock := func() int64 { return f.now }
	f.know = actors.NewKnowledge(nil, clock, func(messages.Request) {}) // nothing arrives for those who wait
	f.kinds = actors.Kinds(clock, fillRememberMs, f.know.Answer)
	return f
}

// fill writes it all.
func (f *filler) fill(ctx context.Context) error {
	if err := f.open(ctx); err != nil {
		return err
	}
	f.sites()
	if err := f.buckets(ctx); err != nil {
		return err
	}
	tail := 0
	if f.plan.Checkpoint {
		tail = min(f.plan.Tail, f.plan.Orders)
	}
	if err := f.orders(ctx, 0, f.plan.Orders-tail); err != nil {
		return err
	}
	if f.plan.Checkpoint {
		if err := f.checkpoint(ctx); err != nil {
			return err
		}
	}
	if err := f.orders(ctx, f.plan.Orders-tail, f.plan.Orders); err != nil {
		return err
	}
	return f.cursors(ctx)
}

// open takes every partition over.
func (f *filler) open(ctx context.Context) error {
	n, err := cluster.Partitions(ctx, f.store, f.plan.Partitions)
	if err != nil {
		return err
	}
	for p := range n {
		l := &fillLane{
			log: persistence.OpenLog(f.store, p, persistence.LogOptions{Node: fillTheNode}), store: entity.NewStore(), cores: map[messages.Ref]*entity.Core{},
		}
		if err := l.log.Recover(ctx, persistence.Manifest{}, func(uint64, []byte) error { return fmt.Errorf("partition %d is not empty", p) }); err != nil {
			return err
		}
		if err := l.log.Takeover(ctx, nil); err != nil {
			return err
		}
		f.lanes = append(f.lanes, l)
	}
	return nil
}

func fillSite(i int) string { return "SITE-" + strconv.Itoa(i) }

func fillSKU(i int) string { return "SKU-" + strconv.Itoa(10_000_000 + i)[1:] }

// at is the j-th site that carries a SKU.
func (f *filler) at(sku, j int) string {
	return fillSite((sku*7 + j*(f.plan.Sites/fillSitesPerSKU)) % f.plan.Sites)
}

func (f *filler) sites() {
	for i := range f.plan.Sites {
		accept := "auto"
		if i%fillManual == fillManual-1 {
			accept = "manual"
		}
		id := fillSite(i)
		f.queue = append(f.queue, messages.Request{To: messages.SiteRef(id), CommandID: f.commandID(), Command: &messages.ApplySite{Doc: &messages.SiteDoc{
			Id: id, Name: "Site " + id, Type: "dc", Country: "US", Lat: 30 + 15*f.rng.Float64(), Lon: -120 + 45*f.rng.Float64(), Accept: accept, Status: "online",
		}}})
	}
	f.settle()
}

// commandID is as long as those of the doors.
func (f *filler) commandID() string {
	return fmt.Sprintf("%s%022d", messages.ClientKey, f.rng.Uint64())
}

func (f *filler) buckets(ctx context.Context) error {
	for i := range f.plan.Buckets {
		sku, site := fillSKU(i/fillSitesPerSKU), f.at(i/fillSitesPerSKU, i%fillSitesPerSKU)
		onHand := int64(fillUnits)
		if (i/fillSitesPerSKU)%fillEmpty == fillEmpty-1 {
			onHand = 0
		}
		f.queue = append(f.queue, messages.Request{
			To: messages.BucketRef(sku, site), CommandID: f.commandID(), Command: &messages.SetStock{Sku: sku, Site: site, OnHand: onHand},
		})
		if len(f.queue) >= 4*fillTogether || i == f.plan.Buckets-1 {
			f.settle()
			if err := f.rest(ctx); err != nil {
				return err
			}
		}
		if i%(10*fillTellEvery) == 0 {
			f.progress(fmt.Sprintf("%d buckets", i))
		}
	}
	return nil
}

func (f *filler) orders(ctx context.Context, from, to int) error {
	for i := from; i < to; i++ {
		place := &messages.PlaceOrder{Order: f.order(i)}
		if err := f.know.Prepare(place); err != nil {
			return err
		}
		id := messages.OrderID(benchChannel, place.Order.ExternalId)
		f.queue = append(f.queue, messages.Request{To: messages.OrderRef(id), CommandID: messages.ClientKey + id, Command: place})
		if len(f.queue) >= fillTogether || i == to-1 {
			f.settle()
			if err := f.rest(ctx); err != nil {
				return err
			}
		}
		if i%fillTellEvery == 0 {
			f.progress(fmt.Sprintf("%d orders", i))
		}
	}
	return nil
}

// order has 1 to 3 lines and comes from somewhere in the country.
func (f *filler) order(i int) *messages.Order {
	o := &messages.Order{
		Channel: benchChannel, ExternalId: fillOrderPrefix + strconv.Itoa(i), Currency: "USD",
		ShipTo: &messages.Address{
			Name: "B. Buyer", Line1: "1 Main St", City: "Denver", Region: "CO", PostalCode: "80202", Country: "US",
			HasPosition: true, Lat: 30 + 15*f.rng.Float64(), Lon: -120 + 45*f.rng.Float64(),
		},
	}
	skus := max(f.plan.Buckets/fillSitesPerSKU, 1)
	for line := range 1 + f.rng.IntN(3) {
		o.Lines = append(o.Lines, &messages.OrderLine{
			Id: strconv.Itoa(line + 1), Sku: fillSKU(f.rng.IntN(skus)), Quantity: 1 + f.rng.Int64N(3), UnitPrice: fillPromisedUnit,
		})
	}
	return o
}

func (f *filler) lane(ref messages.Ref) *fillLane {
	return f.lanes[cluster.PartitionOf(ref, len(f.lanes))]
}

// settle decides what is queued and all that follows from it, until nobody owes anybody anything.
func (f *filler) settle() {
	f.now = time.Now().UnixMilli()
	for head := 0; head < len(f.queue); head++ {
		f.step(&f.queue[head])
		f.queue[head] = messages.Request{}
	}
	f.queue = f.queue[:0]
}

func (f *filler) step(req *messages.Request) {
	l := f.lane(req.To)
	core := l.cores[req.To]
	if core == nil {
		var err error
		if core, err = l.store.Core(req.To, f.kinds, f.know.Answer, &f.limits); err != nil {
			f.fail(err)
			return
		}
		l.cores[req.To] = core
	}
	before := core.Version()
	out := core.Step(req, f.now)
	f.events += int64(core.Version() - before)
	if out.Entry != nil {
		l.batch = append(l.batch, out.Entry...)
		if summary := core.Machine().Summary(); summary != nil {
			f.know.Observe(req.To, summary, core.Machine().Waits())
		}
	}
	switch {
	case !req.From.IsZero():
		f.queue = append(f.queue, messages.Request{To: req.From, Command: &messages.TaskResult{TaskId: req.CommandID, Reply: orEmpty(out.Reply)}})
	case out.Reply.GetFailure() != nil && req.CommandID != "":
		f.fail(fmt.Errorf("%s: %w", req.To, out.Reply.GetFailure()))
	}
	for _, t := range out.Tasks {
		f.queue = append(f.queue, messages.Request{To: t.To, Command: t.Command, CommandID: t.ID, From: req.To})
	}
}

func orEmpty(r *messages.Reply) *messages.Reply {
	if r == nil {
		return &messages.Reply{}
	}
	return r
}

func (f *filler) fail(err error) {
	if f.backlog == nil {
		f.backlog = err
	}
}

// rest turns what is at work into bytes, but for sites, and appends the commits that are large enough.
func (f *filler) rest(ctx context.Context) error {
	for _, l := range f.lanes {
		for ref, core := range l.cores {
			if ref.Kind == messages.KindSite {
				continue
			}
			if f.plan.Checkpoint || ref.Kind != messages.KindOrder { // nobody comes back to an order
				if err := l.store.Put(core.Snapshot(f.now)); err != nil {
					return err
				}
			}
			delete(l.cores, ref)
		}
		if len(l.batch) >= fillCommitBytes {
			if err := l.flush(ctx); err != nil {
				return err
			}
		}
	}
	return f.backlog
}

func (l *fillLane) flush(ctx context.Context) error {
	if len(l.batch) == 0 {
		return nil
	}
	_, err := l.log.Append(ctx, l.batch)
	l.batch = l.batch[:0]
	l.commits++
	return err
}

// checkpoint writes what every partition holds, and cuts the journal below, as a node does.
func (f *filler) checkpoint(ctx context.Context) error {
	for p, l := range f.lanes {
		if p == 0 {
			f.progress("writing checkpoints")
		}
		if err := l.flush(ctx); err != nil {
			return err
		}
		for ref, core := range l.cores {
			if err := l.store.Put(core.Snapshot(f.now)); err != nil {
				return fmt.Errorf("%s: %w", ref, err)
			}
		}
		manifest := l.log.Manifest()
		manifest.AtMs = f.now
		var err error
		for range fillTries { // a disk that others use may take longer than the store waits
			if err = f.store.Write(ctx, p, manifest, l.store.Slices(fillSliceBytes)); err == nil {
				break
			}
		}
		if err != nil {
			return err
		}
		if err := f.store.Truncate(ctx, p, manifest.Position); err != nil {
			return err
		}
	}
	return nil
}

// cursors ends the filling: what lies open is appended, and the event feed has nothing to publish of it.
func (f *filler) cursors(ctx context.Context) error {
	c := &cursors{store: f.store}
	for p, l := range f.lanes {
		if err := l.flush(ctx); err != nil {
			return err
		}
		if err := c.Save(ctx, egress.CursorName(p), egress.Cursor{Position: l.log.Position()}); err != nil {
			return err
		}
	}
	return nil
}
