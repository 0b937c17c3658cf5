package cluster_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"orderyard/cluster"
	"orderyard/messages"
)

// world is a cluster of stewards around one simulated registry. Time, the network and the hosts move only when the test says so: views
// lag behind, writes stay under way, notices get lost.
type world struct {
	t       *rapid.T
	now     time.Duration
	last    uint64              // revision
	records [][]cluster.OwnerAt // every version of each partition's record
	nodes   []*modelNode
	claims  int
	journal []uint64        // term of each partition's last takeover
	lied    map[string]bool // once declared dead although it lived
	lost    bool            // records were lost since the last settling
}

type modelNode struct {
	id                                   string
	up, crashed, paused, ready, draining bool
	weight                               int
	releaseAt                            time.Duration
	sees                                 []int                            // index of the version known of each record
	members                              map[string]*messages.NodeSession // known
	dead                                 map[string]bool
	spots                                []cluster.Spot
	writes                               []cluster.Action
	tells                                []cluster.Action
	revisions                            []uint64
	opened                               []uint64 // term of the claim each partition was opened under
}

const modelPartitions = 8

func newWorld(t *rapid.T) *world {
	w := &world{t: t, now: time.Minute, records: make([][]cluster.OwnerAt, modelPartitions), journal: make([]uint64, modelPartitions), lied: map[string]bool{}}
	for p := range w.records {
		w.records[p] = []cluster.OwnerAt{{}}
	}
	return w
}

func (w *world) start(weight int) {
	n := &modelNode{
		id: fmt.Sprintf("n%d", len(w.nodes)), up: true, ready: true, weight: weight,
		sees: make([]int, modelPartitions), members: map[string]*messages.NodeSession{}, dead: map[string]bool{},
		spots: make([]cluster.Spot, modelPartitions), revisions: make([]uint64, modelPartitions), opened: make([]uint64, modelPartitions),
	}
	w.hear(n)
	w.nodes = append(w.nodes, n)
	w.meet(n)
	for _, other := range w.nodes {
		if other.crashed {
			n.dead[other.id] = true // it pings whom records name
		}
	}
}

func (n *modelNode) session() *messages.NodeSession {
	return &messages.NodeSession{Node: n.id, Incarnation: n.id, Weight: uint32(n.weight), Ready: n.ready, Draining: n.draining}
}

// meet brings a node's knowledge of the sessions up to date.
func (w *world) meet(n *modelNode) {
	for _, other := range w.nodes {
		if !other.crashed && !n.dead[other.id] {
			n.members[other.id] = other.session()
		}
	}
}

// hear brings a node's knowledge of the records up to date.
func (w *world) hear(n *modelNode) {
	for p := range n.sees {
		n.sees[p] = len(w.records[p]) - 1
	}
}

// prove lets a node find out that another is dead, which the paused look like, too.
func (w *world) prove(n *modelNode) {
	for _, other := range w.nodes {
		if other == n || n.dead[other.id] {
			continue
		}
		if other.paused {
			w.lied[other.id] = true
		}
		if other.crashed || other.paused {
			n.dead[other.id] = true
			delete(n.members, other.id)
		}
	}
}

func (w *world) truth(p int) cluster.OwnerAt { return w.records[p][len(w.records[p])-1] }

func (n *modelNode) view(w *world) *cluster.View {
	v := &cluster.View{
		Now: w.now, Dead: n.dead, Spots: n.spots, Draining: n.draining, ReleaseAt: n.releaseAt, MovesMax: 2, WarmWithin: 10 * time.Second,
		Map: &cluster.Map{Self: n.id},
	}
	for id, m := range n.members {
		if id != n.id {
			v.Map.Members = append(v.Map.Members, m)
		}
	}
	v.Map.Members = append(v.Map.Members, n.session())
	slices.SortFunc(v.Map.Members, func(a, b *messages.NodeSession) int {
		return slices.Compare([]byte(a.Incarnation), []byte(b.Incarnation))
	})
	for p, i := range n.sees {
		o := w.records[p][i]
		v.Map.Owners = append(v.Map.Owners, o)
		if s := &n.spots[p]; o.Revision != n.revisions[p] || s.Since == 0 {
			n.revisions[p], s.Since = o.Revision, w.now
		}
	}
	return v
}

// step lets one node decide once.
func (w *world) step(n *modelNode) {
	v := n.view(w)
	for _, a := range cluster.Decide(v) {
		s, o := &n.spots[a.Partition], v.Map.Owners[a.Partition]
		in := s.Phase
		switch {
		case a.Kind.Writes():
			if s.Busy != 0 || a.Revision != o.Revision {
				w.t.Fatalf("%s: %s %d while %s, revision %d of %d", n.id, a.Kind, a.Partition, s.Busy, a.Revision, o.Revision)
			}
			s.Busy = a.Kind
			n.writes = append(n.writes, a)
			continue
		case a.Kind == cluster.ActTellWarm:
			n.tells = append(n.tells, a)
		case a.Kind == cluster.ActWarm:
			s.Phase = cluster.PhaseWarming
		case a.Kind == cluster.ActOpen:
			if o.PartitionOwner == nil || o.Incarnation != n.id || o.Phase == messages.OwnerPhase_OWNER_RELEASED {
				w.t.Fatalf("%s opens %d, whose record says %v", n.id, a.Partition, o)
			}
			s.Phase, n.opened[a.Partition] = cluster.PhaseOpening, a.Mark.Term
		case a.Kind == cluster.ActClose:
			s.Phase = cluster.PhaseClosing
		case a.Kind == cluster.ActDrop:
			s.Phase = cluster.PhaseIdle
		}
		s.Last, s.LastAt, s.LastAbout, s.LastIn = a.Kind, w.now, a.Revision, in
	}
}

// write carries out a node's oldest write.
func (w *world) write(n *modelNode) {
	a := n.writes[0]
	n.writes = n.writes[1:]
	p := a.Partition
	if w.truth(p).Revision == a.Revision {
		w.last++
		w.records[p] = append(w.records[p], cluster.OwnerAt{PartitionOwner: a.Record, Revision: w.last})
		n.spots[p].Sure = a.Kind != cluster.ActRelease
		if a.Kind == cluster.ActClaim {
			w.claims++
		}
		if a.Late {
			n.spots[p].Rest = w.now + 30*time.Second
		}
	}
	n.spots[p].Busy = 0
	n.sees[p] = len(w.records[p]) - 1
}

func (w *world) tell(n *modelNode, lost bool) {
	a := n.tells[0]
	n.tells = n.tells[1:]
	for _, other := range w.nodes {
		if other.id == a.To && !other.crashed && !lost {
			other.spots[a.Partition].WarmAt = max(other.spots[a.Partition].WarmAt, a.Revision)
		}
	}
}

// work lets a host get on with one partition. One that serves is fenced when another took over; that is noticed at the next append.
func (w *world) work(n *modelNode, p int) {
	s := &n.spots[p]
	ours := n.opened[p]
	if s.Phase >= cluster.PhaseOpening && s.Phase <= cluster.PhaseClosing && ours < w.journal[p] {
		s.Mark.Term, s.Phase = ours+1, map[bool]cluster.Phase{true: cluster.PhaseClosed, false: cluster.PhaseIdle}[s.Phase == cluster.PhaseClosing]
		return
	}
	switch s.Phase {
	case cluster.PhaseWarming:
		s.Phase = cluster.PhaseWarm
	case cluster.PhaseOpening:
		s.Phase, w.journal[p] = cluster.PhaseServing, ours
	case cluster.PhaseClosing:
		s.Phase, s.Mark.Position = cluster.PhaseClosed, 1
	}
}

func (w *world) crash(n *modelNode) {
	n.crashed, n.up, n.paused = true, false, false
	n.writes, n.tells = nil, nil
	clear(n.spots)
}

// check: two processes hold a partition open at once only if one of them was taken for dead while it lived; then the fence decides.
func (w *world) check() {
	for p := range modelPartitions {
		open := []string{}
		if w.lost {
			break // the arbiter itself lied
		}
		for _, n := range w.nodes {
			if ph := n.spots[p].Phase; ph >= cluster.PhaseOpening && ph <= cluster.PhaseClosing && !w.lied[n.id] {
				open = append(open, n.id)
			}
		}
		if len(open) > 1 {
			w.t.Fatalf("partition %d is open on %v", p, open)
		}
	}
}

func (w *world) running() []*modelNode {
	return slices.DeleteFunc(slices.Clone(w.nodes), func(n *modelNode) bool { return n.crashed || n.paused })
}

// settle ends all change, brings everybody up to date and lets them work until nothing moves.
func (w *world) settle() {
	for _, n := range w.nodes {
		n.paused = false
		for len(n.writes) > 0 {
			w.write(n)
		}
	}
	var shares []cluster.Share
	able := map[string]bool{}
	for _, n := range w.running() {
		n.dead = map[string]bool{}
		for _, other := range w.nodes {
			if other.crashed {
				n.dead[other.id] = true
				delete(n.members, other.id)
			}
		}
		w.hear(n)
		w.meet(n)
		if n.ready && !n.draining {
			shares = append(shares, cluster.Share{Incarnation: n.id, Weight: n.weight})
			able[n.id] = n.weight > 0
		}
	}
	holders, needed := make([]string, modelPartitions), 0
	for p := range holders {
		if o := w.truth(p); o.PartitionOwner != nil {
			if able[o.Next] {
				holders[p] = o.Next
			} else if able[o.Incarnation] && o.Phase != messages.OwnerPhase_OWNER_RELEASED {
				holders[p] = o.Incarnation
			}
		}
	}
	placed := cluster.Place(shares, holders)
	for p, m := range placed {
		o := w.truth(p)
		owned := o.PartitionOwner != nil && o.Phase != messages.OwnerPhase_OWNER_RELEASED
		if m != "" && (!owned || o.Incarnation != m || o.Term <= w.journal[p]) {
			needed++
		}
		if o.PartitionOwner != nil && able[o.Next] && o.Next != m {
			needed++ // it may be past taking back
		}
	}
	w.claims = 0
	for range 800 {
		w.now += 100 * time.Millisecond
		for _, n := range w.running() {
			w.step(n)
			for p := range n.spots {
				w.work(n, p)
			}
			for len(n.writes) > 0 {
				w.write(n)
			}
			for len(n.tells) > 0 {
				w.tell(n, false)
			}
		}
		for _, n := range w.running() {
			w.hear(n)
		}
		w.lied, w.lost = map[string]bool{}, w.lost && w.behind() // everybody has seen everything
		w.check()
	}
	if w.claims > needed {
		w.t.Fatalf("%d claims, %d were needed", w.claims, needed)
	}
	w.settled(placed)
}

// behind says whether a record was lost whose partition nobody has claimed anew beyond the journal's term.
func (w *world) behind() bool {
	for p := range modelPartitions {
		if o := w.truth(p); o.PartitionOwner == nil || o.Term < w.journal[p] {
			return true
		}
	}
	return false
}

func (w *world) settled(placed []string) {
	for p, m := range placed {
		o := w.truth(p)
		if m != "" && (o.PartitionOwner == nil || o.Incarnation != m || o.Phase != messages.OwnerPhase_OWNER_OWNED) {
			w.t.Fatalf("partition %d should be of %s: %v", p, m, o)
		}
		for _, n := range w.running() {
			owns := o.PartitionOwner != nil && o.Incarnation == n.id && o.Phase != messages.OwnerPhase_OWNER_RELEASED
			if owns && n.draining {
				w.t.Fatalf("partition %d is still of %s, which drains: %v", p, n.id, o)
			}
			if phase := n.spots[p].Phase; owns && phase != cluster.PhaseServing || !owns && phase != cluster.PhaseIdle {
				w.t.Fatalf("partition %d is %s on %s: %v", p, phase, n.id, o)
			}
		}
	}
}

// pick draws one of the nodes that run and fit; do is left out when there is none.
func (w *world) pick(t *rapid.T, fits func(*modelNode) bool, do func(*modelNode)) {
	from := slices.DeleteFunc(slices.Clone(w.nodes), func(n *modelNode) bool { return n.crashed || !fits(n) })
	if len(from) > 0 {
		do(from[rapid.IntRange(0, len(from)-1).Draw(t, "node")])
	}
}

func (w *world) actions() map[string]func(*rapid.T) {
	runs := func(n *modelNode) bool { return !n.paused }
	notLast := func(n *modelNode) bool { return runs(n) && len(w.running()) > 1 }
	part := rapid.IntRange(0, modelPartitions-1)
	step := func(t *rapid.T) { w.pick(t, runs, w.step) }
	return map[string]func(*rapid.T){
		"step": step, "step2": step, "step3": step,
		"write": func(t *rapid.T) {
			w.pick(t, func(n *modelNode) bool { return runs(n) && len(n.writes) > 0 }, func(n *modelNode) {
				for range rapid.IntRange(1, len(n.writes)).Draw(t, "count") {
					w.write(n)
				}
			})
		},
		"tell": func(t *rapid.T) {
			w.pick(t, func(n *modelNode) bool { return runs(n) && len(n.tells) > 0 }, func(n *modelNode) {
				w.tell(n, rapid.IntRange(0, 3).Draw(t, "lost") == 0)
			})
		},
		"hear": func(t *rapid.T) {
			w.pick(t, runs, func(n *modelNode) {
				p := part.Draw(t, "partition")
				n.sees[p] = rapid.IntRange(n.sees[p], len(w.records[p])-1).Draw(t, "version")
			})
		},
		"hear all": func(t *rapid.T) {
			w.pick(t, runs, w.hear)
		},
		"meet":  func(t *rapid.T) { w.pick(t, runs, w.meet) },
		"prove": func(t *rapid.T) { w.pick(t, runs, w.prove) },
		"work":  func(t *rapid.T) { w.pick(t, runs, func(n *modelNode) { w.work(n, part.Draw(t, "partition")) }) },
		"work all": func(t *rapid.T) {
			w.pick(t, runs, func(n *modelNode) {
				for p := range n.spots {
					w.work(n, p)
				}
			})
		},
		"time": func(t *rapid.T) {
			w.now += time.Duration(rapid.SampledFrom([]int{10, 600, 2500, 11000}).Draw(t, "ms")) * time.Millisecond
		},
		"start": func(t *rapid.T) {
			if len(w.running()) < 4 && len(w.nodes) < 12 {
				w.start(rapid.IntRange(0, 2).Draw(t, "weight"))
			}
		},
		"lose a record": func(t *rapid.T) { // somebody removes the arbiter's bucket
			if rapid.IntRange(0, 9).Draw(t, "seldom") == 0 {
				p := part.Draw(t, "partition")
				w.last++
				w.records[p] = append(w.records[p], cluster.OwnerAt{Revision: w.last})
				w.lost = true
			}
		},
		"crash": func(t *rapid.T) { w.pick(t, notLast, w.crash) },
		"pause": func(t *rapid.T) {
			w.pick(t, notLast, func(n *modelNode) {
				n.paused = true
				for p := range n.spots {
					n.spots[p].Sure = false // when it wakes
				}
			})
		},
		"resume": func(t *rapid.T) {
			w.pick(t, func(n *modelNode) bool { return n.paused }, func(n *modelNode) {
				n.paused = false
				for _, other := range w.nodes {
					delete(other.dead, n.id)
				}
			})
		},
		"ready": func(t *rapid.T) { w.pick(t, runs, func(n *modelNode) { n.ready = !n.ready }) },
		"drain": func(t *rapid.T) {
			w.pick(t, func(n *modelNode) bool { return runs(n) && !n.draining }, func(n *modelNode) {
				n.draining, n.releaseAt = true, w.now+20*time.Second
			})
		},
		"": func(*rapid.T) { w.check() },
	}
}

// Proves by a model of the registry, the hosts and the network that stewards which decide on late and partial knowledge never open what is not
// theirs, never have a partition open twice unless a living one was taken for dead, and, once nothing changes any more,
// end with the balanced placement, everything serving, the drained empty, and no more changes of owner than were needed.
func TestStewardsConverge(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		w.start(1)
		t.Repeat(w.actions())
		w.settle()
	})
}
