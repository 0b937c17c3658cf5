package cluster

import (
	"cmp"
	"slices"
	"time"

	"orderyard/messages"
)

// roster is who lives, as far as this node can know. It is pure: the keeper tells it what it saw and carries out the pings it wants.
//
// A process lives while its session is there. It is proven dead, and its partitions may be claimed, when two pings a moment apart found nobody under
// its name, or when its session is gone and two pings were not answered. Not before this node has been connected, and
// has known the process, for a second: after the arbiter came back everybody is silent. One that took its own session away has
// left; that needs no proof. A dead process that renews its session and answers lives again.
//
// An ownership record is a sign of life, too, and outlives what is known of sessions, which comes another way and may be late. So both proofs must be
// newer than the newest record of that process: the pings were sent after it was seen, and the session was found gone at the arbiter itself after it was
// seen. Then a claim that replaces this very record can only succeed when its writer had no session after writing it, or has not renewed that it had.
//
// Who has proven a death tells the others, and they look at once. Their second of waiting is waived then: somebody else has waited it.
type roster struct {
	self        string // incarnation
	node        string
	grace       time.Duration
	peers       map[string]*peer
	named       map[string]bool // owners by the newest picture's records: these are not forgotten
	up          bool
	connections uint64
	upSince     time.Duration
	begun       bool          // has seen a picture before
	readAt      time.Duration // when the newest reading of everything at the arbiter itself began
	events      []rosterEvent // for the log; taken by the keeper
}

type peer struct {
	session  *messages.NodeSession // its last words; nil when only a record names it
	revision uint64
	state    SessionState
	known    time.Duration

	suspect string // why it is pinged; "" = it is not
	waived  bool   // another member has proven it dead
	pinging bool
	due     time.Duration // of the next ping
	missed  int           // pings in a row that were not answered,
	nobody  int           // of these in a row with "nobody there"
	last    time.Duration // when the last that counted was sent

	dead   string // why; "" = it lives
	diedAt time.Duration
	buried uint64 // the session's revision then

	wrote   uint64        // newest ownership record that it has written, as far as is known,
	wroteAt time.Duration // and when that was seen: what was found out before proves nothing
}

// rosterEvent is a thing an operator cares about.
type rosterEvent struct {
	kind        string // joined, left, dead, back
	incarnation string
	node        string
	reason      string
}

func newRoster(own *messages.NodeSession, grace time.Duration) *roster {
	return &roster{self: own.Incarnation, node: own.Node, grace: grace, readAt: -1, peers: make(map[string]*peer)}
}

// connection tells how the connection to the arbiter stands. A new one makes all earlier silence worthless.
func (r *roster) connection(count uint64, up bool, now time.Duration) (renewed bool) {
	renewed = up && (!r.up || count != r.connections)
	if renewed {
		r.upSince = now
	}
	if renewed || !up {
		for _, p := range r.peers {
			p.missed, p.nobody, p.waived = 0, 0, false
		}
	}
	r.up, r.connections = up, count
	return renewed
}

// see takes in the registry's picture.
func (r *roster) see(picture *Picture, now time.Duration) {
	r.named = make(map[string]bool)
	for _, o := range picture.Owners {
		if r.names(o) {
			r.named[o.Incarnation] = true
		}
	}
	for i := range picture.Sessions {
		if s := &picture.Sessions[i]; s.Incarnation != r.self {
			r.session(s, now)
		}
	}
	r.begun = true
	for _, o := range picture.Owners {
		if !r.names(o) {
			continue
		}
		r.hasWritten(o.Incarnation, o.Revision, now)
		if p := r.peer(o.Incarnation, now); p != nil && p.session == nil && p.dead == "" && p.suspect == "" {
			p.state = SessionLapsed
			r.doubt(p, "owns partitions without a session", now)
		}
	}
	for id, p := range r.peers {
		if now-p.diedAt > forgetAfter && r.over(id, p) {
			delete(r.peers, id)
		}
	}
}

// names says whether a record is the word of another process that owns something.
func (r *roster) names(o OwnerAt) bool {
	return o.PartitionOwner != nil && o.Incarnation != r.self && o.Phase != messages.OwnerPhase_OWNER_RELEASED
}

// over says whether a process is remembered only for people who ask what happened.
func (r *roster) over(id string, p *peer) bool {
	return p.dead != "" && p.state != SessionPresent && !r.named[id]
}

// hasWritten takes a record that names its owner for a word of that owner, for nobody else writes it. Whatever was found out before is worth nothing; a
// dead process that writes one was not dead when it did.
func (r *roster) hasWritten(id string, revision uint64, now time.Duration) {
	p := r.peer(id, now)
	if p == nil || revision <= p.wrote {
		return
	}
	p.wrote, p.wroteAt = revision, now
	p.missed, p.nobody, p.waived = 0, 0, false
	if p.dead == "" || p.state == SessionEnded {
		return
	}
	p.dead, p.known = "", now
	r.doubt(p, "it has written a record after it was proven dead", now)
	r.events = append(r.events, rosterEvent{"back", id, p.node(), p.suspect})
}

// peer finds a process or notes a new one; nil when there are too many that matter.
func (r *roster) peer(id string, now time.Duration) *peer {
	p := r.peers[id]
	if p == nil && (len(r.peers) < MembersMax || r.makeRoom()) {
		p = &peer{known: now}
		r.peers[id] = p
	}
	return p
}

// makeRoom forgets before its time the process that has been over for longest. A node that starts and fails all the time must not keep others from
// being noticed.
func (r *roster) makeRoom() bool {
	var oldest string
	for id, p := range r.peers {
		if r.over(id, p) && (oldest == "" || cmp.Or(cmp.Compare(p.diedAt, r.peers[oldest].diedAt), cmp.Compare(id, oldest)) < 0) {
			oldest = id
		}
	}
	delete(r.peers, oldest)
	return oldest != ""
}

func (r *roster) session(s *SessionAt, now time.Duration) {
	if s.State != SessionPresent && r.peers[s.Incarnation] == nil && (s.State == SessionLapsed || !r.named[s.Incarnation]) {
		return // it was gone before we came, or is forgotten here and not there. If a record names it, one that ended has left, any other is looked for
	}
	p := r.peer(s.Incarnation, now)
	if p == nil || s.Revision == p.revision && s.State == p.state {
		return
	}
	fresh := p.session == nil && s.Session != nil
	p.revision, p.state = s.Revision, s.State
	if s.Session != nil {
		p.session = s.Session
	}
	switch s.State {
	case SessionEnded:
		if p.dead == "" {
			r.bury(s.Incarnation, p, "left", now)
		}
	case SessionLapsed:
		if p.dead == "" {
			r.doubt(p, "its session lapsed", now)
		}
	case SessionPresent:
		switch {
		case p.dead != "" && s.Revision != p.buried:
			r.doubt(p, "it renews its session again", now)
		case fresh && p.dead == "":
			r.events = append(r.events, rosterEvent{"joined", s.Incarnation, s.Session.Node, ""})
			r.predecessors(p, now)
		}
	}
}

// predecessors looks for those whom a crash left behind: a session outlives its process by up to its TTL. So everybody who was here before us is
// asked whether he still is, and so is who has the node name of one that has just come.
func (r *roster) predecessors(came *peer, now time.Duration) {
	const again = "its node has started again"
	if !r.begun {
		r.doubt(came, "its session is older than this node's", now)
	}
	if came.session.Node == r.node {
		r.doubt(came, again, now)
	}
	for _, p := range r.peers {
		if p != came && p.dead == "" && p.session != nil && p.session.Node == came.session.Node {
			r.doubt(p, again, now)
		}
	}
}

// hint notes that somebody may be dead, or that another member has proven it. Who is not known, or suspected already, is pinged no more
// often for it.
func (r *roster) hint(id, why string, proven bool, now time.Duration) {
	if p := r.peers[id]; p != nil && p.dead == "" && id != r.self {
		r.doubt(p, why, now)
		p.waived = p.waived || proven
	}
}

// doubt has a process pinged, at once unless two pings are under way already.
func (r *roster) doubt(p *peer, why string, now time.Duration) {
	if p.missed == 0 {
		p.due = now
	}
	if p.suspect == "" {
		p.suspect = why
	}
}

// pingOrder is a ping that the roster wants, and how long to wait for it.
type pingOrder struct {
	incarnation string
	within      time.Duration
}

// pings gives the processes that are to be pinged now, and takes it for granted that they are.
func (r *roster) pings(now time.Duration) []pingOrder {
	if !r.up {
		return nil
	}
	running := 0
	var due []string
	for id, p := range r.peers {
		if p.pinging {
			running++
		} else if p.suspect != "" && now >= p.due {
			due = append(due, id)
		}
	}
	slices.SortFunc(due, func(a, b string) int { return cmp.Or(cmp.Compare(r.peers[a].due, r.peers[b].due), cmp.Compare(a, b)) })
	due = due[:min(len(due), max(pingsMax-running, 0))]
	orders := make([]pingOrder, len(due))
	for i, id := range due {
		p := r.peers[id]
		p.pinging = true
		orders[i] = pingOrder{id, pingWithin}
		if p.state == SessionPresent && p.missed < 2 {
			orders[i].within = pingFirst
		}
	}
	return orders
}

// pinged takes a ping's outcome: on which connection it was sent, and when.
func (r *roster) pinged(id string, found Liveness, connection uint64, sent, now time.Duration) {
	p := r.peers[id]
	if p == nil {
		return
	}
	p.pinging = false
	if p.suspect == "" {
		return // it left meanwhile
	}
	switch {
	case !r.up || connection != r.connections:
		p.due = now // our own break: it proves nothing
	case found != Alive && sent < p.wroteAt:
		p.due = now // it has lived since
	case found == Alive:
		r.answered(id, p, now)
	default:
		r.silent(id, p, found, sent, now)
	}
}

func (r *roster) answered(id string, p *peer, now time.Duration) {
	p.missed, p.nobody, p.waived = 0, 0, false
	if p.dead != "" && p.state == SessionPresent {
		p.dead = ""
		p.known = now
		r.events = append(r.events, rosterEvent{"back", id, p.node(), p.suspect})
	}
	if p.state == SessionPresent || p.dead != "" {
		p.suspect = ""
		return
	}
	p.due = now + pingLapsed // nobody would tell us when it ends
}

func (r *roster) silent(id string, p *peer, found Liveness, sent, now time.Duration) {
	if p.dead != "" {
		p.suspect = "" // it stays dead until it renews once more
		p.buried = p.revision
		return
	}
	if p.missed == 0 || sent-p.last >= pingApart {
		p.missed++
		p.last = sent
		if found == Gone {
			p.nobody++
		} else {
			p.nobody = 0
		}
	}
	waited := p.waived || now-r.upSince >= r.grace
	switch {
	case waited && p.nobody >= 2 && (p.waived || p.state != SessionPresent || now-p.known >= knownFor):
		r.bury(id, p, p.suspect+", and nobody is there", now)
		return
	case waited && p.state != SessionPresent && p.missed >= 2 && !r.unread(p):
		r.bury(id, p, p.suspect+", and it does not answer", now)
		return
	}
	if p.missed == 1 || p.nobody == 1 {
		p.due = max(now, sent+pingApart)
	} else {
		p.due = now + pingAgain
	}
}

// unread says whether nobody has looked at the arbiter itself since a process gave its newest word: then that its session is gone may be old news.
func (r *roster) unread(p *peer) bool { return p.wrote > 0 && r.readAt < p.wroteAt }

// asks says whether the arbiter is to be read: what it says of a session is about to prove a death.
func (r *roster) asks() bool {
	for _, p := range r.peers {
		if p.dead == "" && p.suspect != "" && p.state != SessionPresent && p.missed > 0 && r.unread(p) {
			return true
		}
	}
	return false
}

// read notes that everything was read at the arbiter: what the picture has now is as new as the arbiter was then.
func (r *roster) read(began time.Duration) { r.readAt = max(r.readAt, began) }

func (r *roster) bury(id string, p *peer, why string, now time.Duration) {
	kind := "dead"
	if p.state == SessionEnded {
		kind = "left"
	}
	p.dead, p.diedAt, p.buried, p.suspect = why, now, p.revision, ""
	p.missed, p.nobody, p.waived = 0, 0, false
	if kind == "dead" || p.session != nil { // else it left before we came
		r.events = append(r.events, rosterEvent{kind, id, p.node(), why})
	}
}

func (p *peer) node() string {
	if p.session == nil {
		return ""
	}
	return p.session.Node
}

// doubtful says whether somebody is being looked for: then time matters.
func (r *roster) doubtful() bool {
	for _, p := range r.peers {
		if p.suspect != "" && (p.pinging || p.missed > 0 || p.state == SessionPresent) {
			return true
		}
	}
	return false
}

// members gives who lives, by incarnation, with the caller's own session.
func (r *roster) members(own *messages.NodeSession) []*messages.NodeSession {
	found := []*messages.NodeSession{own}
	for _, p := range r.peers {
		if p.dead == "" && p.session != nil {
			found = append(found, p.session)
		}
	}
	slices.SortFunc(found, func(a, b *messages.NodeSession) int { return cmp.Compare(a.Incarnation, b.Incarnation) })
	return found
}

// dead gives who is proven dead or has left.
func (r *roster) dead() map[string]bool {
	found := make(map[string]bool)
	for id, p := range r.peers {
		if p.dead != "" {
			found[id] = true
		}
	}
	return found
}
