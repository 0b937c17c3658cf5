package sim

import (
	"context"
	"errors"
	"fmt"
	"hash"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"time"

	"github.com/cespare/xxhash/v2"

	"orderyard/actors"
	"orderyard/actors/audit"
	"orderyard/actors/entity"
	"orderyard/messages"
	"orderyard/routing"
)

// startAt is the simulated beginning: a Sunday before the busiest week, 2026-11-22 09:00 UTC.
const startAt int64 = 1795338000_000

// world is one simulated cluster with everything around it.
type world struct {
	o       Options
	rng     *rand.Rand
	now     int64 // Unix ms, as it passes for processes and machines; every node has a clock of its own
	leap    int64 // what wall clocks have run ahead of it since: a day that nothing happens in
	seq     int
	queue   eventQueue
	current *process
	idle    []*process
	hash    hash.Hash64
	line    []byte
	result  Result

	storage    *storage
	registry   *registry
	stream     *stream
	seats      []*node // who runs on each machine; nil = nobody
	starts     int
	limits     entity.Limits
	noticesMax int          // of a bucket or a site at a time; 0 = as many as usual
	kinds      entity.Kinds // without bugs, for audits
	faults     bool         // still striking
	full       bool         // the journal's disk

	checks *checks
	ledger *ledger
	load   *load
	rules  *routing.Rules // in force
}

// Run simulates one seed from the first order to rest, and checks it. A state machine's own assertion is a finding like any other.
func Run(seed uint64, o Options) (result Result) {
	w := newWorld(seed, o.withDefaults())
	defer func() {
		if p := recover(); p != nil {
			w.violate("assertion", "", "%v", p)
			w.note("%s", debug.Stack())
			w.abandon()
			result = w.result
		}
	}()
	for i := range w.o.Nodes {
		w.start(i)
	}
	w.load = newLoad(w)
	w.load.begin()
	w.scheduleFaults()
	w.drain()
	w.finish()
	w.abandon()
	w.result.Hash = w.hash.Sum64()
	w.result.Millis = w.now - startAt
	return w.result
}

func newWorld(seed uint64, o Options) *world {
	w := &world{o: o, rng: rand.New(rand.NewPCG(seed, 0x0dde)), now: startAt, hash: xxhash.New(), faults: true, seats: make([]*node, o.Nodes)}
	w.result.Seed = seed
	w.limits = entity.DefaultLimits()
	w.limits.PassivateAfterMs = 1_500
	if w.chance(33) { // limits that are met only here
		w.limits.CommitBytesMax, w.limits.ActivationMax = int(w.between(300, 2_000)), 2
		w.noticesMax = 3
	}
	w.kinds = actors.Kinds(w.time, actors.RememberForMs, func(*messages.PlanRequest, int64) *messages.AdoptPlan {
		return &messages.AdoptPlan{}
	})
	if w.rules = ruleSets()[0]; w.chance(50) {
		w.rules = ruleSets()[w.rng.IntN(len(ruleSets()))]
	}
	w.storage = newStorage(w)
	w.registry = newRegistry(w)
	w.stream = newStream(w)
	w.checks = newChecks(w)
	w.ledger = newLedger(w)
	return w
}

// abandon unwinds what still waits, so that nothing of this world is left behind.
func (w *world) abandon() {
	for _, n := range w.seats {
		if n != nil {
			n.gone = true
			n.endProcesses()
		}
	}
	for _, p := range w.idle {
		p.stop()
	}
}

// drain runs events until the load says that all is at rest, or the patience of the simulation ends.
func (w *world) drain() {
	patience, stepsMax := int64(40*dayMs), 200_000+int(w.o.busy()/4)
	for len(w.queue) > 0 && !w.load.rested {
		w.next()
		if w.now-startAt > patience || w.result.Steps > stepsMax {
			w.violate("I11", "", "the yard did not come to rest: %s", w.load.restless())
			return
		}
	}
}

// time is the time of day.
func (w *world) time() int64 { return w.now + w.leap }

func (w *world) chance(percent float64) bool { return w.rng.Float64()*100 < percent }

func (w *world) between(low, high int64) int64 { return low + w.rng.Int64N(high-low+1) }

// strikes says whether a kind of fault may strike now.
func (w *world) strikes(kind string) bool { return w.faults && slices.Contains(w.o.Faults, kind) }

// note writes a line of the history.
func (w *world) note(format string, args ...any) {
	w.line = fmt.Appendf(w.line[:0], "%d ", w.now-startAt)
	w.line = fmt.Appendf(w.line, format, args...)
	w.hash.Write(w.line)
	if w.o.Trace != nil {
		w.o.Trace(string(w.line))
	}
}

// happened writes what happened to an entity. Only bytes go into the hash: the text of a protobuf message differs from build to build.
func (w *world) happened(e *messages.Entry) {
	w.line = fmt.Appendf(w.line[:0], "%d %d %s %d", w.now-startAt, e.Kind, e.Id, e.Version)
	for _, r := range e.Events {
		if int(r.Type) < len(w.result.Happened) {
			w.result.Happened[r.Type]++
		}
		w.line = fmt.Appendf(w.line, " %d ", r.Type)
		w.line = append(w.line, r.Data...)
	}
	w.hash.Write(w.line)
	if w.o.Trace == nil {
		return
	}
	for i, r := range e.Events {
		if event, err := messages.DecodeEvent(r); err == nil {
			w.o.Trace(fmt.Sprintf("%d %s/%s v%d %s %v", w.now-startAt, messages.Kind(e.Kind), e.Id, e.Version+1+uint64(i), messages.EventName(event), event))
		}
	}
}

// violationsMax bounds what is kept: the first ones matter.
const violationsMax = 50

func (w *world) violate(invariant, entity, format string, args ...any) {
	if len(w.result.Violations) < violationsMax {
		v := audit.Violation{Invariant: invariant, Entity: entity, Detail: fmt.Sprintf(format, args...)}
		w.result.Violations = append(w.result.Violations, v)
		w.note("BROKEN %v", v)
	}
}

// errGone ends whatever a node waits for when the node is gone.
var errGone = errors.New("the process has ended")

// logSleep is persistence.LogOptions.Sleep in simulated time.
func (w *world) logSleep(_ context.Context, d time.Duration) error {
	if !w.sleep(max(d.Milliseconds(), 1)) {
		return errGone
	}
	return nil
}
