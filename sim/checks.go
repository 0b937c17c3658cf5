package sim

import (
	"strconv"
	"strings"

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
	versions map[messages.Ref]uint64 // durable, of buckets
	commands map[string]uint64       // of buckets: the version that a command's entry led to
	decided  map[decision]verdict    // commands in the journal
	floors   map[messages.Ref]uint64 // newest version of a bucket that anybody was told
	events   []map[string]uint64     // public events by partition: id → position
	entered  []uint64                // by partition: the newest claim under which it was taken over
	hands    *hands
}

// decision is a command at an entity.
type decision struct {
	ref messages.Ref
	id  string
}

// verdict is what became of it.
type verdict struct {
	reply []byte
	at    int64
}

func newChecks(w *world) *checks {
	c := &checks{
		w: w, tr: egress.NewTranslation(), versions: map[messages.Ref]uint64{}, commands: map[string]uint64{}, decided: map[decision]verdict{},
		floors: map[messages.Ref]uint64{}, entered: make([]uint64, w.o.Partitions), hands: newHands(w),
	}
	for range w.o.Partitions {
		c.events = append(c.events, map[string]uint64{})
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
		if ref.Kind == messages.KindBucket {
			c.versions[ref] = version
			c.commands[id] = version
		}
		if id == "" {
			continue
		}
		if before, twice := c.decided[decision{ref, id}]; twice && (ref.Kind == messages.KindOrder || c.w.time()-before.at < actors.RememberForMs) {
			c.w.violate("I6", ref.String(), "command %q was decided twice", id)
		}
		c.decided[decision{ref, id}] = verdict{e.Reply, c.w.time()}
	}
	_ = c.tr.Commit(commit, func(ev egress.Event) error {
		c.events[partition][ev.ID] = position
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

// acknowledged takes an answer that a client got to a command: it is durable, and every later read shows it.
func (c *checks) acknowledged(q *asked, r *messages.Reply) {
	if r.GetFailure() != nil || q.id == "" {
		return
	}
	switch cmd := q.cmd.(type) {
	case *messages.ReceiveStock, *messages.ReserveStock, *messages.PlaceOrder:
		if _, durable := c.decided[decision{q.to, q.id}]; !durable {
			c.w.violate("I2", q.to.String(), "%T %s was acknowledged and is not in the journal", cmd, q.id)
		}
	}
	if version, ok := c.commands[q.id]; ok && q.to.Kind == messages.KindBucket {
		c.floors[q.to] = max(c.floors[q.to], version)
	}
}

// read takes the answer to a read of a bucket. floor is what somebody had been told when the read began.
func (c *checks) read(ref messages.Ref, floor uint64, r *messages.Reply) {
	v := r.GetStock().GetBucket()
	if v == nil {
		return
	}
	c.w.result.Reads++
	switch {
	case v.Version < floor:
		c.w.violate("linearizable", ref.String(), "a read was answered with version %d, %d had been acknowledged before it began", v.Version, floor)
	case v.Version > c.versions[ref]:
		c.w.violate("linearizable", ref.String(), "a read was answered with version %d, the journal has %d", v.Version, c.versions[ref])
	}
	c.floors[ref] = max(c.floors[ref], v.Version)
}

// published takes a public event as the stream does.
func (c *checks) published(partition int, id string) {
	if _, committed := c.events[partition][id]; !committed {
		c.w.violate("egress", id, "it was published before it was committed")
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
				c.w.violate("egress", id, "it was committed at position %d and never published", events[id])
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
