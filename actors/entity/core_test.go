package entity

import (
	"testing"

	"github.com/cespare/xxhash/v2"

	"orderyard/messages"
)

func newToy(t *testing.T, id string) *Core {
	t.Helper()
	limits := DefaultLimits()
	return NewCore(toyRef(id), toyKinds()[messages.KindBucket], nil, &limits)
}

func add(id string, delta int64) *messages.Request {
	return &messages.Request{CommandID: id, Command: &messages.AdjustStock{Delta: delta}}
}

// A command id is decided once: the second time it gets the first answer, marked as replayed, and nothing is written.
func TestRepeatGetsFirstAnswer(t *testing.T) {
	c := newToy(t, "a")
	first := c.Step(add("c1", 5), 1)
	c.Step(add("c2", 5), 2)
	second := c.Step(add("c1", 5), 3)
	if second.Entry != nil || !second.Reply.Replayed || second.Reply.GetStock().Atp != first.Reply.GetStock().Atp {
		t.Fatalf("first %v, second %v with entry %d bytes", first.Reply, second.Reply, len(second.Entry))
	}
	if other := c.Step(add("c1", 6), 4); other.Reply.GetFailure().GetCode() != messages.CodeConflict {
		t.Fatalf("other content under the same id: %v", other.Reply)
	}
}

// A refusal writes nothing and is decided anew when asked again.
func TestRefusalIsNotRemembered(t *testing.T) {
	c := newToy(t, "a")
	if out := c.Step(add("c1", -1), 1); out.Entry != nil || out.Reply.GetFailure().GetCode() != messages.CodeDeclined {
		t.Fatalf("%+v", out)
	}
	c.Step(add("c2", 3), 2)
	if out := c.Step(add("c1", -1), 3); out.Reply.Failure != nil || out.Reply.GetStock().Atp != 2 {
		t.Fatalf("%v", out.Reply)
	}
}

// Replaying the entries rebuilds the same state, bytes and answers; entries that are already in it are passed over, gaps refused.
func TestReplayGivesTheLiveState(t *testing.T) {
	live := newToy(t, "a")
	var entries []*messages.Entry
	for i, req := range []*messages.Request{add("c1", 5), {Command: &messages.ReserveStock{ReservationId: "b"}}, add("c2", 1), {Command: &messages.SetStock{OnHand: 100}}} {
		out := live.Step(req, int64(i+1))
		c, err := DecodeCommit(out.Entry)
		if err != nil {
			t.Fatal(err)
		}
		entries = append(entries, c.Entries...)
	}
	back := newToy(t, "a")
	for _, e := range append(entries[:2:2], entries...) {
		if err := back.Apply(e); err != nil {
			t.Fatal(err)
		}
	}
	// What is under way is not part of the state: both owe the same when asked afresh.
	a, b := live.Snapshot(1000), back.Snapshot(1000)
	a.WakeAtMs, b.WakeAtMs = 0, 0
	if x, y := a.String(), b.String(); x != y {
		t.Fatalf("live\n%s\nreplayed\n%s", x, y)
	}
	if out := back.Step(add("c1", 5), 9); !out.Reply.Replayed {
		t.Fatalf("the replayed entity forgot an answer: %v", out.Reply)
	}
	if err := newToy(t, "a").Apply(entries[1]); err == nil {
		t.Fatal("a gap went unnoticed")
	}
}

// A task is sent once, again only after the time-out, and no more once its answer has settled it; a retryable refusal is not shown to
// the machine.
func TestTaskIsSentUntilAnswered(t *testing.T) {
	c := newToy(t, "a")
	out := c.Step(&messages.Request{Command: &messages.ReserveStock{ReservationId: "b"}}, 1000)
	if len(out.Tasks) != 1 || out.Tasks[0].ID != "tell/b" || out.Wake <= 1000 {
		t.Fatalf("%+v", out)
	}
	if again := c.Tick(1001); len(again.Tasks) != 0 {
		t.Fatalf("sent twice: %+v", again.Tasks)
	}
	if late := c.Tick(out.Wake); len(late.Tasks) != 1 {
		t.Fatalf("not sent again after the time-out: %+v", late)
	}
	limit := &messages.TaskResult{TaskId: "tell/b", Reply: messages.Refuse(messages.Retry(messages.CodeLimit, 700, "busy"))}
	refused := c.Step(&messages.Request{Command: limit}, 20_000)
	if len(refused.Tasks) != 0 || refused.Entry != nil || refused.Wake < 20_700 {
		t.Fatalf("%+v", refused)
	}
	done := c.Step(&messages.Request{Command: &messages.TaskResult{TaskId: "tell/b", Reply: &messages.Reply{}}}, 30_000)
	if done.Entry == nil || len(done.Tasks) != 0 || len(c.flights.list) != 0 {
		t.Fatalf("%+v, %d flights", done, len(c.flights.list))
	}
}

// A timer is no message: at its time the core gives the command to the machine itself, once.
func TestTimerRunsInTheCore(t *testing.T) {
	c := newToy(t, "a")
	out := c.Step(&messages.Request{Command: &messages.SetStock{OnHand: 50}}, 1000)
	if out.Wake != 1050 {
		t.Fatalf("wake at %d", out.Wake)
	}
	if early := c.Tick(1049); early.Entry != nil || early.Wake != 1050 {
		t.Fatalf("%+v", early)
	}
	if rang := c.Tick(1050); rang.Entry == nil || rang.Wake != 0 {
		t.Fatalf("%+v", rang)
	}
	if c.Machine().(*toy).rang != 1 {
		t.Fatal("rang more than once")
	}
}

// The memory of answers is bounded by count and age, and what is forgotten depends on the journal alone.
func TestDedupIsBounded(t *testing.T) {
	var d dedup
	for i := range 1000 {
		d.add(&messages.DedupEntry{CommandId: string(rune('a'+i%26)) + string(rune('0'+i/26)), AtMs: int64(i)}, 100, 50)
	}
	if n := len(d.list()); n != 50 || len(d.answers) != 50 {
		t.Fatalf("%d in the list, %d in the map", n, len(d.answers))
	}
	d.add(&messages.DedupEntry{CommandId: "late", AtMs: 5000}, 100, 50)
	if n := len(d.list()); n != 1 {
		t.Fatalf("%d kept, all but the newest are too old", n)
	}
}

// One command id under two verbs is a conflict, also where the two say the same bytes; what a build before has remembered is still known.
func TestCommandIDOfAnotherVerb(t *testing.T) {
	limits := DefaultLimits()
	c := NewCore(toyRef("a"), toyKinds()[messages.KindBucket], nil, &limits)
	step := func(id string, cmd messages.Command) *messages.Reply {
		return c.Step(&messages.Request{To: toyRef("a"), CommandID: messages.ClientKey + id, Command: cmd}, 1).Reply
	}
	step("k", &messages.AdjustStock{Delta: 3})
	if r := step("k", &messages.AdjustStock{Delta: 3}); !r.Replayed {
		t.Errorf("the same again: %v", r)
	}
	if r := step("k", &messages.GetStock{}); r.GetFailure().GetCode() != messages.CodeConflict {
		t.Errorf("another verb: %v", r)
	}
	step("none", &messages.GetStock{})
	if r := step("none", &messages.GetSite{}); r.GetFailure().GetCode() != messages.CodeConflict {
		t.Errorf("another verb of the same bytes: %v", r)
	}
	old := &messages.DedupEntry{CommandId: messages.ClientKey + "old", Reply: encodeReply(&messages.Reply{})}
	b, err := (&messages.AdjustStock{Delta: 3}).MarshalVT()
	if err != nil {
		t.Fatal(err)
	}
	old.Fingerprint = xxhash.Sum64(b)
	c.dedup.add(old, 0, 100)
	if r := step("old", &messages.AdjustStock{Delta: 3}); !r.Replayed {
		t.Errorf("as it was remembered before: %v", r)
	}
	if r := step("old", &messages.AdjustStock{Delta: 4}); r.GetFailure().GetCode() != messages.CodeConflict {
		t.Errorf("other content than was remembered before: %v", r)
	}
}

// A sender who repeats a command that found its goal reached gets that answer again, also after a replay: it must not undo what was done since.
func TestNothingToDoIsRemembered(t *testing.T) {
	limits := DefaultLimits()
	kind := toyKinds()[messages.KindBucket]
	c := NewCore(toyRef("a"), kind, nil, &limits)
	now := int64(1)
	step := func(c *Core, id string, delta int64) Output {
		now++
		cmd := messages.Command(&messages.AdjustStock{Delta: delta})
		if delta == 0 {
			cmd = &messages.GetStock{} // the toy's only command that changes nothing
		}
		return c.Step(&messages.Request{To: toyRef("a"), CommandID: id, Command: cmd}, now)
	}
	journal := [][]byte{step(c, "add", 3).Entry}
	if out := step(c, "house", 0); out.Entry != nil || out.Reply.GetFailure() != nil {
		t.Fatalf("the house's own: %v, written %v", out.Reply, out.Entry != nil)
	}
	first := step(c, messages.ClientKey+"none", 0)
	if first.Reply.GetFailure() != nil || first.Entry == nil {
		t.Fatalf("the first answer: %v, written %v", first.Reply, first.Entry != nil)
	}
	told := first.Reply.GetStock().GetAtp()
	journal = append(journal, first.Entry, step(c, "more", 30).Entry)
	again := NewCore(toyRef("a"), kind, nil, &limits)
	for _, b := range journal {
		commit, err := DecodeCommit(b)
		if err != nil {
			t.Fatal(err)
		}
		if err := again.Apply(commit.Entries[0]); err != nil {
			t.Fatal(err)
		}
	}
	for name, core := range map[string]*Core{"live": c, "replayed": again} {
		out := step(core, messages.ClientKey+"none", 0)
		if !out.Reply.Replayed || out.Reply.GetStock().GetAtp() != told || out.Entry != nil {
			t.Errorf("%s: the repeat was answered %v", name, out.Reply)
		}
	}
}

// A snapshot is of its moment: what the entity forgets while it waits for its batch is still in it.
func TestSnapshotKeepsItsAnswers(t *testing.T) {
	limits := DefaultLimits()
	limits.DedupMax = 3
	c := NewCore(toyRef("a"), toyKinds()[messages.KindBucket], nil, &limits)
	for i, id := range []string{"c1", "c2", "c3"} {
		c.Step(add(id, 5), int64(i+1))
	}
	snap := c.Snapshot(4)
	c.Step(add("c4", 5), 5)
	for i, want := range []string{"c1", "c2", "c3"} {
		if got := snap.Dedup[i].GetCommandId(); got != want {
			t.Errorf("answer %d of the snapshot is %q, not %q", i, got, want)
		}
	}
}

// A sender who repeats a refused command long after, when it could be granted, gets the refusal again, also after a replay: the first answer
// was no, and whoever heard it acts on that. Refusals of the house's own commands, and about what does not exist, leave no trace.
func TestRefusalIsRemembered(t *testing.T) {
	limits := DefaultLimits()
	kind := toyKinds()[messages.KindBucket]
	c := NewCore(toyRef("a"), kind, nil, &limits)
	step := func(id string, cmd messages.Command) Output {
		return c.Step(&messages.Request{To: toyRef("a"), CommandID: id, Command: cmd}, 1)
	}
	take := func() messages.Command { return &messages.AdjustStock{Delta: -5} }
	if out := step(messages.ClientKey+"early", take()); out.Entry != nil {
		t.Error("a refusal about nothing was written down")
	}
	var journal [][]byte
	journal = append(journal, step("add", &messages.AdjustStock{Delta: 3}).Entry)
	if out := step("house", take()); out.Entry != nil {
		t.Error("a refusal of the house's own was written down")
	}
	first := step(messages.ClientKey+"take", take())
	if first.Reply.GetFailure().GetCode() != messages.CodeDeclined || first.Entry == nil {
		t.Fatalf("the first answer: %v, written %v", first.Reply, first.Entry != nil)
	}
	journal = append(journal, first.Entry, step("more", &messages.AdjustStock{Delta: 30}).Entry)
	again := NewCore(toyRef("a"), kind, nil, &limits)
	for _, b := range journal {
		commit, err := DecodeCommit(b)
		if err != nil {
			t.Fatal(err)
		}
		if err := again.Apply(commit.Entries[0]); err != nil {
			t.Fatal(err)
		}
	}
	for name, core := range map[string]*Core{"live": c, "replayed": again} {
		out := core.Step(&messages.Request{To: toyRef("a"), CommandID: messages.ClientKey + "take", Command: take()}, 9)
		if !out.Reply.Replayed || out.Reply.GetFailure().GetCode() != messages.CodeDeclined || out.Entry != nil {
			t.Errorf("%s: the repeat was answered %v", name, out.Reply)
		}
		if core.Version() != 3 {
			t.Errorf("%s: version %d", name, core.Version())
		}
	}
}
