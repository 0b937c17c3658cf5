package cluster_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"orderyard/cluster"
	"orderyard/messages"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func three(y *yard) (a, b, c *node) {
	a = y.join("a")
	eventually(y.t, "one serves everything", func() bool { return balanced(a) })
	began := time.Now()
	b, c = y.join("b"), y.join("c")
	eventually(y.t, "three serve in equal parts", func() bool { return balanced(a, b, c) })
	y.t.Logf("one to three in %s", time.Since(began))
	return a, b, c
}

// settle waits until everybody has been known long enough to be proven dead.
func settle() { time.Sleep(1100 * time.Millisecond) }

func (y *yard) logged(words string) int {
	y.log.mu.Lock()
	defer y.log.mu.Unlock()
	n := 0
	for _, line := range y.log.lines {
		if strings.Contains(line, words) {
			n++
		}
	}
	return n
}

// Proves that nodes which join share the partitions, and that those of one that was killed are claimed by all others within a moment of one's
// suspicion: nobody answers under its name, twice.
func TestKill(t *testing.T) {
	y := newYard(t)
	defer func() {
		if t.Failed() {
			y.dump()
		}
	}()
	a, b, c := three(y)
	settle()
	c.kill()
	began := time.Now()
	a.Suspect("c") // and tells b
	claimed := eventually(t, "its records are claimed", func() bool {
		for _, o := range a.Map().Owners {
			if o.Incarnation == "c" {
				return false
			}
		}
		return true
	})
	eventually(t, "two serve in equal parts", func() bool { return balanced(a, b) })
	t.Logf("claimed %s after the suspicion, served after %s", claimed, time.Since(began))
	if y.logged("member proven dead") != 2 {
		t.Error("not both logged it")
	}
	for _, d := range a.Status().Dead {
		t.Logf("%s: %s", d.Node, d.Why)
	}
}

// Proves that a death nobody suspects is found out all the same, soon after the session has lapsed.
func TestKillUnnoticed(t *testing.T) {
	y := newYard(t)
	a, b, c := three(y)
	c.kill()
	took := eventually(t, "two serve in equal parts", func() bool { return balanced(a, b) })
	t.Logf("found out after %s, the TTL is %s", took, testTTL)
	if took < testTTL/2 || took > testTTL+2*time.Second {
		t.Errorf("took %s", took)
	}
}

// Proves that a node which crashed and starts again at once is not kept waiting until its former session has lapsed.
func TestStartsAgain(t *testing.T) {
	y := newYard(t)
	a, b, c := three(y)
	settle()
	c.kill()
	began := time.Now()
	again := y.join("c2", func(o *cluster.Options) { o.Session.Node = "node-c" })
	eventually(t, "three serve in equal parts", func() bool { return balanced(a, b, again) })
	t.Logf("in place after %s", time.Since(began))
	if took := time.Since(began); took > testTTL*2/3 {
		t.Errorf("took %s", took)
	}
}

// Proves that one who is suspected and answers is left alone.
func TestSuspectLives(t *testing.T) {
	y := newYard(t)
	a, b, c := three(y)
	settle()
	for range 20 {
		a.Suspect("b")
		a.Suspect("c")
		a.Suspect("nobody")
		time.Sleep(10 * time.Millisecond)
	}
	if !balanced(a, b, c) || y.logged("member proven dead") > 0 {
		t.Error("somebody was declared dead")
	}
}

// Proves that a draining node gives everything away, each partition warm, that nobody is left without an owner, and that it leaves
// without being looked for.
func TestDrain(t *testing.T) {
	y := newYard(t)
	defer func() {
		if t.Failed() {
			y.dump()
		}
	}()
	a := y.join("a")
	eventually(t, "one serves everything", func() bool { return balanced(a) })
	b := y.join("b", func(o *cluster.Options) { o.Session.Ready = false })
	ctx, cancel := context.WithTimeout(t.Context(), soon)
	defer cancel()
	began := time.Now()
	time.AfterFunc(50*time.Millisecond, func() { b.SetReady(true) }) // the draining one waits for it
	eventually(t, "they know each other", func() bool { return len(a.Map().Members) == 2 })
	y.must(a.Drain(ctx))
	t.Logf("drained of %d partitions in %s", testPartitions, time.Since(began))
	if n := a.serving(); n > 0 {
		t.Errorf("%d are still served", n)
	}
	y.must(a.Drain(ctx)) // is over
	y.must(a.Stop(ctx))
	y.must(a.Stop(ctx))
	a.bus.Close()
	eventually(t, "the other serves everything", func() bool { return balanced(b) })
	for p, o := range b.Map().Owners {
		if o.Position != uint64(100+p) {
			t.Errorf("partition %d lost its mark: %v", p, o)
		}
	}
	if y.logged("member proven dead") > 0 || y.logged("member left") == 0 {
		t.Error("it did not leave")
	}
	if a.Lease() {
		t.Error("it left, and has a lease")
	}
}

// Proves that a partition which its next owner cannot read back stays where it is and is served, that this does not stop for ever what else
// there is to move, and that a drain whose time is over hands it over cold.
func TestSuccessorTooSlow(t *testing.T) {
	y := newYard(t)
	hurry := func(o *cluster.Options) { o.WarmWithin, o.DrainWithin = 200*time.Millisecond, 300*time.Millisecond }
	a := y.join("a", hurry)
	eventually(t, "one serves everything", func() bool { return balanced(a) })
	b := y.join("b", hurry, func(o *cluster.Options) { o.Session.Ready = false })
	b.host.stuck = true
	b.SetReady(true)
	eventually(t, "every offer was taken back", func() bool { return y.logged("was not read back") >= testPartitions/2 })
	eventually(t, "nothing is offered", func() bool { return balanced(a) || len(a.Map().Members) == 2 && a.serving() == testPartitions })
	if b.serving() > 0 {
		t.Errorf("the slow one serves %d", b.serving())
	}
	ctx, cancel := context.WithTimeout(t.Context(), soon)
	defer cancel()
	y.must(a.Drain(ctx))
	eventually(t, "the slow one serves everything", func() bool { return b.serving() == testPartitions })
}

// Proves that a drain which is not given the time says so, and goes on.
func TestDrainInNoTime(t *testing.T) {
	y := newYard(t)
	a := y.join("a")
	eventually(t, "it serves everything", func() bool { return balanced(a) })
	b := y.join("b", func(o *cluster.Options) { o.Session.Ready = false })
	eventually(t, "they know each other", func() bool { return len(a.Map().Members) == 2 })
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := a.Drain(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("told %v", err)
	}
	eventually(t, "it gave everything away", func() bool { return a.host.count(cluster.PhaseIdle) == testPartitions })
	b.SetReady(true)
	eventually(t, "the other serves everything", func() bool { return b.serving() == testPartitions })
}

// Proves that the last node drains at once though nobody takes its place, and that the next one to come claims without waiting for anybody's
// death.
func TestDrainTheLast(t *testing.T) {
	y := newYard(t)
	a := y.join("a")
	eventually(t, "it serves everything", func() bool { return balanced(a) })
	ctx, cancel := context.WithTimeout(t.Context(), soon)
	defer cancel()
	began := time.Now()
	y.must(a.Drain(ctx))
	t.Logf("drained in %s", time.Since(began))
	y.must(a.Stop(ctx))
	a.bus.Close()
	began = time.Now()
	b := y.join("b")
	eventually(t, "the next serves everything", func() bool { return balanced(b) })
	t.Logf("taken up in %s", time.Since(began))
	if y.logged("member proven dead") > 0 {
		t.Error("somebody was looked for")
	}
}

// Proves that one who stops without draining is not waited for.
func TestStop(t *testing.T) {
	y := newYard(t)
	a, b, c := three(y)
	y.must(c.Stop(t.Context()))
	c.bus.Close()
	took := eventually(t, "two serve in equal parts", func() bool { return balanced(a, b) })
	t.Logf("taken over in %s", took)
	if took > testTTL {
		t.Errorf("took %s", took)
	}
	if n := c.host.count(cluster.PhaseIdle); n != testPartitions {
		t.Errorf("%d partitions stayed open", testPartitions-n)
	}
}

// Proves that a restart of NATS changes nothing: nobody is declared dead, every record is as it was, leases are back soon after.
func TestServerRestart(t *testing.T) {
	y := newYard(t)
	defer func() {
		if t.Failed() {
			y.dump()
		}
	}()
	a, b, c := three(y)
	settle()
	before := a.Map().Owners
	y.srv.Shutdown()
	for _, n := range []*node{a, b, c} {
		eventually(t, "no lease without NATS", func() bool { return !n.Lease() })
	}
	time.Sleep(testTTL * 3 / 2) // all sessions lapse
	y.startServer()
	began := time.Now()
	for _, n := range []*node{a, b, c} {
		eventually(t, "the lease is back", n.Lease)
	}
	t.Logf("leases are back after %s", time.Since(began))
	time.Sleep(2 * testTTL)
	for _, n := range []*node{a, b, c} {
		if len(n.Map().Members) != 3 || !n.Lease() {
			t.Errorf("%s sees %d members, lease %v", n.id, len(n.Map().Members), n.Lease())
		}
		for p, o := range n.Map().Owners {
			if !sameOwner(o, before[p]) {
				t.Errorf("partition %d: %v, was %v", p, o, before[p])
			}
		}
	}
	if y.logged("member proven dead") > 0 {
		t.Error("somebody was declared dead")
	}
	for p, o := range a.Map().Owners {
		for _, n := range []*node{a, b, c} {
			if n.Sure(p) != (n.id == o.Incarnation) {
				t.Errorf("partition %d of %s: %s is sure of it: %v", p, o.Incarnation, n.id, n.Sure(p))
			}
		}
	}
}

// Proves that a process which stood still past its TTL has lost its partitions when it goes on, drops them, has no lease before it knows
// that, and is a member again that gets its share.
func TestPause(t *testing.T) {
	y := newYard(t)
	defer func() {
		if t.Failed() {
			y.dump()
		}
	}()
	a, b, c := three(y)
	settle()
	c.host.pause()
	c.wire.hold()
	eventually(t, "two serve in equal parts", func() bool { return a.serving()+b.serving() == testPartitions && len(a.Map().Members) == 2 })
	if n := c.serving(); n < 10 {
		t.Fatalf("the paused one serves %d already", n)
	}
	if c.Lease() {
		t.Error("it stood still, and has a lease")
	}
	stop := make(chan struct{})
	wrong := make(chan string, 1)
	go func() { // from now on a lease must mean that the map is true
		for {
			select {
			case <-stop:
				return
			default:
			}
			if m := c.Map(); c.Lease() && m == c.Map() {
				for p, o := range m.Owners {
					if now := a.Map().Owners[p]; o.Incarnation == "c" && now.Incarnation != "c" && now.Revision > o.Revision && c.Map() == m {
						wrong <- o.String()
						return
					}
				}
			}
		}
	}()
	c.host.resume()
	c.wire.resume()
	eventually(t, "three serve in equal parts", func() bool { return balanced(a, b, c) })
	close(stop)
	select {
	case what := <-wrong:
		t.Errorf("it had a lease and a stale record: %s", what)
	default:
	}
	eventually(t, "it has a lease", c.Lease)
	eventually(t, "it logs that it lost partitions", func() bool { return y.logged("partitions were lost") == 1 })
	if y.logged("lives again") == 0 {
		t.Error("nobody logged that it lives again")
	}
}

// Proves that a process that cannot reach NATS loses its lease before the others claim what it had, by holding back its connection only.
func TestCut(t *testing.T) {
	y := newYard(t)
	a, b, c := three(y)
	settle()
	c.wire.hold()
	began := time.Now()
	lost := make(chan time.Duration, 1)
	go func() {
		for c.Lease() {
			time.Sleep(time.Millisecond)
		}
		lost <- time.Since(began)
	}()
	took := eventually(t, "somebody claims", func() bool {
		for _, o := range a.Map().Owners {
			if o.Incarnation == "c" {
				return false
			}
		}
		return true
	})
	select {
	case l := <-lost:
		t.Logf("the lease ended after %s, the others claimed within %s; the TTL is %s", l, took, testTTL)
	default:
		t.Errorf("it has a lease after %s", took)
	}
	c.wire.resume()
	eventually(t, "three serve in equal parts", func() bool { return balanced(a, b, c) })
}

// Proves that whoever wants to hear of maps hears the present one and, in the end, the newest; that a slow one holds nobody up; and what Status
// tells.
func TestOnChangeAndStatus(t *testing.T) {
	y := newYard(t)
	a := y.join("a")
	heard := make(chan *cluster.Map, 1000)
	gate := make(chan struct{})
	a.OnChange(func(m *cluster.Map) { heard <- m; <-gate })
	if first := <-heard; first == nil {
		t.Fatal("heard nothing")
	}
	b := y.join("b", func(o *cluster.Options) { o.Session.Weight = 0 })
	eventually(t, "it serves everything", func() bool {
		return a.serving() == testPartitions && len(a.Map().Members) == 2 && len(b.Map().Members) == 2
	})
	close(gate)
	eventually(t, "the newest is heard", func() bool { return len(heard) > 0 && newest(heard) == a.Map() })
	s := b.Status()
	if len(s.Members) != 2 || s.Members[0].Owned != testPartitions || s.Members[0].Self || !s.Members[1].Self || s.Members[1].Owned != 0 {
		t.Errorf("members: %+v", s.Members)
	}
	if !s.Connected || !s.Ready || s.Draining || len(s.Partitions) != testPartitions {
		t.Errorf("status: %+v", s)
	}
	if p := a.Status().Partitions[7]; p.Phase != cluster.PhaseServing || p.GetPhase() != messages.OwnerPhase_OWNER_OWNED {
		t.Errorf("partition: %+v", p)
	}
	if m := a.Map(); m.Owner(3) == nil || m.Owner(3).Node != "node-a" || m.Member("x") != nil {
		t.Error("the map does not know the owner")
	}
}

func newest(heard chan *cluster.Map) (m *cluster.Map) {
	for len(heard) > 0 {
		m = <-heard
	}
	return m
}
