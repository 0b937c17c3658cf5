package sim

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"google.golang.org/protobuf/proto"

	"orderyard/cluster"
	"orderyard/messages"
	"orderyard/persistence"
)

// registry is the arbiter: sessions that lapse and ownership records that only a compare-and-set changes, under one count of revisions.
type registry struct {
	w        *world
	revision uint64
	sessions map[string]*session
	owners   []cluster.OwnerAt
	claims   []map[string]uint64 // by partition: the newest term that a process has claimed under
}

type session struct {
	cluster.SessionAt
	expires int64
}

func newRegistry(w *world) *registry {
	r := &registry{w: w, sessions: map[string]*session{}, owners: make([]cluster.OwnerAt, w.o.Partitions)}
	for range w.o.Partitions {
		r.claims = append(r.claims, map[string]uint64{})
	}
	return r
}

// views gives those who listen.
func (r *registry) views(do func(*registryView)) {
	for _, n := range r.w.seats {
		if n != nil && !n.gone && n.view != nil {
			do(n.view)
		}
	}
}

func (r *registry) put(s *messages.NodeSession) {
	r.revision++
	one := r.sessions[s.Incarnation]
	if one == nil {
		one = &session{SessionAt: cluster.SessionAt{Incarnation: s.Incarnation}}
		r.sessions[s.Incarnation] = one
	}
	same := one.Session != nil && one.State == cluster.SessionPresent && one.Session.Ready == s.Ready && one.Session.Draining == s.Draining
	if !same {
		one.Session = proto.Clone(s).(*messages.NodeSession)
	}
	one.State, one.Revision = cluster.SessionPresent, r.revision
	ttl := cluster.TTLDefault.Milliseconds()
	one.expires = r.w.now + ttl
	r.w.after(ttl, func() { r.lapse(one) })
	at := one.SessionAt
	r.views(func(v *registryView) { v.hearSession(at, same) })
}

// lapse ends a session that was not renewed.
func (r *registry) lapse(one *session) {
	if one.State == cluster.SessionPresent && one.expires <= r.w.now {
		r.end(one, cluster.SessionLapsed)
	}
}

func (r *registry) end(one *session, how cluster.SessionState) {
	r.revision++
	one.State, one.Revision = how, r.revision
	at := one.SessionAt
	r.views(func(v *registryView) { v.hearSession(at, false) })
}

// set is the compare-and-set.
func (r *registry) set(partition int, record *messages.PartitionOwner, revision uint64) bool {
	if r.owners[partition].Revision != revision {
		return false
	}
	if old := r.owners[partition].PartitionOwner; old == nil || record.Term > old.Term {
		r.claims[partition][record.Incarnation] = record.Term
	}
	r.revision++
	r.owners[partition] = cluster.OwnerAt{PartitionOwner: record, Revision: r.revision}
	r.w.note("partition %d: %s of %s, next %q, term %d", partition, record.Phase, record.Incarnation, record.Next, record.Term)
	at := r.owners[partition]
	r.views(func(v *registryView) { v.hearOwner(partition, at) })
	return true
}

// registryView is the registry as one node knows it: later than the truth, and by connection. It implements cluster.Registry.
type registryView struct {
	n        *node
	sessions map[string]cluster.SessionAt
	owners   []cluster.OwnerAt
	fn       func()
	count    uint64
	up       bool
	lateTill int64 // news are late until then
}

func newRegistryView(n *node) *registryView {
	v := &registryView{n: n, sessions: map[string]cluster.SessionAt{}, owners: make([]cluster.OwnerAt, n.w.o.Partitions), count: 1, up: true}
	v.sync()
	return v
}

// lag is how late a change is heard.
func (v *registryView) lag() int64 {
	w := v.n.w
	late := w.between(1, 15)
	if w.strikes(faultMessages) && w.chance(3) {
		late = w.between(50, 1_500)
	}
	return max(late, v.lateTill-w.now)
}

// hearSession takes in a change. A renewal that says nothing new costs no event.
func (v *registryView) hearSession(at cluster.SessionAt, same bool) {
	switch {
	case v.n.cut: // it hears everything when it is back
	case same && !v.n.paused:
		v.noteSession(at)
	default:
		v.n.after(v.lag(), func() { v.noteSession(at); v.changed() })
	}
}

func (v *registryView) noteSession(at cluster.SessionAt) {
	known, ok := v.sessions[at.Incarnation]
	if ok && at.Revision <= known.Revision {
		return
	}
	if at.State == cluster.SessionLapsed && known.State == cluster.SessionEnded {
		at.State = cluster.SessionEnded
	}
	v.sessions[at.Incarnation] = at
}

func (v *registryView) hearOwner(partition int, at cluster.OwnerAt) {
	if !v.n.cut {
		v.n.after(v.lag(), func() { v.noteOwner(partition, at); v.changed() })
	}
}

func (v *registryView) noteOwner(partition int, at cluster.OwnerAt) {
	if at.Revision > v.owners[partition].Revision {
		v.owners[partition] = at
	}
}

func (v *registryView) changed() {
	if v.fn != nil {
		v.fn()
	}
}

// sync takes in everything as it is.
func (v *registryView) sync() {
	r := v.n.w.registry
	for _, one := range r.sessions {
		v.noteSession(one.SessionAt)
	}
	for p, at := range r.owners {
		v.noteOwner(p, at)
	}
	v.changed()
}

// lost and back are the connection's end and its successor.
func (v *registryView) lost() {
	v.up = false
	v.changed()
}

func (v *registryView) back() {
	if !v.up {
		v.count++
		v.up = true
	}
	v.sync()
}

// OnChange implements cluster.Registry.
func (v *registryView) OnChange(fn func()) { v.fn = fn }

// Picture implements cluster.Registry.
func (v *registryView) Picture() cluster.Picture {
	c := cluster.Picture{Sessions: make([]cluster.SessionAt, 0, len(v.sessions)), Owners: slices.Clone(v.owners)}
	for _, at := range v.sessions {
		c.Sessions = append(c.Sessions, at)
	}
	slices.SortFunc(c.Sessions, func(a, b cluster.SessionAt) int { return cmp.Compare(a.Incarnation, b.Incarnation) })
	return c
}

// Connection implements cluster.Registry.
func (v *registryView) Connection() (uint64, bool) { return v.count, v.up }

// write is the way of a change to the arbiter, whose disk is the journal's.
func (v *registryView) write(ms int64) error {
	if err := v.n.store.reach(ms); err != nil {
		return err
	}
	if v.n.w.full {
		return errFull
	}
	return nil
}

// Refresh implements cluster.Registry.
func (v *registryView) Refresh(context.Context) error {
	if err := v.n.store.reach(v.n.w.between(1, 5)); err != nil {
		return err
	}
	v.sync()
	return nil
}

// PutSession implements cluster.Registry. Its acknowledgement may be lost, as any.
func (v *registryView) PutSession(_ context.Context, s *messages.NodeSession) error {
	w := v.n.w
	if w.current == nil { // the first one, of Begin
		w.registry.put(s)
		return nil
	}
	if err := v.write(w.between(1, 5)); err != nil {
		return err
	}
	w.registry.put(s)
	return v.answered()
}

var errNoAnswer = errors.New("no answer in time")

// answered is the way back.
func (v *registryView) answered() error {
	w := v.n.w
	if w.strikes(faultMessages) && w.chance(1) {
		if !w.sleep(500) {
			return errGone
		}
		return errNoAnswer
	}
	if v.n.cut {
		return errCut
	}
	return nil
}

// EndSession implements cluster.Registry.
func (v *registryView) EndSession(_ context.Context, incarnation string) error {
	if err := v.write(1); err != nil {
		return err
	}
	if one := v.n.w.registry.sessions[incarnation]; one != nil {
		v.n.w.registry.end(one, cluster.SessionEnded)
	}
	return nil
}

// SetOwner implements cluster.Registry. On success and on conflict the view has the present record; without an answer it may have been set.
func (v *registryView) SetOwner(_ context.Context, partition int, owner *messages.PartitionOwner, revision uint64) error {
	w := v.n.w
	if err := v.write(w.between(1, 5)); err != nil {
		return err
	}
	owner.AtMs = 0 // for people; of this machine's clock, which no history may depend on
	ok := w.registry.set(partition, owner, revision)
	if err := v.answered(); err != nil {
		return err
	}
	v.noteOwner(partition, w.registry.owners[partition])
	v.changed()
	if !ok {
		return persistence.ErrConflict
	}
	return nil
}
