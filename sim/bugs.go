package sim

import (
	"fmt"
	"strings"

	"orderyard/actors/entity"
	"orderyard/messages"
)

// Faults that a node could have and must not. Each is planted in the scheduler's stand-in for a shell, or around a state machine, where the real
// one keeps the promise; a test shows that a few seeds are enough to find it. A checker that cannot fail is a defect.
const (
	bugNoFence      = "no fence"                    // the journal takes what a former owner writes
	bugEarlyReply   = "reply before commit"         // answers leave while their entry is still in memory
	bugNoDedup      = "command ids forgotten"       // a repeated command is decided again
	bugEternalHold  = "hold never expires"          // a bucket forgets that a hold has an end
	bugWallClock    = "wall clock in a decision"    // a machine looks at the clock instead of its argument
	bugLostRelease  = "release lost on cancel"      // a bucket says yes to a cancel and does nothing
	bugConfirmTwice = "confirmed twice"             // a confirmation that is repeated counts again
	bugViewDecides  = "view used instead of bucket" // a reservation is granted by what the node has heard
	bugLostThrottle = "throttle not replayed"       // a site that was read back has forgotten what it took
	bugEarlyEvents  = "events before commit"        // public events leave before their entry is durable
	bugNoTerm       = "term ignored on takeover"    // who takes over does not say under which claim
	bugHastyRest    = "bytes while a reply waits"   // an entity becomes bytes with something still to say
	bugLostEntry    = "entry left out"              // one entry of a batch never reaches the journal
	bugDeafTimer    = "timers never ring"           // nothing expires
	bugStaleRebirth = "asleep with the old state"   // an entity wakes up as it was at its first sleep
	bugNoLease      = "lease ignored"               // who is cut off goes on answering reads
	bugDeafSite     = "cancel lost at the site"     // a site says yes to a cancellation and goes on
	bugForgetful    = "refusals forgotten"          // a command that was refused may be granted when it is repeated
	bugGrudge       = "refused once, never again"   // an order that some site has refused never looks for another once it waits
)

// Bugs lists the faults that can be planted.
func Bugs() []string {
	return []string{
		bugNoFence, bugEarlyReply, bugNoDedup, bugEternalHold, bugWallClock, bugLostRelease, bugConfirmTwice, bugViewDecides, bugLostThrottle,
		bugEarlyEvents, bugNoTerm, bugHastyRest, bugLostEntry, bugDeafTimer, bugStaleRebirth, bugNoLease,
		bugDeafSite, bugForgetful, bugGrudge,
	}
}

func (w *world) has(bug string) bool { return w.o.Bug == bug }

// commandID is the id under which a command is decided. Of a planted bug it is one that nobody has seen, or none of a client's, and yet shows whose it
// was; knownID gives that one back.
func (w *world) commandID(id string) string {
	switch {
	case w.has(bugNoDedup) && id != "":
		w.seq++
		return fmt.Sprintf("%s#%d", id, w.seq)
	case w.has(bugForgetful) && strings.HasPrefix(id, messages.ClientKey):
		return nobodysKey + strings.TrimPrefix(id, messages.ClientKey)
	}
	return id
}

const nobodysKey = "nobody/"

func (w *world) knownID(id string) string {
	switch {
	case w.has(bugNoDedup):
		id, _, _ = strings.Cut(id, "#")
	case w.has(bugForgetful) && strings.HasPrefix(id, nobodysKey):
		return messages.ClientKey + strings.TrimPrefix(id, nobodysKey)
	}
	return id
}

// buggy is a state machine with a planted fault.
type buggy struct {
	entity.Machine
	n    *node
	kind messages.Kind
	id   string
}

// plant wraps a kind's machines when the bug is theirs.
func (w *world) plant(n *node, of messages.Kind, kind entity.Kind) entity.Kind {
	switch w.o.Bug {
	case bugEternalHold, bugLostRelease, bugConfirmTwice, bugViewDecides, bugWallClock:
		if of != messages.KindBucket {
			return kind
		}
	case bugGrudge:
		if of != messages.KindOrder {
			return kind
		}
	case bugDeafSite:
		if of != messages.KindSite {
			return kind
		}
	case bugLostThrottle:
		if of == messages.KindSite {
			load := kind.Load
			kind.Load = func(id string, state []byte) (entity.Machine, error) { return load(id, withoutCounts(state)) }
		}
		return kind
	default:
		return kind
	}
	create, load := kind.New, kind.Load
	kind.New = func(id string) entity.Machine { return &buggy{create(id), n, of, id} }
	kind.Load = func(id string, state []byte) (entity.Machine, error) {
		m, err := load(id, state)
		return &buggy{m, n, of, id}, err
	}
	return kind
}

// withoutCounts is a site's state that has forgotten what it took this hour and today.
func withoutCounts(state []byte) []byte {
	s := new(messages.SiteState)
	if s.UnmarshalVT(state) != nil {
		return state
	}
	s.Hours, s.Days = nil, nil
	b, err := s.MarshalVT()
	if err != nil {
		return state
	}
	return b
}

// Decide implements entity.Machine.
func (b *buggy) Decide(cmd messages.Command, now int64) ([]messages.Event, *messages.Reply, error) {
	bug := b.n.w.o.Bug
	if bug == bugWallClock {
		now = b.n.wall()
	}
	if bug == bugGrudge && b.resents(cmd) {
		return nil, nil, nil
	}
	events, reply, err := b.Machine.Decide(cmd, now)
	switch c := cmd.(type) {
	case *messages.CancelReservation:
		if bug == bugLostRelease {
			return nil, reply, err
		}
	case *messages.CancelFulfillment:
		if bug == bugDeafSite && reply.GetFulfillment().GetStatus() == messages.FulfillmentStatus_FULFILLMENT_STATUS_CANCELLED {
			return nil, reply, err
		}
	case *messages.ConfirmReservation:
		if bug == bugConfirmTwice && err == nil && len(events) == 0 && reply.GetFailure() == nil {
			return []messages.Event{&messages.ReservationConfirmed{ReservationId: c.ReservationId}}, reply, nil
		}
	case *messages.ReserveStock:
		if bug == bugViewDecides && err == nil && reply.GetFailure() != nil && b.viewHas(c.Quantity) {
			yes := &messages.StockReserved{
				ReservationId: c.ReservationId, Quantity: c.Quantity, ExpiresAtMs: now + max(c.HoldForMs, 1_000), OrderId: c.OrderId,
			}
			return []messages.Event{yes}, &messages.Reply{}, nil
		}
	}
	return events, reply, err
}

// Postpone implements entity.Postponer, where the machine does.
func (b *buggy) Postpone(task string, now int64) bool {
	p, ok := b.Machine.(entity.Postponer)
	return ok && p.Postpone(task, now)
}

// resents says that the order would look for stock now, and has been refused before.
func (b *buggy) resents(cmd messages.Command) bool {
	switch cmd.(type) {
	case *messages.StockArrived, *messages.OrderTimer:
		return len(b.Machine.Waits()) > 0 && len(viewOf(b.Machine).Exclusions) > 0
	}
	return false
}

// viewHas says what the node has heard of the bucket.
func (b *buggy) viewHas(quantity int64) bool {
	sku, site, _ := messages.SplitBucket(b.id)
	for _, s := range b.n.know.View().Stock(sku) {
		if s.Site == site {
			return s.ATP >= quantity
		}
	}
	return false
}

// Tasks implements entity.Machine.
func (b *buggy) Tasks(now int64, dst []messages.Task) []messages.Task {
	before := len(dst)
	dst = b.Machine.Tasks(now, dst)
	if b.n.w.o.Bug != bugEternalHold {
		return dst
	}
	kept := dst[:before]
	for _, t := range dst[before:] {
		if _, expiry := t.Command.(*messages.ExpireReservations); !expiry {
			kept = append(kept, t)
		}
	}
	return kept
}
