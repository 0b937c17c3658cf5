package history

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"orderyard/messages"
)

// op is one line of a story: who, what, from when to when, and the answer.
type op struct {
	client     int
	in         Input
	from, till int64 // till 0 = no answer
	out        Output
}

func ok(atp int64) Output       { return Output{Known: true, ATP: atp} }
func declined(atp int64) Output { return Output{Known: true, Code: messages.CodeDeclined, ATP: atp} }
func saw(onHand, reserved, allocated int64) Output {
	s := State{onHand, reserved, allocated}
	return Output{Known: true, ATP: s.ATP(), Count: s}
}
func ask(k Kind, n int64) Input { return Input{Bucket: "a", Kind: k, Quantity: n} }

func verdict(t *testing.T, story []op) Verdict {
	t.Helper()
	r := NewRecorder()
	for _, o := range story {
		end := o.till
		if end == 0 {
			end = math.MaxInt64
		}
		r.ops = append(r.ops, porcupine.Operation{ClientId: o.client, Input: o.in, Call: o.from, Output: o.out, Return: end})
	}
	all := r.Check(10 * time.Second)
	if len(all) != 1 {
		t.Fatalf("%d verdicts", len(all))
	}
	return all[0]
}

// TestStories proves that the model accepts what one bucket may answer and refuses what it may not, by histories made by hand: each bad
// one is what a known kind of mistake would show to clients.
func TestStories(t *testing.T) {
	count := op{0, ask(Set, 10), 1, 2, ok(10)}
	for _, c := range []struct {
		name  string
		good  bool
		story []op
	}{
		{"one after the other", true, []op{count, {1, ask(Reserve, 4), 3, 4, ok(6)}, {1, ask(Confirm, 4), 5, 6, ok(6)}, {2, ask(Get, 0), 7, 8, saw(10, 0, 4)},
			{1, Input{Bucket: "a", Kind: Cancel, Quantity: 4, Firm: true}, 9, 10, ok(10)}, {1, ask(Receive, 5), 11, 12, ok(15)}}},
		{"two at once, either first", true, []op{count, {1, ask(Reserve, 7), 3, 9, ok(3)}, {2, ask(Reserve, 7), 4, 8, declined(3)}}},
		{"two at once, the other first", true, []op{count, {1, ask(Reserve, 7), 3, 9, declined(3)}, {2, ask(Reserve, 7), 4, 8, ok(3)}}},
		{"no answer, and it took effect", true, []op{count, {1, ask(Reserve, 7), 3, 0, Output{}}, {2, ask(Get, 0), 5, 6, saw(10, 7, 0)}}},
		{"no answer, and it took effect much later", true, []op{count, {1, ask(Reserve, 7), 3, 0, Output{}}, {2, ask(Get, 0), 5, 6, saw(10, 0, 0)}, {2, ask(Get, 0), 7, 8, saw(10, 7, 0)}}},
		{"no answer, and it never did", true, []op{count, {1, ask(Reserve, 7), 3, 0, Output{}}, {2, ask(Reserve, 9), 5, 6, ok(1)}, {2, ask(Get, 0), 7, 8, saw(10, 9, 0)}}},
		{"a repeated command, answered long after its effect", true, []op{count, {1, ask(Reserve, 7), 3, 50, ok(3)}, {2, ask(Get, 0), 5, 6, saw(10, 7, 0)}}},

		{"sold twice", false, []op{count, {1, ask(Reserve, 7), 3, 9, ok(3)}, {2, ask(Reserve, 7), 4, 8, ok(3)}}},
		{"sold twice, each owner counting for itself", false, []op{count, {1, ask(Reserve, 10), 3, 4, ok(0)}, {2, ask(Reserve, 1), 5, 6, ok(9)}}},
		{"an answered reservation is lost", false, []op{count, {1, ask(Reserve, 4), 3, 4, ok(6)}, {2, ask(Get, 0), 5, 6, saw(10, 0, 0)}}},
		{"an answer from a state that did not last", false, []op{count, {1, ask(Get, 0), 3, 4, saw(10, 3, 0)}, {1, ask(Get, 0), 5, 6, saw(10, 0, 0)}}},
		{"made twice", false, []op{count, {1, ask(Reserve, 3), 3, 4, ok(7)}, {2, ask(Get, 0), 5, 6, saw(10, 6, 0)}}},
		{"given back twice", false, []op{count, {1, ask(Reserve, 3), 3, 4, ok(7)}, {1, ask(Cancel, 3), 5, 6, ok(10)}, {2, ask(Get, 0), 7, 8, saw(10, -3, 0)}}},
		{"an old answer after a newer one", false, []op{count, {1, ask(Reserve, 3), 3, 4, ok(7)}, {2, ask(Get, 0), 5, 6, saw(10, 3, 0)}, {3, ask(Get, 0), 7, 8, saw(10, 0, 0)}}},
		{"declined though there were enough", false, []op{count, {1, ask(Reserve, 3), 3, 4, declined(10)}}},
		{"granted though there were too few", false, []op{count, {1, ask(Reserve, 11), 3, 4, ok(-1)}}},
		{"a hold that its owner forgot", false, []op{count, {1, ask(Reserve, 3), 3, 4, ok(7)}, {1, ask(Confirm, 3), 5, 6, Output{Known: true, Code: messages.CodeNotFound}}}},
		{"effect before the question", false, []op{count, {2, ask(Get, 0), 3, 4, saw(10, 4, 0)}, {1, ask(Reserve, 4), 5, 6, ok(6)}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if v := verdict(t, c.story); v.OK() != c.good || v.Result == porcupine.Unknown {
				t.Errorf("%v, want possible = %v", v, c.good)
			}
		})
	}
}

// simulate makes the history of a true bucket under concurrent clients: each operation takes effect at a random moment between its
// call and its return, and some answers are lost.
func simulate(rng *rand.Rand, clients, each int) []op {
	type effect struct {
		at int64
		o  *op
	}
	var story []*op
	var effects []effect
	add := func(o *op, at int64) {
		story = append(story, o)
		effects = append(effects, effect{at, o})
	}
	add(&op{0, ask(Set, 30), 0, 1, Output{}}, 1)
	for c := range clients {
		now := int64(10)
		for range each {
			o := &op{client: c, from: now + 1 + rng.Int64N(20), in: ask(Get, 0)}
			at := o.from + 1 + rng.Int64N(20)
			o.till = at + 1 + rng.Int64N(20)
			if now = o.till; rng.IntN(3) > 0 {
				o.in = ask(Reserve, 1+rng.Int64N(6))
			} else if rng.IntN(2) == 0 {
				o.in = ask(Receive, 1+rng.Int64N(6))
			}
			add(o, at)
		}
	}
	for i := range effects { // by the moment of the effect; no two at once
		for k := i; k > 0 && effects[k].at < effects[k-1].at; k-- {
			effects[k], effects[k-1] = effects[k-1], effects[k]
		}
	}
	s := State{}
	for _, e := range effects {
		o := e.o
		if o.in.Kind == Reserve && o.in.Quantity > s.ATP() {
			o.out = declined(s.ATP())
		} else {
			_, s = step(s, o.in, Output{})
			o.out = ok(s.ATP())
		}
		if o.in.Kind == Get {
			o.out = saw(s.OnHand, s.Reserved, s.Allocated)
		}
		if o.in.Kind != Get && o.in.Kind != Set && rng.IntN(40) == 0 {
			o.till, o.out = 0, Output{}
		}
	}
	all := make([]op, len(story))
	for i, o := range story {
		all[i] = *o
	}
	return all
}

// TestRandomHistories proves the checker in both directions: histories of a true bucket are accepted, and each of them is refused as soon as
// one answered sale is taken out of what came after, as a second owner would do.
func TestRandomHistories(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for round := range 20 {
		story := simulate(rng, 6, 60)
		if v := verdict(t, story); !v.OK() {
			t.Fatalf("round %d: a true history: %v", round, v)
		}
		spoilt := 0
		for i := range story {
			if o := &story[i]; o.in.Kind == Get && o.from > 1000 {
				o.out = saw(o.out.Count.OnHand, o.out.Count.Reserved-1000, 0) // a unit count that no moment had
				spoilt++
				break
			}
		}
		if v := verdict(t, story); spoilt == 1 && v.Result != porcupine.Illegal {
			t.Fatalf("round %d: a spoilt history: %v", round, v)
		}
	}
}

// TestUnderWay proves that a check made while clients go on reckons with what was asked and not answered yet: its effect may be seen already.
func TestUnderWay(t *testing.T) {
	r := NewRecorder()
	r.End(r.Begin(1, ask(Set, 10)), Output{Known: true, ATP: 10})
	sale := r.Begin(1, Input{Bucket: ask(Get, 0).Bucket, Kind: Reserve, ID: "h", Quantity: 3})
	r.Begin(3, ask(Get, 0)) // a read under way says nothing
	r.End(r.Begin(2, ask(Get, 0)), saw(10, 3, 0))
	if v := r.Check(time.Second)[0]; !v.OK() || v.Open != 1 || v.Operations != 3 {
		t.Errorf("while the sale is under way: %v", v)
	}
	r.End(sale, Output{Known: true, ATP: 7})
	if v := r.Check(time.Second)[0]; !v.OK() || v.Open != 0 || v.Operations != 3 {
		t.Errorf("after it: %v", v)
	}
	r.End(r.Begin(2, ask(Get, 0)), saw(10, 0, 0))
	if v := r.Check(time.Second)[0]; v.Result != porcupine.Illegal {
		t.Errorf("a sale that was forgotten: %v", v)
	}
}

// TestUnknownIsFailure proves that a check that had no time is no success.
func TestUnknownIsFailure(t *testing.T) {
	r := NewRecorder()
	for i := range 400 { // all at once and without an answer, and then one that nothing explains: every subset must be tried
		r.Add(i, Input{Bucket: "a", Kind: Receive, Quantity: int64(1) << (i % 40)}, int64(i), Output{})
	}
	r.Add(1, Input{Bucket: "a", Kind: Get}, 1000, saw(-1, 0, 0))
	if v := r.Check(50 * time.Millisecond)[0]; v.Result != porcupine.Unknown || v.OK() || v.Open != 400 {
		t.Errorf("%v", v)
	}
}

// TestDraw proves that a failure leaves a page to look at, cut where the trouble is.
func TestDraw(t *testing.T) {
	story := simulate(rand.New(rand.NewPCG(3, 4)), 4, 50)
	story = append(story, op{9, ask(Get, 0), 1_000_000, 1_000_001, saw(-5, 0, 0)})
	for i := range 50 {
		story = append(story, op{9, ask(Get, 0), int64(2_000_000 + 10*i), int64(2_000_001 + 10*i), saw(int64(i), 0, 0)})
	}
	v := verdict(t, story)
	if v.OK() {
		t.Fatal(v)
	}
	file := filepath.Join(t.TempDir(), "history.html")
	if err := v.Draw(file, 10*time.Second); err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(file)
	if err != nil || !strings.Contains(string(page), "{OnHand:-5") || strings.Contains(string(page), "{OnHand:40") {
		t.Errorf("the page of %d bytes does not show the impossible answer, or goes on behind it (%v)", len(page), err)
	}
	if got := fmt.Sprint(v); !strings.Contains(got, "Illegal") {
		t.Error(got)
	}
}
