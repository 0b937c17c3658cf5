package audit

import (
	"fmt"

	"orderyard/actors/entity"
	"orderyard/messages"
)

// Violation is one broken promise.
type Violation struct {
	Invariant string `json:"invariant"` // "I1" …
	Entity    string `json:"entity"`
	Partition int    `json:"partition"`
	Position  uint64 `json:"position,omitempty"` // of the commit that broke it; 0 = found at the end
	Detail    string `json:"detail"`
}

func (v Violation) String() string {
	where := ""
	if v.Position != 0 {
		where = fmt.Sprintf(" (partition %d, position %d)", v.Partition, v.Position)
	}
	return fmt.Sprintf("%s %s: %s%s", v.Invariant, v.Entity, v.Detail, where)
}

// violationsMax bounds what is kept: the first ones matter.
const violationsMax = 100

// Auditor takes the history of all partitions, each in its order. It belongs to one goroutine.
type Auditor struct {
	kinds  entity.Kinds
	limits *entity.Limits

	cores   map[messages.Ref]*entity.Core
	buckets map[messages.Ref]*bucketModel
	sites   map[messages.Ref]*siteModel
	placed  map[string]bool
	found   []Violation

	partition int
	position  uint64
	Commits   int64
	Events    int64
}

// New makes an auditor that knows nothing yet.
func New(kinds entity.Kinds, limits *entity.Limits) *Auditor {
	return &Auditor{
		kinds: kinds, limits: limits, cores: map[messages.Ref]*entity.Core{}, buckets: map[messages.Ref]*bucketModel{},
		sites: map[messages.Ref]*siteModel{}, placed: map[string]bool{},
	}
}

func (a *Auditor) violate(invariant string, ref messages.Ref, format string, args ...any) {
	if len(a.found) < violationsMax {
		a.found = append(a.found, Violation{invariant, ref.String(), a.partition, a.position, fmt.Sprintf(format, args...)})
	}
}

// noPlans stands in for routing: a replay never plans.
func noPlans(*messages.PlanRequest, int64) *messages.AdoptPlan { return &messages.AdoptPlan{} }

// CheckpointSlices takes the slices of a partition's checkpoint, as persistence.Snapshots.Load gives them, and begins from there.
func (a *Auditor) CheckpointSlices(partition int) func([]byte) error {
	var reader entity.StreamReader
	return func(slice []byte) error {
		return reader.Take(slice, func(blob []byte) error {
			snap := new(messages.EntitySnapshot)
			if err := snap.UnmarshalVT(blob); err != nil {
				return err
			}
			return a.begin(partition, snap)
		})
	}
}

func (a *Auditor) begin(partition int, snap *messages.EntitySnapshot) error {
	core, err := entity.LoadCore(snap, a.kinds, noPlans, a.limits)
	if err != nil {
		return err
	}
	a.partition, a.position = partition, 0
	ref := core.Ref()
	a.cores[ref] = core
	switch ref.Kind {
	case messages.KindBucket:
		m, err := newBucketModel(snap.State)
		if err != nil {
			return err
		}
		a.buckets[ref] = m
	case messages.KindSite:
		m, err := newSiteModel(snap.State)
		if err != nil {
			return err
		}
		a.sites[ref] = m
	case messages.KindOrder:
		// A checkpoint may hold an order that was asked about, or whose placing was under way: it is not placed yet.
		if view := orderView(core); view != nil && view.Order != nil {
			a.placed[ref.ID] = true
		}
	}
	return nil
}

// Commit takes the next commit of a partition.
func (a *Auditor) Commit(partition int, position uint64, c *messages.Commit) {
	a.partition, a.position = partition, position
	a.Commits++
	for _, e := range c.Entries {
		a.Events += int64(len(e.Events))
		a.entry(e)
	}
}

func (a *Auditor) entry(e *messages.Entry) {
	ref := messages.Ref{Kind: messages.Kind(e.Kind), ID: e.Id}
	core := a.cores[ref]
	if core == nil {
		kind, ok := a.kinds[ref.Kind]
		if !ok {
			a.violate("I10", ref, "unknown kind %d", e.Kind)
			return
		}
		core = entity.NewCore(ref, kind, noPlans, a.limits)
		a.cores[ref] = core
	}
	if e.Version+uint64(len(e.Events)) <= core.Version() {
		return // the checkpoint holds it already
	}
	if err := a.apply(core, e); err != nil {
		a.violate("I9", ref, "%v", err)
		return
	}
	events := make([]messages.Event, 0, len(e.Events))
	for _, r := range e.Events {
		if r.Type == messages.TypeCommandRefused { // it changes nothing
			continue
		}
		event, err := messages.DecodeEvent(r)
		if err != nil {
			a.violate("I10", ref, "%v", err)
			return
		}
		events = append(events, event)
	}
	switch ref.Kind {
	case messages.KindBucket:
		m := a.buckets[ref]
		if m == nil {
			m = &bucketModel{claims: map[string]*claim{}}
			a.buckets[ref] = m
		}
		m.entry(events, e.AtMs, func(invariant, format string, args ...any) { a.violate(invariant, ref, format, args...) })
	case messages.KindSite:
		m := a.sites[ref]
		if m == nil {
			m = emptySiteModel()
			a.sites[ref] = m
		}
		m.entry(events, func(invariant, format string, args ...any) { a.violate(invariant, ref, format, args...) })
	case messages.KindOrder:
		a.order(ref, core, events)
	}
}

// apply replays through the real machine. Its own assertions panic: that is a finding, not the end of the audit.
func (a *Auditor) apply(core *entity.Core, e *messages.Entry) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("the state machine refused the event: %v", r)
		}
	}()
	return core.Apply(e)
}

// order checks that an id is placed once, and its units.
func (a *Auditor) order(ref messages.Ref, core *entity.Core, events []messages.Event) {
	for _, e := range events {
		if _, ok := e.(*messages.OrderPlaced); ok {
			if a.placed[ref.ID] {
				a.violate("I6", ref, "placed twice")
			}
			a.placed[ref.ID] = true
		}
	}
	if s, ok := core.Machine().Summary().(*messages.OrderSummary); ok && s != nil && s.Lines > linesEachTime {
		return // looked at in the end: a view costs as much as the order is long, and a long order has as many entries again
	}
	a.units(ref, core)
}

// linesEachTime is how many lines an order may have for its units to be counted after every entry.
const linesEachTime = 8

// units checks that every unit of an order is in exactly one place.
func (a *Auditor) units(ref messages.Ref, core *entity.Core) {
	view := orderView(core)
	if view == nil || view.Order == nil {
		return
	}
	for i, line := range view.Order.Lines {
		if i >= len(view.Units) {
			a.violate("I3", ref, "line %s has no unit counts", line.Id)
			return
		}
		u := view.Units[i]
		parts := []int64{u.Open, u.Planned, u.Reserved, u.Allocated, u.Released, u.Picked, u.Packed, u.Shipped, u.Delivered, u.Backordered, u.Exception, u.Cancelled}
		sum := int64(0)
		for _, n := range parts {
			if n < 0 {
				a.violate("I3", ref, "line %s has a negative count: %v", line.Id, parts)
			}
			sum += n
		}
		if sum != line.Quantity {
			a.violate("I3", ref, "line %s: %d ordered, %d accounted for: %v", line.Id, line.Quantity, sum, parts)
		}
	}
}

func orderView(core *entity.Core) *messages.OrderView {
	v, ok := core.Machine().(interface{ View() *messages.OrderView })
	if !ok {
		return nil
	}
	return v.View()
}

// Has says whether the history holds the entity.
func (a *Auditor) Has(ref messages.Ref) bool {
	c := a.cores[ref]
	return c != nil && c.Version() > 0
}

// HasReservation says whether a bucket ever granted the reservation.
func (a *Auditor) HasReservation(id string) bool {
	for _, m := range a.buckets {
		if m.claims[id] != nil {
			return true
		}
	}
	return false
}

// Live compares a live entity with its replay, bit for bit (I10).
func (a *Auditor) Live(live *entity.Core, now int64) {
	a.position = 0
	ref := live.Ref()
	back := a.cores[ref]
	if back == nil {
		if live.Version() > 0 {
			a.violate("I10", ref, "lives at version %d and is not in the journal", live.Version())
		}
		return
	}
	x, y := live.Snapshot(now), back.Snapshot(now)
	x.WakeAtMs, y.WakeAtMs = 0, 0 // depends on what is under way, which is no state
	bx, errX := x.MarshalVT()
	by, errY := y.MarshalVT()
	if errX != nil || errY != nil || string(bx) != string(by) {
		a.violate("I10", ref, "the live state (version %d, %d bytes) is not its replay (version %d, %d bytes)", x.Version, len(bx), y.Version, len(by))
	}
}

// Finish makes the checks that need the whole: holds past their time at now, and, when nothing is under way (settled), that buckets
// and orders agree about every claim. It gives everything found.
func (a *Auditor) Finish(now int64, settled bool) []Violation {
	a.position = 0
	for _, ref := range a.refs(messages.KindBucket) {
		a.buckets[ref].overdue(now, func(format string, args ...any) { a.violate("I7", ref, format, args...) })
	}
	for _, ref := range a.refs(messages.KindOrder) {
		a.units(ref, a.cores[ref])
	}
	if settled {
		a.agree()
	}
	return a.found
}
