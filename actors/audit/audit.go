package audit

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"orderyard/actors/entity"
	"orderyard/messages"
)

// Violation is one broken promise.
type Violation struct {
	Invariant string `json:"invariant"` // "I1" …, or "journal" for a record that is not what was written
	Entity    string `json:"entity"`
	Partition int    `json:"partition"`
	Position  uint64 `json:"position,omitempty"` // of the record that broke it; 0 = found at the end
	Record    uint64 `json:"record,omitempty"`   // its number within the partition
	Detail    string `json:"detail"`
}

func (v Violation) String() string {
	who, where := "", ""
	if v.Entity != "" {
		who = " " + v.Entity
	}
	switch {
	case v.Position != 0 && v.Record != 0:
		where = fmt.Sprintf(" (partition %d, position %d, record %d)", v.Partition, v.Position, v.Record)
	case v.Position != 0:
		where = fmt.Sprintf(" (partition %d, position %d)", v.Partition, v.Position)
	}
	return fmt.Sprintf("%s%s: %s%s", v.Invariant, who, v.Detail, where)
}

// violationsMax bounds what is kept: the first ones matter.
const violationsMax = 100

// Auditor takes the history of one partition or of several, each in its order. It belongs to one goroutine; auditors of different partitions
// may work side by side, and what they leave (Part) is compared by Agree. Its memory is what the entities weigh, not what happened to them.
type Auditor struct {
	kinds  entity.Kinds
	limits *entity.Limits

	subjects map[messages.Ref]*subject
	expected map[messages.Ref]expectation // of a checkpoint that the history has yet to reach
	found    []Violation
	reader   entity.EntryReader
	units    []*messages.UnitCounts // scratch

	partition int
	position  uint64
	record    uint64
	lastAt    int64
	served    map[int]int64 // by partition, the first time that the present owner has surely served; none = it has done nothing yet

	Commits  int64
	Events   int64
	Compared int64 // entities that were found as a checkpoint has them

	// Granted, where the caller gives a map, takes the id of every reservation that a bucket granted: the models forget what ended long ago.
	Granted map[string]bool
}

// subject is one entity under audit: its real machine and the small model beside it.
type subject struct {
	core   *entity.Core
	bucket *bucketModel
	site   *siteModel
	placed bool
	home   int32  // its partition
	broken bool   // what follows rests on what was wrong, and is not looked at
	since  uint64 // the version it had in the checkpoint that the audit began with
}

// New makes an auditor that knows nothing yet.
func New(kinds entity.Kinds, limits *entity.Limits) *Auditor {
	return &Auditor{kinds: kinds, limits: limits, subjects: map[messages.Ref]*subject{}, expected: map[messages.Ref]expectation{}, served: map[int]int64{}}
}

func (a *Auditor) violate(invariant string, ref messages.Ref, format string, args ...any) {
	if len(a.found) >= violationsMax {
		return
	}
	who := ""
	if !ref.IsZero() {
		who = ref.String()
	}
	a.found = append(a.found, Violation{invariant, who, a.partition, a.position, a.record, fmt.Sprintf(format, args...)})
}

// noPlans stands in for routing: a replay never plans.
func noPlans(*messages.PlanRequest, int64) *messages.AdoptPlan { return &messages.AdoptPlan{} }

func (a *Auditor) begin(partition int, snap *messages.EntitySnapshot) error {
	core, err := entity.LoadCore(snap, a.kinds, noPlans, a.limits)
	if err != nil {
		return err
	}
	a.partition, a.position, a.record = partition, 0, 0
	ref := core.Ref()
	s := &subject{core: core, home: int32(partition), since: core.Version()}
	a.subjects[ref] = s
	switch ref.Kind {
	case messages.KindBucket:
		s.bucket, err = newBucketModel(snap.State)
	case messages.KindSite:
		s.site, err = newSiteModel(snap.State)
	case messages.KindOrder:
		// A checkpoint may hold an order that was asked about, or whose placing was under way: it is not placed yet.
		s.placed = len(linesOf(core)) > 0
	}
	return err
}

// Takeover says that a partition's next commits are another owner's. For how long nobody served it before, no record tells: the owner's first entry
// is the first that does. Holds that ended before are not late until the new owner's timers have had their time.
func (a *Auditor) Takeover(partition int) { delete(a.served, partition) }

// Commit takes the next commit of a partition. Nothing of the payload is kept. record is its number in the partition, 0 = not known.
func (a *Auditor) Commit(partition int, position, record uint64, payload []byte) {
	a.partition, a.position, a.record = partition, position, record
	a.Commits++
	if err := a.reader.Each(payload, func(e *messages.Entry) error {
		a.Events += int64(len(e.Events))
		a.lastAt = max(a.lastAt, e.AtMs)
		if a.served[partition] == 0 {
			a.served[partition] = e.AtMs
		}
		a.entry(e)
		return nil
	}); err != nil {
		a.violate("I10", messages.Ref{}, "%v", err)
	}
}

func (a *Auditor) entry(e *messages.Entry) {
	ref := messages.Ref{Kind: messages.Kind(e.Kind), ID: e.Id}
	s := a.subjects[ref]
	if s == nil {
		kind, ok := a.kinds[ref.Kind]
		if !ok {
			a.violate("I10", ref, "unknown kind %d", e.Kind)
			return
		}
		s = &subject{core: entity.NewCore(ref, kind, noPlans, a.limits), home: int32(a.partition)}
		a.subjects[ref] = s
	}
	if s.broken {
		return
	}
	if e.Version+uint64(len(e.Events)) <= s.core.Version() {
		if e.Version+uint64(len(e.Events)) > s.since {
			a.violate("I9", ref, "is at version %d, the journal tells version %d again", s.core.Version(), e.Version+1)
		}
		return // the checkpoint holds it already
	}
	events, err := a.reader.Events(e)
	if err != nil {
		a.violate("I10", ref, "%v", err)
		s.broken = true
		return
	}
	refused := a.apply(s.core, e, events)
	asserted := new(refusal)
	if refused != nil && !errors.As(refused, &asserted) {
		a.violate("I9", ref, "%v", refused)
		s.broken = true
		return
	}
	before := len(a.found)
	switch ref.Kind {
	case messages.KindBucket:
		if s.bucket == nil {
			s.bucket = emptyBucketModel()
		}
		a.grants(events)
		s.bucket.entry(events, e.AtMs, func(invariant, format string, args ...any) { a.violate(invariant, ref, format, args...) })
	case messages.KindSite:
		if s.site == nil {
			s.site = emptySiteModel()
		}
		s.site.entry(events, func(invariant, format string, args ...any) { a.violate(invariant, ref, format, args...) })
	case messages.KindOrder:
		a.guard(ref, s, func() { a.order(ref, s, events) })
	}
	if refused != nil {
		s.broken = true
		if len(a.found) == before { // else the model has said it already
			a.violate(asserted.invariant(), ref, "%v", refused)
		}
		return
	}
	a.compare(ref, s.core)
}

// refusal is what a state machine's own assertion said: a finding, not the end of the audit.
type refusal struct{ said any }

func (r *refusal) Error() string {
	return fmt.Sprintf("the state machine refused the event: %v", r.said)
}

var assertion = regexp.MustCompile(`\bI\d+ broken\b`)

// invariant is the one that the assertion names.
func (r *refusal) invariant() string {
	if named := assertion.FindString(fmt.Sprint(r.said)); named != "" {
		return strings.TrimSuffix(named, " broken")
	}
	return "I10"
}

// apply replays through the real machine.
func (a *Auditor) apply(core *entity.Core, e *messages.Entry, events []messages.Event) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = &refusal{r}
		}
	}()
	return core.ApplyEvents(e, events)
}

// guard keeps an entity that cannot even be looked at from ending the audit.
func (a *Auditor) guard(ref messages.Ref, s *subject, look func()) {
	defer func() {
		if r := recover(); r != nil {
			s.broken = true
			a.violate("I10", ref, "its state is in disorder: %v", r)
		}
	}()
	look()
}

// order checks that an id is placed once, and its units.
func (a *Auditor) order(ref messages.Ref, s *subject, events []messages.Event) {
	for _, e := range events {
		if _, ok := e.(*messages.OrderPlaced); ok {
			if s.placed {
				a.violate("I6", ref, "placed twice")
				s.broken = true
				return
			}
			s.placed = true
		}
	}
	lines := linesOf(s.core)
	if len(lines) > linesEachTime {
		return // looked at in the end: it costs as much as the order is long, and a long order has as many entries again
	}
	a.count(ref, s.core, lines)
}

// linesEachTime is how many lines an order may have for its units to be counted after every entry.
const linesEachTime = 8

// count checks that every unit of an order is in exactly one place.
func (a *Auditor) count(ref messages.Ref, core *entity.Core, lines []*messages.OrderLine) {
	m, ok := core.Machine().(interface {
		Units(dst []*messages.UnitCounts) []*messages.UnitCounts
	})
	if !ok || len(lines) == 0 {
		return
	}
	units := m.Units(a.units)
	a.units = append(a.units[:0], units...)
	if len(units) != len(lines) {
		a.violate("I3", ref, "has %d lines and unit counts for %d", len(lines), len(units))
		return
	}
	for i, u := range units {
		parts := [...]int64{u.Open, u.Planned, u.Reserved, u.Allocated, u.Released, u.Picked, u.Packed, u.Shipped, u.Delivered, u.Backordered, u.Exception, u.Cancelled}
		sum, least := int64(0), int64(0)
		for _, n := range parts {
			sum += n
			least = min(least, n)
		}
		if sum != lines[i].Quantity || least < 0 {
			a.violate("I3", ref, "line %s: %d ordered, %d accounted for: %v", lines[i].Id, lines[i].Quantity, sum, parts)
		}
	}
}

// Units counts an order's units of each line by state; nil for what is no order.
func (a *Auditor) Units(ref messages.Ref) []*messages.UnitCounts {
	s := a.subjects[ref]
	if s == nil {
		return nil
	}
	m, ok := s.core.Machine().(interface {
		Units(dst []*messages.UnitCounts) []*messages.UnitCounts
	})
	if !ok {
		return nil
	}
	return m.Units(nil)
}

func linesOf(core *entity.Core) []*messages.OrderLine {
	m, ok := core.Machine().(interface{ Lines() []*messages.OrderLine })
	if !ok {
		return nil
	}
	return m.Lines()
}

func orderView(core *entity.Core) *messages.OrderView {
	v, ok := core.Machine().(interface{ View() *messages.OrderView })
	if !ok {
		return nil
	}
	return v.View()
}

// Order shows an order as the history leaves it; nil when there is none.
func (a *Auditor) Order(id string) *messages.OrderView {
	if s := a.subjects[messages.OrderRef(id)]; s != nil {
		return orderView(s.core)
	}
	return nil
}

// Row is an order's row in a list, as the history makes it; nil when there is none.
func (a *Auditor) Row(id string) *messages.OrderSummary {
	s := a.subjects[messages.OrderRef(id)]
	if s == nil {
		return nil
	}
	row, _ := s.core.Machine().Summary().(*messages.OrderSummary)
	return row
}

// Entities counts what the history holds.
func (a *Auditor) Entities() int { return len(a.subjects) }

// Has says whether the history holds the entity.
func (a *Auditor) Has(ref messages.Ref) bool {
	s := a.subjects[ref]
	return s != nil && s.core.Version() > 0
}

// grants notes what was granted, for who asked to know.
func (a *Auditor) grants(events []messages.Event) {
	if a.Granted == nil {
		return
	}
	for _, e := range events {
		if e, ok := e.(*messages.StockReserved); ok {
			a.Granted[e.ReservationId] = true
		}
	}
}
