//go:build fault && linux

package fault

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"orderyard/cluster"
	"orderyard/messages"
	"orderyard/test/fault/history"
	"orderyard/test/fault/journal"
	"orderyard/test/fault/load"
	"orderyard/test/fault/world"
)

// TestF03Pause proves the fence: a node is stopped in the middle of its work, others take its partitions over, and it wakes and goes on as
// if nothing had happened. Nothing that it writes may count, its clients must get true answers, and the counter must have seen it.
func TestF03Pause(t *testing.T) {
	row := results.Row("F3", "SIGSTOP 1 / 5 / 15 s, then SIGCONT", "all I; no commit of an old epoch accepted; fenced appends > 0")
	s := setUp(t, row, world.Options{Nodes: 3}, cast{})
	pauses := []time.Duration{time.Second, 5 * time.Second, 15 * time.Second}
	if testing.Short() {
		pauses = []time.Duration{time.Second, 6 * time.Second}
	}
	for i, pause := range pauses {
		s.pauseOne(s.w.Nodes[i%len(s.w.Nodes)], pause)
	}
	// Whether a woken node writes before it learns that it may not is a race; the row wants to have seen it lost.
	for more := 0; s.fenced() == 0 && more < 20; more++ { // every second or third pause does
		s.pauseOne(s.w.Nodes[more%len(s.w.Nodes)], 5*time.Second)
	}
	fenced := s.fenced()
	row.Lead("%.0f partitions were fenced from a woken node", fenced)
	s.require(fenced > 0, "the counter of fenced appends is %v", fenced)
	s.audit()
}

// pauseOne stops a node for a while and waits until everything is as before.
func (s *scene) pauseOne(n *world.Node, pause time.Duration) {
	s.Helper()
	_, err := s.w.Balance(balanceIn, s.names()...)
	s.must("balance", err)
	owned, err := s.w.Owned(n.Name)
	s.must("who owns what", err)
	began := time.Now()
	s.must("pause", n.Pause())
	time.Sleep(pause) // the pause is the subject
	s.must("resume", n.Resume())
	woken := time.Now()
	back, err := s.probe.Everywhere(woken, time.Minute)
	s.must("commit after the pause", err)
	var gaps []time.Duration
	for _, p := range owned {
		gaps = append(gaps, s.probe.Gap(p, began, woken.Add(back)))
	}
	p50, _, longest := spread(gaps)
	s.row.Say("paused %v: its %d partitions were silent for %v (median), %v (longest); all commit %v after it woke", pause, len(owned), ms(p50), ms(longest), ms(back))
}

// hotClients ask much and fast of a few buckets with plenty of stock, and half of them wait through a pause: whatever a woken node lets through
// is met by one of them.
var hotClients = history.Options{PerBucket: 12, Interval: 5 * time.Millisecond, OnHand: 4000, Wait: 12 * time.Second}

// waitingClients ask less often: a bucket that has no append under way when its owner is paused decides at once when it wakes.
var waitingClients = history.Options{PerBucket: 16, Interval: 150 * time.Millisecond, OnHand: 4000, Wait: 12 * time.Second}

// TestF03Hot proves the fence where it is hottest: many clients at a few buckets, whose owners are paused in turn.
func TestF03Hot(t *testing.T) {
	row := results.Row("F3h", "owners of very hot buckets paused for 5 s in turn", "all I")
	s := setUp(t, row, world.Options{Nodes: 3}, cast{history: hotClients})
	for round := range sized(6, 2) {
		s.pauseOwner(round)
	}
	row.Lead("%.0f partitions were fenced from a woken node", s.fenced())
	s.audit()
}

// pauseOwner stops the node that serves one of the watched buckets, for longer than a session, and lets it write when it wakes.
func (s *scene) pauseOwner(round int) {
	s.Helper()
	owner := s.ownerOf(watched(s.w.Partitions())[round%watchedBuckets])
	s.must("pause", owner.Pause())
	time.Sleep(5 * time.Second) // the pause is the subject
	s.must("resume", owner.Resume())
	time.Sleep(3 * time.Second) // its moment
}

// TestNoFenceIsSeen proves the check of the journal by taking away what it checks: in a build without the fence, the same pauses must lead to a
// journal that is no line. Whether a client notices as well is told and not required: a woken node learns within milliseconds that others have
// taken over, and only what it decides until then is answered from a former state. That the check of histories refuses such answers is shown
// with made-up ones (history.TestRandomHistories), not here.
func TestNoFenceIsSeen(t *testing.T) {
	row := results.Row("F3-", "the same pauses, in a build without the fence", "the check of the journal must fail")
	s := setUp(t, row, world.Options{Nodes: 3, Build: "nofence", How: world.Build{Tags: "nofence"}}, cast{load: load.Options{Quiet: true}, history: waitingClients})
	s.load.Stop() // what this build does to orders is nobody's concern
	var broken error
	for round := 0; round < 8 && broken == nil; round++ {
		s.pauseOwner(round)
		if _, err := s.line(t.Context()); errors.Is(err, journal.ErrBroken) {
			broken = err
		}
	}
	seen := 0
	for _, v := range s.history.Check(checkWithin) {
		if v.Result == porcupine.Illegal {
			seen++
			t.Logf("the end of the shortest part that is impossible:\n%s", strings.Join(v.Trouble(25, checkWithin), "\n"))
		}
	}
	s.require(broken != nil, "the journal of a build without the fence is a line: the check of the journal sees nothing")
	row.Lead("former owners wrote into %d partitions, %d histories are impossible", 1+strings.Count(broken.Error(), "\n"), seen)
	row.Say("%v", broken)
}

// lateNews makes a process that wakes from a pause hear for a moment nothing of who owns what, as if the news took longer than requests do.
// Only the fence is left between it and its clients.
var lateNews = map[string]func(string) (string, error){
	"cluster/registry/picture.go": func(text string) (string, error) {
		const at = "func (p *picture) owner(c change) {\n"
		if strings.Count(text, at) != 1 {
			return "", errors.New("picture.owner is not where it was")
		}
		return strings.Replace(text, at, at+"\thearLate()\n", 1) + `
var beat, woke = time.Now(), time.Time{}
var beats sync.Mutex

func init() {
	go func() {
		for range time.Tick(20 * time.Millisecond) {
			hearLate()
		}
	}()
}

func hearLate() {
	for {
		beats.Lock()
		now := time.Now()
		if now.Sub(beat) > 2*time.Second {
			woke = now
		}
		beat = now
		wait := now.Sub(woke) < 700*time.Millisecond
		beats.Unlock()
		if !wait {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
}
`, nil
	},
}

// TestF03Late proves that the journal alone is enough: the news of who took over come late to a node that wakes, so it writes, is fenced, and would
// open its partitions again on the strength of its old claims.
func TestF03Late(t *testing.T) {
	row := results.Row("F3l", "the same, and a woken node hears 0.7 s late who took over", "all I")
	s := setUp(t, row, world.Options{Nodes: 3, Build: "late", How: world.Build{Patch: lateNews}}, cast{history: waitingClients})
	for round := range sized(4, 2) {
		s.pauseOwner(round)
	}
	row.Lead("%.0f partitions were fenced from a woken node", s.fenced())
	s.audit()
}

// TestNoFenceLate proves the check of histories: with late news and without the fence, clients must get answers that no single bucket could
// give. If this suite finds nothing wrong with that build, it finds nothing.
func TestNoFenceLate(t *testing.T) {
	full(t)
	row := results.Row("F3l-", "late news in a build without the fence", "the check of histories must fail")
	how := world.Build{Tags: "nofence", Patch: lateNews}
	s := setUp(t, row, world.Options{Nodes: 3, Build: "late-nofence", How: how}, cast{load: load.Options{Quiet: true}, history: waitingClients})
	s.load.Stop() // what this build does to orders is nobody's concern
	var seen []string
	for round := 0; round < 16 && len(seen) == 0; round++ {
		s.pauseOwner(round)
		for _, v := range s.history.Check(checkWithin) { // of all rounds so far
			if v.Result == porcupine.Illegal {
				seen = append(seen, v.String())
				t.Logf("the end of the shortest part that is impossible:\n%s", strings.Join(v.Trouble(25, checkWithin), "\n"))
			}
		}
	}
	s.require(len(seen) > 0, "pauses in a build without the fence left possible histories: the check of histories sees nothing")
	row.Say("%d histories are impossible: %v", len(seen), seen)
}

// ownerOf is the node that serves a bucket.
func (s *scene) ownerOf(b history.Bucket) *world.Node {
	s.Helper()
	all, err := s.w.Owners()
	s.must("who owns what", err)
	p := cluster.PartitionOf(messages.BucketRef(b.SKU, b.Site), s.w.Partitions())
	n := s.w.Node(all[p].Node)
	if n == nil {
		s.Fatalf("partition %d is owned by %q", p, all[p].Node)
	}
	return n
}
