package admission

import (
	"fmt"
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestConservation proves by random use that counts never lie: what is under way is the sum of what was let in and has not left, no party's
// count is below zero, a refused request changes nothing, and the limit stays within its bounds. A dumb list stands beside the controller.
func TestConservation(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := New(Options{Max: 200, Min: 5, PartiesMax: 3})
		type one struct {
			party  Party
			n      int
			came   time.Duration
			inside bool
		}
		var open []one
		now, sum := time.Duration(0), 0
		t.Repeat(map[string]func(*rapid.T){
			"wait": func(t *rapid.T) { now += time.Duration(rapid.Int64Range(0, int64(2*time.Second)).Draw(t, "for")) },
			"admit": func(t *rapid.T) {
				n := rapid.IntRange(1, 50).Draw(t, "n")
				v := c.Admit(now, fmt.Sprint("c", rapid.IntRange(0, 9).Draw(t, "channel")), n)
				if v.OK {
					open, sum = append(open, one{v.Party, n, now, false}), sum+n
				} else if v.RetryAfter < retryMin {
					t.Fatalf("refused until %v", v.RetryAfter)
				}
			},
			"room": func(t *rapid.T) {
				if n := c.Room(now, "queue", 30); n > 0 {
					open, sum = append(open, one{c.Enter(now, "queue", n), n, now, false}), sum+n
				}
			},
			"inside": func(t *rapid.T) {
				c.Inside(now, 2)
				open, sum = append(open, one{n: 2, inside: true}), sum+2
			},
			"leave": func(t *rapid.T) {
				if len(open) == 0 {
					return
				}
				at := rapid.IntRange(0, len(open)-1).Draw(t, "which")
				o := open[at]
				open, sum = append(open[:at], open[at+1:]...), sum-o.n
				if o.inside {
					c.InsideOver(o.n)
				} else {
					c.Leave(now, o.party, o.n, now-o.came)
				}
			},
			"": func(t *rapid.T) {
				parties := c.inside
				for i := range c.parties {
					if parties += c.parties[i].underWay; c.parties[i].underWay < 0 {
						t.Fatalf("party %d has %d under way", i, c.parties[i].underWay)
					}
				}
				if c.UnderWay() != sum || parties != sum || c.Limit() < 5 || c.Limit() > 200 || len(c.parties) > 4 || len(c.places) > 3 {
					t.Fatalf("%d under way of %d, parties %d, limit %d, %d places", c.UnderWay(), sum, parties, c.Limit(), len(c.parties))
				}
			},
		})
	})
}

// TestLevel proves the arithmetic of the shares by cases worked out by hand.
func TestLevel(t *testing.T) {
	greedy := math.Inf(1)
	for _, c := range []struct {
		name    string
		limit   float64
		inside  int
		demands []float64
		want    float64
	}{
		{"one alone", 100, 0, []float64{greedy}, 100},
		{"two floods", 100, 0, []float64{greedy, greedy}, 50},
		{"a small one beside a flood", 100, 0, []float64{5, greedy}, 95},
		{"three sizes", 100, 0, []float64{10, 30, greedy, greedy}, 30},
		{"the middle one is no longer modest", 100, 0, []float64{10, 40, greedy, greedy}, 30},
		{"all modest", 100, 0, []float64{10, 20}, 100},
		{"work from inside comes first", 100, 60, []float64{greedy, greedy}, 20},
		{"but not all of it", 100, 99, []float64{greedy}, 25},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctl := New(Options{})
			ctl.bound, ctl.inside = c.limit, c.inside
			for _, d := range c.demands {
				ctl.parties = append(ctl.parties, party{active: true, greedy: math.IsInf(d, 1), demand: d})
			}
			ctl.fill()
			if math.Abs(ctl.level-c.want) > 1e-9 {
				t.Errorf("level %v, want %v", ctl.level, c.want)
			}
		})
	}
}

// TestWorkFromInside proves that it is let in whatever is under way, and that new work makes room for it.
func TestWorkFromInside(t *testing.T) {
	c := New(Options{Min: 100, Max: 100})
	for range 150 {
		c.Admit(0, "web", 1)
	}
	if c.UnderWay() != 100 {
		t.Fatalf("%d under way", c.UnderWay())
	}
	c.Inside(0, 60)
	if c.Leave(0, 1, 70, 0); c.Admit(200*time.Millisecond, "web", 1).OK != true || c.UnderWay() != 91 {
		t.Errorf("30 of 40 must be free for new work, %d under way", c.UnderWay())
	}
	for range 50 {
		c.Admit(200*time.Millisecond, "web", 1)
	}
	if c.UnderWay() != 100 {
		t.Errorf("%d under way", c.UnderWay())
	}
}

// TestCrowdAfterOneSlowCommand proves that on a quiet node a single slow command tells nothing of a queue: neither when an hour of silence follows
// it, nor when the next command comes soon enough to be counted together with it. A crowd after it is let in.
func TestCrowdAfterOneSlowCommand(t *testing.T) {
	for _, silence := range []time.Duration{700 * time.Millisecond, time.Minute, time.Hour} {
		t.Run(silence.String(), func(t *testing.T) {
			c := New(Options{})
			now := time.Duration(0)
			one := func(took time.Duration) {
				v := c.Admit(now, "web", 1)
				now += took
				c.Leave(now, v.Party, 1, took)
			}
			for range 200 {
				one(20 * time.Millisecond)
			}
			now += time.Minute
			one(400 * time.Millisecond)
			now += silence
			for i := range 1000 {
				if !c.Admit(now, "web", 1).OK {
					t.Fatalf("after %d of the crowd the next is refused, the limit is %d", i, c.Limit())
				}
			}
		})
	}
}

// TestPartiesAreBounded proves that made-up names cost no memory: past the places they share one, and a place that is not used for a while goes to
// who comes next.
func TestPartiesAreBounded(t *testing.T) {
	c := New(Options{PartiesMax: 2})
	a, b, d := c.Admit(0, "a", 1), c.Admit(0, "b", 1), c.Admit(0, "d", 1)
	if a.Party == b.Party || a.Party == Others || d.Party != Others || c.Name(a.Party) != "a" {
		t.Fatalf("parties %d %d %d", a.Party, b.Party, d.Party)
	}
	c.Leave(0, a.Party, 1, time.Millisecond)
	for now := time.Duration(0); now < 12*time.Second; now += time.Second {
		c.Admit(now, "b", 1)
	}
	if d := c.Admit(12*time.Second, "d", 1); d.Party != a.Party || c.Name(d.Party) != "d" {
		t.Errorf("party %d", d.Party)
	}
	if again := c.Admit(12*time.Second, "a", 1); again.Party != Others {
		t.Errorf("party %d while both places are used", again.Party)
	}
}

// TestBuckets proves that the middle of a latency's bucket is within 7 % of it, from 16 µs to a minute.
func TestBuckets(t *testing.T) {
	for d := 16 * time.Microsecond; d < time.Minute; d += d/9 + time.Microsecond {
		if got := middleOf(bucketOf(d)); math.Abs(got.Seconds()/d.Seconds()-1) > 0.07 {
			t.Fatalf("%v is counted as %v", d, got)
		}
	}
	if bucketOf(24*time.Hour) != buckets-1 || bucketOf(0) != 0 {
		t.Error("the ends")
	}
}

// BenchmarkAdmit is what one request costs: in and out, and refused.
func BenchmarkAdmit(b *testing.B) {
	b.Run("in and out", func(b *testing.B) {
		c := New(Options{})
		now := time.Duration(0)
		b.ReportAllocs()
		for b.Loop() {
			now += 10 * time.Microsecond
			v := c.Admit(now, "web", 1)
			c.Leave(now, v.Party, 1, time.Millisecond)
		}
	})
	b.Run("refused", func(b *testing.B) {
		c := New(Options{Min: 1, Max: 1})
		c.Admit(0, "web", 1)
		now := time.Duration(0)
		b.ReportAllocs()
		for b.Loop() {
			now += 10 * time.Microsecond
			if c.Admit(now, "web", 1).OK {
				b.Fatal("let in")
			}
		}
	})
}
