package cluster

import (
	"slices"
	"time"

	"orderyard/messages"
	"orderyard/persistence"
)

// ActionKind is a thing a steward wants done.
type ActionKind uint8

const (
	_           ActionKind = iota
	ActClaim               // write the record: it is mine
	ActOffer               // write the record: To shall have it, and reads it back while I serve
	ActTakeBack            // write the record: it stays mine, the offer came to nothing
	ActRelease             // write the record: I have stopped, To may claim it
	ActKeep                // write the record again: it is mine still
	ActTellWarm            // tell the owner, To, that the partition is read back here
	ActWarm                // the host's
	ActOpen
	ActClose
	ActDrop
)

func (k ActionKind) String() string {
	return [...]string{"none", "claim", "offer", "take back", "release", "keep", "tell warm", "warm", "open", "close", "drop"}[k]
}

// Writes says whether the action is a change of the record.
func (k ActionKind) Writes() bool { return k >= ActClaim && k <= ActKeep }

// Action is one thing to do. Doing it too late or twice does no harm: records change by compare-and-set with Revision, and hosts
// and owners ignore what no longer fits.
type Action struct {
	Kind      ActionKind
	Partition int
	To        string                   // incarnation: of an offer, a release or a tell
	Revision  uint64                   // of the record it was decided on
	Record    *messages.PartitionOwner // to be written; without time
	Mark      persistence.Mark         // to open with
	Late      bool                     // taken back because the next owner took too long
}

// Spot is what a node knows of one partition besides its record.
type Spot struct {
	Phase     Phase            // of the host
	Mark      persistence.Mark // of the host: the place when closed, the term always
	Since     time.Duration    // when the record's present revision was first seen
	WarmAt    uint64           // the revision at which the next owner said it is warm
	Busy      ActionKind       // the change of the record that is under way; 0 = none
	Sure      bool             // this process has written the record since its lease last broke
	Rest      time.Duration    // not offered before this moment
	Last      ActionKind       // what was last asked of the host or told,
	LastAt    time.Duration    // when,
	LastAbout uint64           // at which revision
	LastIn    Phase            // and in which phase
}

// View is all that a steward decides on.
type View struct {
	Now       time.Duration // of the same clock as the other moments
	Map       *Map
	Dead      map[string]bool // processes proven dead
	Spots     []Spot          // one per partition
	Draining  bool
	ReleaseAt time.Duration // when draining: from then on without a warm successor

	MovesMax   int
	WarmWithin time.Duration
}

// Decide says what this node should do now. It changes nothing and remembers nothing; when its view is stale the worst is a write that fails. The
// rules, for a partition whose record says
//
//   - nobody, released, or a dead owner: whom placement names claims it; after a release only the named next one, for a while.
//   - this node: it is open here. When the journal knows a later claim than the record it is claimed anew first, which fails if the record is
//     another by now; and written once more after the lease broke, before reads are answered here. When placement names another member it is offered, and that one reads it back; when that one is warm
//     it is closed here, then released to it. An offer ends when its receiver goes away or takes too long.
//   - offered to this node: it is read back, and the owner is told.
//   - anything else: nothing of it stays here.
//
// A draining node is named for nothing, so the same rules empty it. It releases without a successor when its time is over, or when nobody is left
// who could come.
func Decide(v *View) []Action {
	d := decision{View: v, self: v.Map.Self, able: make(map[string]bool, len(v.Map.Members))}
	d.place()
	for p := range v.Map.Owners {
		o := v.Map.Owners[p]
		switch {
		case d.free(o):
			d.unowned(p)
		case o.Incarnation == d.self:
			d.mine(p)
		case o.Phase == messages.OwnerPhase_OWNER_MOVING && o.Next == d.self && d.able[d.self]:
			d.follow(p)
		default:
			d.drop(p)
		}
	}
	return d.actions
}

type decision struct {
	*View
	self    string
	shares  []Share
	able    map[string]bool // members that may own
	hope    bool            // another member may yet be able to
	placed  []string
	moves   int // offers that stand
	actions []Action
}

// place asks for the placement, from where every partition is or is going.
func (d *decision) place() {
	for _, m := range d.Map.Members {
		if d.Dead[m.Incarnation] || m.Weight == 0 || m.Draining {
			continue
		}
		if m.Ready {
			d.able[m.Incarnation] = true
			d.shares = append(d.shares, Share{Incarnation: m.Incarnation, Weight: int(min(m.Weight, WeightMax))})
		} else if m.Incarnation != d.self {
			d.hope = true
		}
	}
	holders := make([]string, len(d.Map.Owners))
	for p, o := range d.Map.Owners {
		if o.PartitionOwner == nil {
			continue
		}
		owns := o.Phase == messages.OwnerPhase_OWNER_OWNED || o.Phase == messages.OwnerPhase_OWNER_MOVING
		switch {
		case o.Next != "" && d.able[o.Next]:
			holders[p] = o.Next
		case owns && d.able[o.Incarnation]:
			holders[p] = o.Incarnation
		}
		if o.Incarnation == d.self && (o.Phase == messages.OwnerPhase_OWNER_MOVING || owns && d.Spots[p].Busy == ActOffer) {
			d.moves++
		}
	}
	d.placed = Place(d.shares, holders)
}

// free says whether nobody holds the partition any more.
func (d *decision) free(o OwnerAt) bool {
	if o.PartitionOwner == nil {
		return true
	}
	owns := o.Phase == messages.OwnerPhase_OWNER_OWNED || o.Phase == messages.OwnerPhase_OWNER_MOVING
	return !owns || d.Dead[o.Incarnation]
}

func (d *decision) unowned(p int) {
	o, s := d.Map.Owners[p], &d.Spots[p]
	following := o.PartitionOwner != nil && o.Next == d.self && d.able[d.self]
	claims := d.claimant(p) == d.self
	if s.Phase >= PhaseOpening || s.Phase != PhaseIdle && !following && !claims {
		d.drop(p)
	}
	if claims {
		d.claim(p)
	}
}

// claimant names the one who may claim a partition that nobody holds. One who was named by a release and lets it pass is passed over for the
// one the partition hashes highest with, which is the same on every node.
func (d *decision) claimant(p int) string {
	o := d.Map.Owners[p]
	if o.PartitionOwner == nil || o.Phase != messages.OwnerPhase_OWNER_RELEASED || !d.able[o.Next] {
		return d.placed[p]
	}
	if d.Now-d.Spots[p].Since < releasedFor {
		return o.Next
	}
	if d.placed[p] != o.Next {
		return d.placed[p]
	}
	if s := highest(seatsOf(d.shares), p, func(s *seat) bool { return s.incarnation != o.Next }); s != nil {
		return s.incarnation
	}
	return o.Next
}

func (d *decision) mine(p int) {
	o, s, target := d.Map.Owners[p], &d.Spots[p], d.placed[p]
	open := s.Phase == PhaseOpening || s.Phase == PhaseServing
	mustGo := d.Draining && (d.Now >= d.ReleaseAt || target == "" && !d.hope)
	switch {
	case s.Phase == PhaseClosing:
		return
	case s.Phase == PhaseClosed:
		d.closed(p)
		return
	case mustGo && open:
		d.ask(p, ActClose)
		return
	case !open && (mustGo || d.Draining && target != ""):
		d.write(p, ActRelease, messages.OwnerPhase_OWNER_RELEASED, target, markOf(o)) // nothing of it was opened yet
		return
	case !open && s.Mark.Term > o.Term:
		d.claim(p)
		return
	case !open:
		d.ask(p, ActOpen)
	}
	if !s.Sure { // whoever has taken this process for dead, and is about to claim, finds another record than it decided on
		d.write(p, ActKeep, o.Phase, o.Next, markOf(o))
		return
	}
	if o.Phase == messages.OwnerPhase_OWNER_MOVING {
		d.moving(p)
		return
	}
	if target != "" && target != d.self && d.moves < d.MovesMax && d.Now >= s.Rest {
		if d.write(p, ActOffer, messages.OwnerPhase_OWNER_MOVING, target, markOf(o)) {
			d.moves++
		}
	}
}

// moving looks after a partition of this node that is offered.
func (d *decision) moving(p int) {
	o, s, target := d.Map.Owners[p], &d.Spots[p], d.placed[p]
	switch {
	case target == "" || target == d.self:
		d.write(p, ActTakeBack, messages.OwnerPhase_OWNER_OWNED, "", markOf(o))
	case target != o.Next:
		d.write(p, ActOffer, messages.OwnerPhase_OWNER_MOVING, target, markOf(o))
	case s.WarmAt == o.Revision:
		if s.Phase == PhaseOpening || s.Phase == PhaseServing {
			d.ask(p, ActClose)
		}
	case d.Now-s.Since > d.WarmWithin:
		if d.write(p, ActTakeBack, messages.OwnerPhase_OWNER_OWNED, "", markOf(o)) {
			d.actions[len(d.actions)-1].Late = true
		}
	}
}

// closed gives a partition away that has stopped here, or opens it again when nobody wants it any more.
func (d *decision) closed(p int) {
	o, target := d.Map.Owners[p], d.placed[p]
	mark := markOf(o)
	if m := d.Spots[p].Mark; m.Position >= mark.Position {
		mark.Position, mark.Number = m.Position, m.Number
	}
	switch {
	case o.Next != "" && d.able[o.Next]:
		d.write(p, ActRelease, messages.OwnerPhase_OWNER_RELEASED, o.Next, mark)
	case target != d.self:
		d.write(p, ActRelease, messages.OwnerPhase_OWNER_RELEASED, target, mark)
	case o.Phase == messages.OwnerPhase_OWNER_MOVING:
		d.write(p, ActTakeBack, messages.OwnerPhase_OWNER_OWNED, "", mark)
	default:
		d.drop(p) // then it is idle, and opened
	}
}

// follow reads back what was offered to this node.
func (d *decision) follow(p int) {
	switch d.Spots[p].Phase {
	case PhaseIdle:
		d.ask(p, ActWarm)
	case PhaseWarming:
	case PhaseWarm:
		d.ask(p, ActTellWarm)
	default: // of an ownership that is over
		d.drop(p)
	}
}

func (d *decision) drop(p int) {
	if d.Spots[p].Phase != PhaseIdle {
		d.ask(p, ActDrop)
	}
}

// ask wants something of the host or of the owner, not twice in a row without a pause: a host takes a moment to begin, and what it
// begins may fail at once, each time.
func (d *decision) ask(p int, kind ActionKind) {
	o, s := d.Map.Owners[p], &d.Spots[p]
	if s.Last == kind && s.LastAbout == o.Revision && s.LastIn == s.Phase && d.Now-s.LastAt < againAfter {
		return
	}
	a := Action{Kind: kind, Partition: p, Revision: o.Revision}
	switch kind {
	case ActOpen:
		a.Mark = markOf(o)
	case ActTellWarm:
		a.To = o.Incarnation
	}
	d.actions = append(d.actions, a)
}

// claim makes a partition this node's, under a term that no journal has seen.
func (d *decision) claim(p int) {
	mark := markOf(d.Map.Owners[p])
	mark.Term = max(mark.Term, d.Spots[p].Mark.Term) + 1
	d.write(p, ActClaim, messages.OwnerPhase_OWNER_OWNED, "", mark)
}

// write wants a change of the record; one at a time.
func (d *decision) write(p int, kind ActionKind, phase messages.OwnerPhase, next string, mark persistence.Mark) bool {
	if d.Spots[p].Busy != 0 {
		return false
	}
	d.actions = append(d.actions, Action{
		Kind: kind, Partition: p, To: next, Revision: d.Map.Owners[p].Revision,
		Record: &messages.PartitionOwner{
			Node: d.node(), Incarnation: d.self, Phase: phase, Next: next, Position: mark.Position, Number: mark.Number, Term: mark.Term,
		},
	})
	return true
}

func (d *decision) node() string {
	i := slices.IndexFunc(d.Map.Members, func(m *messages.NodeSession) bool { return m.Incarnation == d.self })
	if i < 0 {
		return ""
	}
	return d.Map.Members[i].Node
}

// markOf is where the journal had got to when a partition was last released, and the term of the claim that stands.
func markOf(o OwnerAt) persistence.Mark {
	if o.PartitionOwner == nil {
		return persistence.Mark{}
	}
	return persistence.Mark{Position: o.Position, Number: o.Number, Term: o.Term}
}
