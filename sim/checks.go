package sim

import (
	"strconv"
	"strings"

	"github.com/cespare/xxhash/v2"

	"orderyard/actors"
	"orderyard/actors/entity"
	"orderyard/gateway/egress"
	"orderyard/messages"
	"orderyard/persistence"
)

// checks watch while the history grows: what clients are told against what is durable at that moment, and public events against the journal. What
// needs the whole is looked at in the end, see finish.go.
type checks struct {
	w        *world
	tr       *egress.Translation
	versions map[messages.Ref]uint64 // durable
	decided  map[decision]verdict    // commands in the journal
	floors   map[messages.Ref]uint64 // newest version that anybody was told
	events   []map[string]public     // public events by partition and id
	entered  []uint64                // by partition: the newest claim under which it was taken over
	hands    *hands
}

// public is a public event as the journal has it.
type public struct {
	position uint64
	content  uint64 // a hash
}

func contentOf(ev *egress.Event) uint64 {
	h := xxhash.New()
	for _, part := range [...]string{ev.Family, ev.Name, ev.Key} {
		_, _ = h.WriteString(part)
		_, _ = h.Write([]byte{0})
	}
	_, _ = h.Write(ev.Data)
	return h.Sum64()
}

// decision is a command at an entity.
type decision struct {
	ref messages.Ref
	id  string
}

// verdict is what became of it.
type verdict struct {
	reply   []byte
	version uint64 // that it led to
	at      int64
}

func newChecks(w *world) *checks {
	c := &checks{
		w: w, tr: egress.NewTranslation(), versions: map[messages.Ref]uint64{}, decided: map[decision]verdict{},
		floors: map[messages.Ref]uint64{}, entered: make([]uint64, w.o.Partitions), hands: newHands(w),
	}
	for range w.o.Partitions {
		c.events = append(c.events, map[string]public{})
	}
	return c
}

// stored takes a record as it becomes durable.
func (c *checks) stored(partition int, position uint64, record []byte) {
	h, payload, err := persistence.DecodeRecord(record)
	if err != nil {
		c.w.violate("I10", "", "partition %d position %d: %v", partition, position, err)
		return
	}
	if h.Kind == persistence.RecordTakeover {
		c.takenOver(partition, payload)
		return
	}
	commit, err := entity.DecodeCommit(payload)
	if err != nil {
		c.w.violate("I10", "", "partition %d position %d: %v", partition, position, err)
		return
	}
	for _, e := range commit.Entries {
		c.w.happened(e)
		c.hands.stored(e)
		version := e.Version + uint64(len(e.Events))
		ref, id := messages.Ref{Kind: messages.Kind(e.Kind), ID: e.Id}, c.w.knownID(e.CommandId)
		c.versions[ref] = version
		if id == "" {
			continue
		}
		if before, twice := c.decided[decision{ref, id}]; twice && (ref.Kind == messages.KindOrder || c.w.time()-before.at < actors.RememberForMs) {
			c.w.violate("I6", ref.String(), "command %q was decided twice", id)
		}
		c.decided[decision{ref, id}] = verdict{e.Reply, version, c.w.time()}
	}
	_ = c.tr.Commit(commit, func(ev egress.Event) error {
		c.events[partition][ev.ID] = public{position, contentOf(&ev)}
		return nil
	})
}

// takenOver takes a takeover as it becomes durable: nobody takes over on the strength of a claim that is older than one which was made use of.
func (c *checks) takenOver(partition int, payload []byte) {
	t, err := persistence.DecodeTakeover(payload)
	if err != nil {
		c.w.violate("I10", "", "partition %d: %v", partition, err)
		return
	}
	claim := t.Term
	if claim == 0 { // it does not say: then by its newest
		claim = c.w.registry.claims[partition][t.Incarnation]
	}
	if claim < c.entered[partition] {
		c.w.violate("ownership", "", "%s took partition %d over by its claim %d, another had by claim %d", t.Incarnation, partition, claim, c.entered[partition])
	}
	c.entered[partition] = max(c.entered[partition], claim)
}

// answered takes the final answer to a question.
func (c *checks) answered(q *asked, r *messages.Reply) {
	switch code := r.GetFailure().GetCode(); {
	case code == messages.CodeInternal, code == messages.CodeInvalid: // the load asks for nothing that makes no sense
		c.w.violate("answer", q.to.String(), "%T %q was answered %v", q.cmd, q.id, r.Failure)
	case code == messages.CodeNotFound && q.to.Kind != messages.KindBucket && q.floor > 0 && r.Failure.Field != "fulfillment_id":
		c.w.violate("I2", q.to.String(), "%T %q was answered %v, and was there before", q.cmd, q.id, r.Failure)
	}
	if r.GetFailure() == nil && q.id != "" {
		c.acknowledged(q, r)
	}
}

// acknowledged takes the yes to a command: what it tells is durable, and every later read shows it.
func (c *checks) acknowledged(q *asked, r *messages.Reply) {
	v, durable := c.decided[decision{q.to, q.id}]
	if _, place := q.cmd.(*messages.PlaceOrder); place {
		durable = c.hands.ordered[q.to.ID] != nil // under this id or another
	}
	if !durable {
		c.w.violate("I2", q.to.String(), "%T %s was acknowledged and is not in the journal", q.cmd, q.id)
	}
	told := versionOf(r)
	if told > c.versions[q.to] {
		c.w.violate("I2", q.to.String(), "%T %s was acknowledged at version %d, the journal has %d", q.cmd, q.id, told, c.versions[q.to])
	}
	c.floors[q.to] = max(c.floors[q.to], told, v.version)
}

// versionOf is the version of its entity that an answer tells; 0 = none.
func versionOf(r *messages.Reply) uint64 {
	return max(r.GetOrder().GetVersion(), r.GetStock().GetBucket().GetVersion(), r.GetSite().GetSite().GetVersion())
}

// read takes the answer to a read. floor is what somebody had been told when the read began.
func (c *checks) read(ref messages.Ref, floor uint64, r *messages.Reply) {
	version := versionOf(r)
	if r.GetFailure() != nil || version == 0 {
		return
	}
	c.w.result.Reads++
	switch {
	case version < floor:
		c.w.violate("linearizable", ref.String(), "a read was answered with version %d, %d had been acknowledged before it began", version, floor)
	case version > c.versions[ref]:
		c.w.violate("linearizable", ref.String(), "a read was answered with version %d, the journal has %d", version, c.versions[ref])
	}
	c.floors[ref] = max(c.floors[ref], version)
}

// published takes a public event as the stream does.
func (c *checks) published(partition int, id string, content uint64) {
	switch e, committed := c.events[partition][id]; {
	case !committed:
		c.w.violate("egress", id, "it was published before it was committed")
	case e.content != content:
		c.w.violate("egress", id, "it was published with another content than was committed")
	}
}

// stream looks at the whole stream: every committed event is in it, and those of one entity come for the first time in the order of their versions. A
// repeat may come at any time.
func (c *checks) stream() {
	s := c.w.stream
	first := map[string]int{}
	for i, id := range s.stored {
		if _, seen := first[id]; !seen {
			first[id] = i
		}
	}
	type told struct {
		id      string
		version uint64
	}
	for _, events := range c.events {
		byEntity := map[string][]told{}
		for _, id := range sortedKeys(events) {
			if _, ok := first[id]; !ok {
				c.w.violate("egress", id, "it was committed at position %d and never published", events[id].position)
				continue
			}
			entity, version := splitEvent(id)
			byEntity[entity] = append(byEntity[entity], told{id, version})
		}
		for _, entity := range sortedKeys(byEntity) {
			for _, a := range byEntity[entity] {
				for _, b := range byEntity[entity] {
					if a.version < b.version && first[a.id] > first[b.id] {
						c.w.violate("egress", a.id, "it was published behind %s", b.id)
					}
				}
			}
		}
	}
}

// splitEvent takes "<kind>/<id>/<version>[/more]" apart.
func splitEvent(id string) (entity string, version uint64) {
	parts := strings.Split(id, "/")
	for i := len(parts) - 1; i > 1; i-- {
		if v, err := strconv.ParseUint(parts[i], 10, 64); err == nil {
			return strings.Join(parts[:i], "/"), v
		}
	}
	return id, 0
}
