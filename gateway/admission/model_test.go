package admission

import (
	"container/heap"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// house is a dumb model of what stands behind the doors: one server that takes everything waiting, at most so many, into a batch, as
// commits do. A batch costs a sync and a share for each command.
type house struct {
	sync, each time.Duration
	batchMax   int
	// Of every so much time it stands still for a part.
	every, still time.Duration

	queue  []command
	batch  []command
	freeAt time.Duration
}

type command struct {
	from  string
	party Party
	came  time.Duration
}

// source is a channel with open-loop arrivals: it does not wait for answers.
type source struct {
	name      string
	perSecond func(now time.Duration) float64
	next      time.Duration

	asked, done, shed int
	took              []time.Duration
	retry             []time.Duration
}

type arrivals []*source

func (a arrivals) Len() int           { return len(a) }
func (a arrivals) Less(i, j int) bool { return a[i].next < a[j].next }
func (a arrivals) Swap(i, j int)      { a[i], a[j] = a[j], a[i] }
func (a *arrivals) Push(x any)        { *a = append(*a, x.(*source)) }
func (a *arrivals) Pop() any {
	last := (*a)[len(*a)-1]
	*a = (*a)[:len(*a)-1]
	return last
}

// run plays sources against the house for a time; look is called at each arrival.
func run(c *Controller, h *house, from, to time.Duration, look func(now time.Duration), sources ...*source) {
	rng := rand.New(rand.NewPCG(1, 2))
	var line arrivals
	for _, s := range sources {
		s.next = from
		heap.Push(&line, s)
	}
	for line[0].next < to {
		s := line[0]
		now := s.next
		h.work(c, now, sources)
		rate := s.perSecond(now)
		if rate > 0 {
			s.next += time.Duration(rng.ExpFloat64() / rate * float64(time.Second))
		} else {
			s.next += 10 * time.Millisecond
		}
		heap.Fix(&line, 0)
		if rate > 0 {
			s.asked++
			if v := c.Admit(now, s.name, 1); v.OK {
				h.queue = append(h.queue, command{s.name, v.Party, now})
			} else {
				s.shed++
				s.retry = append(s.retry, v.RetryAfter)
			}
		}
		if look != nil {
			look(now)
		}
	}
}

// work lets the house go on until now.
func (h *house) work(c *Controller, now time.Duration, sources []*source) {
	for {
		if len(h.batch) > 0 {
			if h.freeAt > now {
				return
			}
			for _, one := range h.batch {
				took := h.freeAt - one.came
				c.Leave(h.freeAt, one.party, 1, took)
				for _, s := range sources {
					if s.name == one.from {
						s.done++
						s.took = append(s.took, took)
					}
				}
			}
			h.batch = nil
		}
		if len(h.queue) == 0 {
			h.freeAt = max(h.freeAt, now)
			return
		}
		n := min(len(h.queue), h.batchMax)
		h.batch = append(h.batch, h.queue[:n]...)
		h.queue = h.queue[n:]
		h.freeAt = max(h.freeAt, h.batch[n-1].came) + h.sync + time.Duration(n)*h.each
		if h.every > 0 && h.freeAt%h.every < h.still {
			h.freeAt += h.still - h.freeAt%h.every
		}
	}
}

func steady(perSecond float64) func(time.Duration) float64 {
	return func(time.Duration) float64 { return perSecond }
}

func (s *source) p(q float64) time.Duration {
	list := slices.Clone(s.took)
	slices.Sort(list)
	return list[int(q*float64(len(list)-1))]
}

// disks are houses of very different speed: the limit must find each one's own.
var disks = map[string]house{
	"fast disk": {sync: 500 * time.Microsecond, each: 100 * time.Microsecond, batchMax: 2000},
	"slow disk": {sync: 5 * time.Millisecond, each: 500 * time.Microsecond, batchMax: 1000},
	"far disk":  {sync: 60 * time.Millisecond, each: 200 * time.Microsecond, batchMax: 2000},
	"no batch":  {sync: 200 * time.Microsecond, each: 50 * time.Microsecond, batchMax: 1},
}

// peakOf is what a house can do with everything waiting in one queue.
func (h house) peakOf() float64 {
	return float64(h.batchMax) / (h.sync + time.Duration(h.batchMax)*h.each).Seconds()
}

// TestOverload proves that under ten times what a house can do, whatever its speed, at least 90 % of that is done, half of it within less than two
// targets once the limit has settled (more where a commit alone takes 60 ms), and that what is under way is bounded from the first moment.
func TestOverload(t *testing.T) {
	for name, h := range disks {
		t.Run(name, func(t *testing.T) {
			c, peak := New(Options{Max: 12_000}), h.peakOf()
			most := 0
			run(c, &h, 0, 2*time.Second, nil, &source{name: "web", perSecond: steady(0.3 * peak)})
			flood := &source{name: "web", perSecond: steady(10 * peak)}
			look := func(time.Duration) { most = max(most, c.UnderWay()) }
			run(c, &h, 2*time.Second, 15*time.Second, look, flood)
			if most > 13_500 {
				t.Errorf("%d were under way", most)
			}
			settled := &source{name: "web", perSecond: steady(10 * peak)}
			least, largest := c.Limit(), c.Limit()
			run(c, &h, 15*time.Second, 35*time.Second, func(time.Duration) { least, largest = min(least, c.Limit()), max(largest, c.Limit()) }, settled)
			got := float64(settled.done) / 20
			t.Logf("%.0f of %.0f per second, p50 %v, p99 %v, limit %d to %d", got, peak, settled.p(.5), settled.p(.99), least, largest)
			most50 := max(450*time.Millisecond, 25*h.sync)
			if got < 0.9*peak || settled.p(.5) > most50 || settled.p(.99) > 2*most50 {
				t.Errorf("%.0f per second of %.0f, p50 %v, p99 %v", got, peak, settled.p(.5), settled.p(.99))
			}
		})
	}
}

// TestNormalLoadIsLeftAlone proves that nothing is refused at 60 % of what a house can do, nor in a burst that drains within an
// interval.
func TestNormalLoadIsLeftAlone(t *testing.T) {
	for name, h := range disks {
		t.Run(name, func(t *testing.T) {
			c, peak := New(Options{}), h.peakOf()
			s := &source{name: "web", perSecond: func(now time.Duration) float64 {
				if now > 10*time.Second && now < 10100*time.Millisecond {
					return 5 * peak // a tenth of a second
				}
				return 0.6 * peak
			}}
			run(c, &h, 0, 20*time.Second, nil, s)
			if s.shed > 0 {
				t.Errorf("%d of %d refused, the limit is %d", s.shed, s.asked, c.Limit())
			}
		})
	}
}

// TestFewOnASlowMachine proves that a house where everything takes long all of a sudden, and where few ask, refuses nobody: neither these, nor a crowd after them,
// also while a list of a thousand commands comes from inside.
func TestFewOnASlowMachine(t *testing.T) {
	for _, sync := range []time.Duration{150 * time.Millisecond, 400 * time.Millisecond} {
		h := house{sync: time.Millisecond, each: 50 * time.Microsecond, batchMax: 5000}
		c := New(Options{})
		few := &source{name: "web", perSecond: steady(60)}
		run(c, &h, 0, 2*time.Second, nil, few)
		h.sync = sync
		run(c, &h, 2*time.Second, 10*time.Second, nil, few)
		c.Inside(10*time.Second, 1000)
		run(c, &h, 10*time.Second, 11*time.Second, nil, few)
		c.InsideOver(1000)
		crowd := &source{name: "web", perSecond: steady(50_000)}
		run(c, &h, 11*time.Second, 11100*time.Millisecond, nil, crowd)
		if few.shed > 0 || crowd.shed > 0 {
			t.Errorf("at %v a commit %d of the few and %d of the crowd refused, the limit is %d", sync, few.shed, crowd.shed, c.Limit())
		}
	}
}

// TestSecondCrowd proves that two crowds an hour apart are let in alike: the silence between them is no time under load, and neither what the first
// left unjudged nor how long it had waited counts against the second.
func TestSecondCrowd(t *testing.T) {
	for _, perSecond := range []float64{20_000, 35_000, 50_000} {
		for _, silence := range []time.Duration{100 * time.Millisecond, 1200 * time.Millisecond, time.Hour} {
			h := disks["fast disk"]
			c := New(Options{Max: 12_000})
			crowd := &source{name: "web", perSecond: steady(perSecond)}
			nobody := &source{name: "web", perSecond: steady(0)}
			run(c, &h, 0, 200*time.Millisecond, nil, crowd)
			run(c, &h, 200*time.Millisecond, 1200*time.Millisecond, nil, nobody)
			first := crowd.shed
			again := 1200*time.Millisecond + silence
			run(c, &h, again, again+200*time.Millisecond, nil, crowd)
			if crowd.shed > 0 {
				t.Errorf("%.0f per second, then %v of silence: %d of the first crowd and %d of the second refused, the limit is %d",
					perSecond, silence, first, crowd.shed-first, c.Limit())
			}
		}
	}
}

// TestCrowdAfterFlood proves that a house which stood empty has forgotten the flood before: its limit is down when the flood ends, and nobody comes whose
// short queue could tell that it may go up again.
func TestCrowdAfterFlood(t *testing.T) {
	h := disks["fast disk"]
	c := New(Options{Max: 12_000})
	run(c, &h, 0, 10*time.Second, nil, &source{name: "web", perSecond: steady(10 * h.peakOf())})
	if c.Limit() > 6000 {
		t.Fatalf("the limit under the flood is %d", c.Limit())
	}
	run(c, &h, 10*time.Second, 30*time.Second, nil, &source{name: "web", perSecond: steady(0)})
	crowd := &source{name: "web", perSecond: steady(50_000)}
	run(c, &h, 30*time.Second, 30200*time.Millisecond, nil, crowd)
	if crowd.shed > 0 {
		t.Errorf("%d of the crowd of %d refused, the limit is %d", crowd.shed, crowd.asked, c.Limit())
	}
}

// TestSlowChannelPasses proves that a flood of one channel costs another nothing: it sends 5 % of what the house can do and at least 95 % of
// that is let in, also while two channels flood, one ten times as hard as the other; these two get about the same.
func TestSlowChannelPasses(t *testing.T) {
	for name, h := range disks {
		t.Run(name, func(t *testing.T) {
			c, peak := New(Options{}), h.peakOf()
			run(c, &h, 0, 2*time.Second, nil, &source{name: "web", perSecond: steady(0.3 * peak)})
			small := &source{name: "shop", perSecond: steady(0.05 * peak)}
			flood := &source{name: "web", perSecond: steady(10 * peak)}
			run(c, &h, 2*time.Second, 22*time.Second, nil, small, flood)
			if got := float64(small.asked-small.shed) / float64(small.asked); got < 0.95 {
				t.Errorf("%.1f %% of the small channel's passed beside one flood", 100*got)
			}
			small = &source{name: "shop", perSecond: steady(0.05 * peak)}
			flood = &source{name: "web", perSecond: steady(10 * peak)}
			other := &source{name: "app", perSecond: steady(peak)}
			run(c, &h, 22*time.Second, 42*time.Second, nil, small, flood, other)
			if got := float64(small.asked-small.shed) / float64(small.asked); got < 0.95 {
				t.Errorf("%.1f %% of the small channel's passed beside two floods", 100*got)
			}
			if ratio := float64(flood.done) / float64(other.done); ratio < 0.7 || ratio > 1.4 {
				t.Errorf("the floods got %d and %d", flood.done, other.done)
			}
			if total := float64(small.done+flood.done+other.done) / 20; total < 0.9*peak {
				t.Errorf("%.0f per second of %.0f", total, peak)
			}
		})
	}
}

// TestSlowChannelPassesWhenTheHouseSlows proves the same while the house becomes four times slower under the flood and the queue that it then
// has too much of drains: the small channel's orders take long, so it has much under way, but it still asks for less than its part.
func TestSlowChannelPassesWhenTheHouseSlows(t *testing.T) {
	for name, h := range disks {
		t.Run(name, func(t *testing.T) {
			c, peak := New(Options{}), h.peakOf()
			run(c, &h, 0, 2*time.Second, nil, &source{name: "web", perSecond: steady(0.3 * peak)})
			run(c, &h, 2*time.Second, 10*time.Second, nil, &source{name: "web", perSecond: steady(10 * peak)})
			h.sync, h.each = 4*h.sync, 4*h.each
			small := &source{name: "shop", perSecond: steady(0.05 * peak)}
			run(c, &h, 10*time.Second, 30*time.Second, nil, small, &source{name: "web", perSecond: steady(10 * peak)})
			if got := float64(small.asked-small.shed) / float64(small.asked); got < 0.95 {
				t.Errorf("%.1f %% of the small channel's passed", 100*got)
			}
		})
	}
}

// TestRecovers proves that the limit follows the house: down when it becomes ten times slower in the middle of its normal load, as soon as
// what came in before that was noticed has drained, and up again within five seconds when it is over. (With the fewest that may be under way a
// command takes 0.1 s in that slow house, so the target is ten times that.)
func TestRecovers(t *testing.T) {
	h := disks["fast disk"]
	c, peak := New(Options{}), h.peakOf()
	run(c, &h, 0, 5*time.Second, nil, &source{name: "web", perSecond: steady(0.7 * peak)})
	h.sync, h.each = 10*h.sync, 10*h.each
	run(c, &h, 5*time.Second, 14*time.Second, nil, &source{name: "web", perSecond: steady(0.7 * peak)})
	slow := &source{name: "web", perSecond: steady(0.7 * peak)}
	run(c, &h, 14*time.Second, 24*time.Second, nil, slow)
	if slow.shed == 0 || slow.p(.5) > 1200*time.Millisecond {
		t.Errorf("at a tenth of the speed %d of %d refused, p50 %v", slow.shed, slow.asked, slow.p(.5))
	}
	h.sync, h.each = h.sync/10, h.each/10
	run(c, &h, 24*time.Second, 29*time.Second, nil, &source{name: "web", perSecond: steady(0.7 * peak)})
	after := &source{name: "web", perSecond: steady(0.7 * peak)}
	run(c, &h, 29*time.Second, 39*time.Second, nil, after)
	if after.shed > 0 || after.p(.5) > 50*time.Millisecond || c.limit != 8192 {
		t.Errorf("after that %d of %d refused, p50 %v, the limit is %d", after.shed, after.asked, after.p(.5), c.Limit())
	}
}

// TestSlowBase proves that a house whose every commit becomes thirty times slower while it is flooded is not kept idle by the old idea of how
// long a command takes: within half a minute it does 85 % of what it now can, and goes back to the target when it is fast again.
func TestSlowBase(t *testing.T) {
	h := disks["slow disk"]
	c, peak := New(Options{Max: 12_000}), h.peakOf()
	flood := func() *source { return &source{name: "web", perSecond: steady(10 * peak)} }
	run(c, &h, 0, 2*time.Second, nil, &source{name: "web", perSecond: steady(0.3 * peak)})
	run(c, &h, 2*time.Second, 10*time.Second, nil, flood())
	h.sync *= 30
	run(c, &h, 10*time.Second, 40*time.Second, nil, flood())
	slow := flood()
	run(c, &h, 40*time.Second, 60*time.Second, nil, slow)
	if got := float64(slow.done) / 20; got < 0.85*h.peakOf() || slow.p(.5) > 2500*time.Millisecond {
		t.Errorf("slow: %.0f per second of %.0f, p50 %v", got, h.peakOf(), slow.p(.5))
	}
	h.sync /= 30
	run(c, &h, 60*time.Second, 90*time.Second, nil, flood())
	fast := flood()
	run(c, &h, 90*time.Second, 110*time.Second, nil, fast)
	if got := float64(fast.done) / 20; got < 0.9*peak || fast.p(.5) > 450*time.Millisecond {
		t.Errorf("fast again: %.0f per second of %.0f, p50 %v", got, peak, fast.p(.5))
	}
}

// TestBurstsAreNoRate proves that a house which stands still for four fifths of the time, as one whose processor others use, and does everything in the
// rest, is not taken for one that is five times as fast: a flood finds room for no more than is served in the surge.
func TestBurstsAreNoRate(t *testing.T) {
	h := disks["no batch"]
	h.every, h.still = 250*time.Millisecond, 200*time.Millisecond
	o := Options{Max: 12_000}
	c, peak := New(o), h.peakOf()/5
	run(c, &h, 0, 10*time.Second, nil, &source{name: "web", perSecond: steady(2 * peak)})
	run(c, &h, 10*time.Second, 40*time.Second, nil, &source{name: "web", perSecond: steady(0.3 * peak)})
	most := 0
	flood := &source{name: "web", perSecond: steady(10 * peak)}
	run(c, &h, 40*time.Second, 50*time.Second, func(time.Duration) { most = max(most, c.UnderWay()) }, flood)
	if surge := 1.5 * 2 * peak; float64(most) > surge || float64(flood.done)/10 < 0.75*peak {
		t.Errorf("%d under way, the surge is %.0f; %d of %.0f done", most, surge, flood.done, 10*peak)
	}
}

// TestRetryAfter proves that the times to come back follow the load: within their bounds, spread, and longer the harder a channel floods.
func TestRetryAfter(t *testing.T) {
	mean := func(times float64) time.Duration {
		h := disks["fast disk"]
		c := New(Options{})
		run(c, &h, 0, 10*time.Second, nil, &source{name: "web", perSecond: steady(times * h.peakOf())})
		s := &source{name: "web", perSecond: steady(times * h.peakOf())}
		run(c, &h, 10*time.Second, 15*time.Second, nil, s)
		sum := time.Duration(0)
		for _, r := range s.retry {
			if r < 10*time.Millisecond || r > 2*time.Second {
				t.Fatalf("come back in %v", r)
			}
			sum += r
		}
		slices.Sort(s.retry)
		if n := len(s.retry); s.retry[n/10]*3/2 > s.retry[n*9/10] {
			t.Errorf("at %.1f ×: from %v to %v", times, s.retry[n/10], s.retry[n*9/10])
		}
		return sum / time.Duration(len(s.retry))
	}
	light, heavy := mean(1.5), mean(4)
	t.Logf("come back in %v at 1.5 ×, %v at 4 ×", light, heavy)
	if light < 100*time.Millisecond || heavy < light*3/2 {
		t.Errorf("come back in %v at 1.5 ×, %v at 4 ×", light, heavy)
	}
}
