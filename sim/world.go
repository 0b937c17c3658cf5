package sim

import (
	"container/heap"
	"context"
	"fmt"
	"hash"
	"hash/fnv"
	"math/rand/v2"

	"orderyard/actors"
	"orderyard/actors/audit"
	"orderyard/actors/entity"
	"orderyard/cluster"
	"orderyard/messages"
	"orderyard/persistence"
	"orderyard/persistence/faulty"
	"orderyard/persistence/memory"
)

// Options are the dials of one run; the zero value of each means the default.
type Options struct {
	Partitions int // default 3
	Orders     int // default 25
	// Bug plants a fault in the simulated node, to prove that the audit would find it; see bugs.go.
	Bug string
	// NoSweeps leaves orders where they were planned first, as histories were before there were sweeps.
	NoSweeps bool
	// Trace is called with every line of the history; nil = nobody looks.
	Trace func(line string)
}

// Result is what one seed gave, or several together.
type Result struct {
	Seed       uint64            `json:"seed,omitempty"`
	Hash       uint64            `json:"hash,omitempty"` // of the history: the same on every run of the seed
	Steps      int               `json:"steps"`
	Orders     int               `json:"orders"` // acknowledged
	Crashes    int               `json:"crashes"`
	Fenced     int               `json:"fenced"`
	LostAcks   int               `json:"lost_acks"`
	Duplicates int               `json:"duplicates"`
	Reroutes   int               `json:"reroutes"`
	Swept      int               `json:"swept"`    // orders that a sweep moved
	Statuses   map[string]int    `json:"statuses"` // headline statuses at the end
	Violations []audit.Violation `json:"violations"`
}

// Add counts another seed in.
func (r *Result) Add(other Result) {
	r.Steps += other.Steps
	r.Orders += other.Orders
	r.Crashes += other.Crashes
	r.Fenced += other.Fenced
	r.LostAcks += other.LostAcks
	r.Duplicates += other.Duplicates
	r.Reroutes += other.Reroutes
	r.Swept += other.Swept
	if r.Statuses == nil {
		r.Statuses = map[string]int{}
	}
	for status, n := range other.Statuses {
		r.Statuses[status] += n
	}
	r.Violations = append(r.Violations, other.Violations...)
}

// startAt is the simulated beginning: a Sunday before the busiest week, 2026-11-22 09:00 UTC.
const startAt int64 = 1795338000_000

// world is one simulated yard.
type world struct {
	o      Options
	rng    *rand.Rand
	now    int64
	seq    int
	queue  eventQueue
	hash   hash.Hash64
	result Result

	disk   *memory.Store
	store  *faulty.Store
	kinds  entity.Kinds
	limits entity.Limits
	know   *actors.Knowledge
	lanes  []*lane
	faults bool // still striking

	audit *audit.Auditor
	load  *load
}

type event struct {
	at  int64
	seq int
	run func()
}

type eventQueue []*event

func (q eventQueue) Len() int { return len(q) }
func (q eventQueue) Less(i, j int) bool {
	return q[i].at < q[j].at || q[i].at == q[j].at && q[i].seq < q[j].seq
}
func (q eventQueue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *eventQueue) Push(x any)   { *q = append(*q, x.(*event)) }
func (q *eventQueue) Pop() any {
	old := *q
	e := old[len(old)-1]
	*q = old[:len(old)-1]
	return e
}

// Run simulates one seed from the first order to rest, and audits it.
func Run(seed uint64, o Options) Result {
	if o.Partitions == 0 {
		o.Partitions = 3
	}
	if o.Orders == 0 {
		o.Orders = 25
	}
	w := &world{o: o, rng: rand.New(rand.NewPCG(seed, 0x0dde)), now: startAt, hash: fnv.New64a(), disk: memory.New(), faults: true}
	w.result.Seed = seed
	w.store = faulty.New(w.disk, faulty.Options{Script: w.strike})
	w.limits = entity.DefaultLimits()
	w.kinds = actors.Kinds(func() int64 { return w.now }, actors.RememberForMs, func(req *messages.PlanRequest, now int64) *messages.AdoptPlan {
		return w.know.Answer(req, now)
	})
	w.know = actors.NewKnowledge(nil, func() int64 { return w.now }, func(req messages.Request) { w.send(req) })
	w.know.Stopwatch = func() int64 { return 0 }
	w.audit = audit.New(w.kinds, &w.limits)
	for p := range o.Partitions {
		w.lanes = append(w.lanes, nil)
		w.open(p)
	}
	w.load = newLoad(w)
	w.load.begin()
	w.every(500, func() bool { w.know.OfferStock(); return true })
	w.scheduleFaults()
	w.drain()
	w.finish()
	w.result.Hash = w.hash.Sum64()
	return w.result
}

// drain runs events until the load says that all is at rest, or the patience of the simulation ends.
func (w *world) drain() {
	const patience = 40 * 24 * 3600 * 1000
	for len(w.queue) > 0 && !w.load.atRest() {
		e := heap.Pop(&w.queue).(*event)
		w.now = max(w.now, e.at)
		w.result.Steps++
		e.run()
		if w.now-startAt > patience || w.result.Steps > 60_000 {
			w.violate("I11", "", "the yard did not come to rest: %s", w.load.restless())
			return
		}
	}
}

// after schedules.
func (w *world) after(ms int64, run func()) {
	w.seq++
	heap.Push(&w.queue, &event{at: w.now + ms, seq: w.seq, run: run})
}

// every repeats while run says so.
func (w *world) every(ms int64, run func() bool) {
	var again func()
	again = func() {
		if run() {
			w.after(ms, again)
		}
	}
	w.after(ms, again)
}

func (w *world) chance(percent float64) bool { return w.rng.Float64()*100 < percent }

func (w *world) between(low, high int64) int64 { return low + w.rng.Int64N(high-low+1) }

// diskTime is how long an append takes, now and then much longer: then many commands wait for it, and a crash takes them all.
func (w *world) diskTime() int64 {
	if w.faults && w.chance(4) {
		return w.between(20, 400)
	}
	return w.between(0, 2)
}

// note writes a line of the history.
func (w *world) note(format string, args ...any) {
	line := fmt.Sprintf("%d ", w.now-startAt) + fmt.Sprintf(format, args...)
	w.hash.Write([]byte(line))
	if w.o.Trace != nil {
		w.o.Trace(line)
	}
}

// event writes what happened to an entity. Only bytes go into the hash: the text of a protobuf message differs from build to build.
func (w *world) event(e *messages.Entry, r *messages.EventRecord) {
	fmt.Fprintf(w.hash, "%d %d %s %d %d %x", w.now-startAt, e.Kind, e.Id, e.Version, r.Type, r.Data)
	if w.o.Trace == nil {
		return
	}
	if event, err := messages.DecodeEvent(r); err == nil {
		w.o.Trace(fmt.Sprintf("%d %s/%s v%d %s %v", w.now-startAt, messages.Kind(e.Kind), e.Id, e.Version, messages.EventName(event), event))
	}
}

func (w *world) violate(invariant, entity, format string, args ...any) {
	w.result.Violations = append(w.result.Violations, audit.Violation{Invariant: invariant, Entity: entity, Detail: fmt.Sprintf(format, args...)})
}

// strike is the journal's bad luck.
func (w *world) strike(c faulty.Call) faulty.Fault {
	if !w.faults {
		return faulty.None
	}
	x := w.rng.Float64()
	if c.Op != "append" {
		if x < 0.002 {
			return faulty.Refused
		}
		return faulty.None
	}
	switch {
	case x < 0.004:
		return faulty.Refused
	case x < 0.012:
		w.result.LostAcks++
		return faulty.LostAck
	case x < 0.015:
		return faulty.Late
	case x < 0.018:
		return faulty.Twice
	case x < 0.021:
		return faulty.TwiceDenied
	}
	return faulty.None
}

// send puts a request on the simulated network: late, sometimes twice, between entities sometimes lost.
func (w *world) send(req messages.Request) {
	if w.faults && req.Done == nil && w.chance(0.5) {
		w.note("lost %s", req.To)
		return
	}
	copies := 1
	if w.faults && w.chance(2) {
		copies = 2
		w.result.Duplicates++
	}
	for range copies {
		delay := w.between(0, 3)
		if w.faults && w.chance(1) {
			delay = w.between(0, 15_000)
		}
		w.after(delay, func() { w.deliver(req) })
	}
}

func (w *world) deliver(req messages.Request) {
	p := cluster.PartitionOf(req.To, w.o.Partitions)
	w.lanes[p].deliver(req)
}

// scheduleFaults crashes, pauses, puts to sleep and checkpoints at random until the load is through.
func (w *world) scheduleFaults() {
	ctx := context.Background()
	w.every(w.between(400, 4000), func() bool {
		if !w.faults {
			return false
		}
		p := w.rng.IntN(len(w.lanes))
		switch w.rng.IntN(6) {
		case 0, 1:
			w.result.Crashes++
			w.lanes[p].crash()
		case 2:
			w.lanes[p].usurp()
		case 3:
			w.lanes[p].sleep()
		case 4:
			w.lanes[p].checkpoint(ctx)
		case 5:
			w.store.Deliver(ctx)
		}
		return true
	})
}

// open starts a new owner of a partition.
func (w *world) open(p int) {
	w.seq++
	l := &lane{w: w, partition: p, cores: map[messages.Ref]*entity.Core{}}
	l.log = persistence.OpenLog(w.store, p, persistence.LogOptions{
		Node: "sim", Incarnation: fmt.Sprint(w.seq), Nonce: uint64(w.seq), AppendTimeout: -1, BehindFor: -1, Sleep: noSleep, AttemptsMax: 200,
	})
	w.lanes[p] = l
	l.recover()
}
