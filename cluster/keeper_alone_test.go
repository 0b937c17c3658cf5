package cluster

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"orderyard/messages"
	"orderyard/persistence"
)

// brittle is a registry in memory that fails when told to.
type brittle struct {
	mu     sync.Mutex
	fns    []func()
	owners []OwnerAt
	last   uint64

	noPut, noSet, noRefresh atomic.Bool
	sets, puts              atomic.Int64
}

var errBrittle = errors.New("broken on purpose")

func (b *brittle) OnChange(fn func()) { b.fns = append(b.fns, fn) }

func (b *brittle) Picture() Picture {
	b.mu.Lock()
	defer b.mu.Unlock()
	return Picture{Owners: append([]OwnerAt(nil), b.owners...)}
}

func (b *brittle) Connection() (uint64, bool)               { return 1, true }
func (b *brittle) EndSession(context.Context, string) error { return nil }
func (b *brittle) Refresh(context.Context) error            { return failing(&b.noRefresh) }
func (b *brittle) PutSession(context.Context, *messages.NodeSession) error {
	b.puts.Add(1)
	return failing(&b.noPut)
}

func failing(flag *atomic.Bool) error {
	if flag.Load() {
		return errBrittle
	}
	return nil
}

func (b *brittle) SetOwner(_ context.Context, p int, o *messages.PartitionOwner, revision uint64) error {
	b.sets.Add(1)
	if b.noSet.Load() {
		return errBrittle
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.owners[p].Revision != revision {
		return persistence.ErrConflict
	}
	b.last++
	b.owners[p] = OwnerAt{PartitionOwner: o, Revision: b.last}
	return nil
}

// deaf is a bus nobody is on.
type deaf struct{}

func (deaf) Ping(context.Context, string) Liveness { return Gone }
func (deaf) Ask(context.Context, string, string, []byte, func([]byte) error) error {
	return errBrittle
}
func (deaf) Serve(string, func(context.Context, []byte, func([]byte) error) error) error { return nil }

// prompt is a host that is done at once.
type prompt struct{ phases []atomic.Uint32 }

func (h *prompt) Warm(p int)                     { h.phases[p].Store(uint32(PhaseWarm)) }
func (h *prompt) Open(p int, _ persistence.Mark) { h.phases[p].Store(uint32(PhaseServing)) }
func (h *prompt) Close(p int)                    { h.phases[p].Store(uint32(PhaseClosed)) }
func (h *prompt) Drop(p int)                     { h.phases[p].Store(uint32(PhaseIdle)) }
func (h *prompt) Local(p int) (Phase, persistence.Mark) {
	return Phase(h.phases[p].Load()), persistence.Mark{}
}

func (h *prompt) serving() (n int) {
	for p := range h.phases {
		if phase, _ := h.Local(p); phase == PhaseServing {
			n++
		}
	}
	return n
}

const alonePartitions = 4

func alone(t *testing.T, change ...func(*Options)) (*Keeper, *brittle, *prompt) {
	t.Helper()
	reg := &brittle{owners: make([]OwnerAt, alonePartitions)}
	host := &prompt{phases: make([]atomic.Uint32, alonePartitions)}
	o := Options{
		Session:  &messages.NodeSession{Node: "n", Incarnation: "me", Weight: 1, Ready: true},
		Registry: reg, Bus: deaf{}, Host: host, Partitions: alonePartitions, TTL: TTLMin,
	}
	for _, c := range change {
		c(&o)
	}
	k, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := k.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = k.Stop(context.Background()) })
	return k, reg, host
}

func await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: never", what)
		}
	}
}

// Proves that records which cannot be written are tried again, not in a frenzy, and claimed once they can be.
func TestWritesFail(t *testing.T) {
	k, reg, host := alone(t, func(o *Options) { o.Session.Ready = false })
	reg.noSet.Store(true)
	k.SetReady(true)
	began := time.Now()
	await(t, "each was tried three times", func() bool { return reg.sets.Load() >= 3*alonePartitions })
	if took := time.Since(began); took < 2*againAfter*9/10 {
		t.Errorf("%d tries in %s", reg.sets.Load(), took)
	}
	reg.noSet.Store(false)
	await(t, "everything is served", func() bool { return host.serving() == alonePartitions })
}

// Proves that the lease ends when renewals fail, that it does not come back before the records could be read afresh, and that an answer to a
// renewal sent long ago does not prolong it.
func TestLease(t *testing.T) {
	var ahead atomic.Int64
	began := time.Now()
	k, reg, _ := alone(t, func(o *Options) {
		o.Clock = func() time.Duration { return time.Since(began) + time.Duration(ahead.Load()) }
	})
	await(t, "there is a lease", k.Lease)
	reg.noPut.Store(true)
	await(t, "it ends", func() bool { return !k.Lease() })
	if !k.Status().Connected || k.Status().Lease {
		t.Error("the status says otherwise")
	}
	reg.noRefresh.Store(true)
	reg.noPut.Store(false)
	await(t, "it is renewed", func() bool { return !k.lease.ran(k.clock()) })
	for range 20 {
		time.Sleep(5 * time.Millisecond)
		if k.Lease() {
			t.Fatal("a lease without having read the records")
		}
	}
	reg.noRefresh.Store(false)
	await(t, "it is back", k.Lease)
	ahead.Store(int64(time.Second)) // the process stood still
	if k.Lease() {
		t.Error("it stood still, and has a lease")
	}
	await(t, "it is back again", k.Lease)
	k.lease.renewed(0, k.clock)
	if !k.Lease() {
		t.Error("an old renewal took the lease away")
	}
}

// Proves that a process without a lease leaves its records alone, for writing them once more makes nobody sure before the session is renewed, and
// that each is written once more, and counts again, when it is.
func TestKeepsWaitForTheLease(t *testing.T) {
	k, reg, host := alone(t)
	sure := func() bool {
		for p := range alonePartitions {
			if !k.Sure(p) {
				return false
			}
		}
		return true
	}
	await(t, "everything is served", func() bool { return host.serving() == alonePartitions && sure() })
	reg.noPut.Store(true)
	await(t, "the lease ends", func() bool { return !k.Lease() })
	tries := func(n int64) func() bool {
		until := reg.puts.Load() + n
		return func() bool { return reg.puts.Load() >= until }
	}
	await(t, "what was under way has ended", tries(2))
	before := reg.sets.Load()
	await(t, "it has tried in vain to renew its session", tries(4))
	if n := reg.sets.Load() - before; n > 0 {
		t.Errorf("%d records were written without a lease", n)
	}
	reg.noPut.Store(false)
	await(t, "it is sure of everything again", sure)
	if n := reg.sets.Load() - before; n < alonePartitions || n > 3*alonePartitions {
		t.Errorf("%d records were written for %d partitions", n, alonePartitions)
	}
}

// Proves that a process which slept does not believe in a lease that had run out in between, though it wakes up with the answer to a renewal that it had
// sent before: what the answer makes good is the time since, and others may have looked in the time before.
func TestRenewalKnownTooLate(t *testing.T) {
	now := time.Duration(0)
	clock := func() time.Duration { return now }
	var l lease
	l.init(2200 * time.Millisecond)
	l.renewed(0, clock)
	l.fresh.Store(true)
	now = 2199 * time.Millisecond
	l.renewed(time.Second, clock)
	if now = 3199 * time.Millisecond; !l.holds(now) || l.gap.Load() {
		t.Error("renewed in time, and it does not hold")
	}
	now = 3201 * time.Millisecond
	if l.renewed(2*time.Second, clock); l.holds(now) || !l.gap.Load() {
		t.Error("it had run out, and holds")
	}
}

// Proves that an owner is asked to hand over what is warm, and that malformed notices are refused.
func TestHearWarm(t *testing.T) {
	k, _, _ := alone(t)
	for _, bad := range []string{"", "who", "who x:1", "who 4:1", "who 1", "who 1:x", "who -1:1", "who 1:1 2:", "who " + strings.Repeat("1:1 ", tellMax+1)} {
		if err := k.hearWarm(t.Context(), []byte(bad), nil); err == nil {
			t.Errorf("took %q", bad[:min(len(bad), 20)])
		}
	}
	if err := k.hearWarm(t.Context(), []byte("who 1:7 3:18446744073709551615"), nil); err != nil {
		t.Error(err)
	}
}

// Proves that a keeper refuses what it cannot work with, and to be started twice or drained before.
func TestNew(t *testing.T) {
	good := Options{
		Session: &messages.NodeSession{Incarnation: "me"}, Registry: &brittle{}, Bus: deaf{}, Host: &prompt{}, Partitions: alonePartitions,
	}
	for name, spoil := range map[string]func(*Options){
		"no session":          func(o *Options) { o.Session = nil },
		"no registry":         func(o *Options) { o.Registry = nil },
		"no bus":              func(o *Options) { o.Bus = nil },
		"no host":             func(o *Options) { o.Host = nil },
		"no partitions":       func(o *Options) { o.Partitions = 0 },
		"too many partitions": func(o *Options) { o.Partitions = PartitionsMax + 1 },
		"a bad incarnation":   func(o *Options) { o.Session = &messages.NodeSession{Incarnation: "a.b"} },
	} {
		o := good
		spoil(&o)
		if _, err := New(o); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	k, err := New(good)
	if err != nil {
		t.Fatal(err)
	}
	if m := k.Map(); m == nil || len(m.Members) != 1 || len(m.Owners) != alonePartitions || k.Lease() {
		t.Errorf("before the start: %+v", m)
	}
	if err := k.Drain(t.Context()); err == nil {
		t.Error("drained before the start")
	}
	if err := k.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	if err := k.Start(t.Context()); err == nil {
		t.Error("started after the end")
	}
	running, reg, _ := alone(t)
	if err := running.Start(t.Context()); err == nil {
		t.Error("started twice")
	}
	reg.noPut.Store(true)
	failed, err := New(Options{Session: good.Session, Registry: reg, Bus: deaf{}, Host: &prompt{phases: make([]atomic.Uint32, 1)}, Partitions: 1})
	if err != nil {
		t.Fatal(err)
	}
	if err := failed.Start(t.Context()); !errors.Is(err, errBrittle) {
		t.Errorf("told %v", err)
	}
	if err := failed.Stop(t.Context()); err != nil {
		t.Error(err)
	}
}
