package admission

import (
	"strings"
	"time"
)

// Options are the dials. Zero takes the default.
type Options struct {
	// Target is how long the median command may take while more is asked for than can be done; where commands take more than a tenth of it
	// with nobody before them, ten times that.
	Target time.Duration // default 250 ms
	// Interval is how long the median must be above the target before the limit comes down.
	Interval time.Duration // default 1 s
	// Surge bounds the queue until then: as much as is served in this time.
	Surge time.Duration // default 2 s
	// Min and Max bound the limit. It rests at Max. No more than Max and an eighth are under way for those who ask.
	Min, Max int // default 64, 8192
	// FlowsMax is how many flows are told apart.
	FlowsMax int // default 64
	// RetryMax is the longest time to come back that is given.
	RetryMax time.Duration // default 2 s
	// Seed of the chance in those times.
	Seed uint64
}

func (o Options) withDefaults() Options {
	for _, one := range []struct {
		have *time.Duration
		want time.Duration
	}{{&o.Target, 250 * time.Millisecond}, {&o.Interval, time.Second}, {&o.Surge, 2 * time.Second}, {&o.RetryMax, 2 * time.Second}} {
		if *one.have <= 0 {
			*one.have = one.want
		}
	}
	for _, one := range []struct {
		have *int
		want int
	}{{&o.Min, 64}, {&o.Max, 8192}, {&o.FlowsMax, 64}} {
		if *one.have <= 0 {
			*one.have = one.want
		}
	}
	o.Max = max(o.Max, o.Min)
	return o
}

const (
	// turnEvery is the time between two looks at the shares.
	turnEvery = 100 * time.Millisecond
	// retryMin is the shortest time to come back: a few commits.
	retryMin = 10 * time.Millisecond
	// pressMax bounds how much more a flow asks for than it gets, for the time to come back.
	pressMax = 20
)

// Flow is a flow's place. It stays the flow's for as long as something of it is under way.
type Flow int

// Others is the flow of all who are not told apart.
const Others Flow = 0

// Verdict is what becomes of a request.
type Verdict struct {
	OK   bool
	Flow Flow
	// RetryAfter is when to come back, of a refused one.
	RetryAfter time.Duration
}

// Controller is the state. Times are durations since any fixed moment and do not run backwards; one that does is taken for the last.
type Controller struct {
	o   Options
	now time.Duration

	limit    float64 // by latency
	bound    float64 // what holds: the limit, or less by the surge
	underWay int     // all of it
	inside   int     // of it what was not asked
	peak     int     // the most under way since the last measurement

	flows     []flow
	places    map[string]Flow
	contested bool
	level     float64 // what one flow may have under way while contested
	turnAt    time.Duration

	m    measurement
	base base
	rate float64 // commands answered per second, smoothed
	out  int     // answered since the last turn
	rand uint64
}

// New makes a controller that has seen nothing: its limit is Max.
func New(o Options) *Controller {
	o = o.withDefaults()
	c := &Controller{o: o, limit: float64(o.Max), flows: make([]flow, 1, o.FlowsMax+1), places: make(map[string]Flow, o.FlowsMax), rand: o.Seed | 1}
	c.bound = c.limit
	return c
}

// Limit is how much may be under way.
func (c *Controller) Limit() int { return int(c.bound) }

// UnderWay is how much is.
func (c *Controller) UnderWay() int { return c.underWay }

// Name is whose flow it is; "" for Others.
func (c *Controller) Name(f Flow) string { return c.flows[f].name }

// Admit asks for room for n commands of a flow. What is let in must Leave.
func (c *Controller) Admit(now time.Duration, name string, n int) Verdict {
	c.turn(now)
	at := c.find(name)
	f := &c.flows[at]
	f.asked += n
	f.active = true
	if !c.room(f) {
		f.shed += n
		return Verdict{Flow: at, RetryAfter: c.retryAfter(f)}
	}
	c.enter(f, n)
	return Verdict{OK: true, Flow: at}
}

// Enter lets n commands of a flow in without asking: they were let in before, as what is pulled from a queue was by Room.
func (c *Controller) Enter(now time.Duration, name string, n int) Flow {
	c.turn(now)
	at := c.find(name)
	c.flows[at].asked += n
	c.flows[at].active = true
	c.enter(&c.flows[at], n)
	return at
}

// More adds to what a flow has under way.
func (c *Controller) More(f Flow, n int) { c.enter(&c.flows[f], n) }

// Room says how many commands of a flow, at most so many, would be let in now. It is for whoever can wait with asking: nobody is
// refused, but the flow counts as one that wants more than it gets.
func (c *Controller) Room(now time.Duration, name string, most int) int {
	c.turn(now)
	f := &c.flows[c.find(name)]
	if !c.room(f) {
		f.active, f.greedy, f.waits = true, true, true
		return 0
	}
	free := c.bound - float64(c.underWay)
	if c.contested {
		free = max(free, c.level-float64(f.underWay))
	}
	n := int(min(max(free, 1), float64(most)))
	f.waits = f.waits || n < most
	return n
}

// Inside counts n commands that are let in whatever the limit says; InsideOver that they are over.
func (c *Controller) Inside(now time.Duration, n int) {
	c.turn(now)
	c.inside += n
	c.add(n)
}

// InsideOver ends what Inside began.
func (c *Controller) InsideOver(n int) {
	c.inside -= n
	c.underWay -= n
}

// Leave says that n commands of a flow are over. took is the time since they came in if it tells how the house does, 0 if not: of a single
// command that was made durable, or refused by an actor, but not of one that only met a closed way.
func (c *Controller) Leave(now time.Duration, f Flow, n int, took time.Duration) {
	c.turn(now)
	c.flows[f].underWay -= n
	c.underWay -= n
	c.out += n
	if took > 0 {
		c.m.add(c.now, took, n)
	}
}

func (c *Controller) enter(f *flow, n int) {
	f.underWay += n
	f.peak = max(f.peak, f.underWay)
	c.add(n)
}

func (c *Controller) add(n int) {
	c.underWay += n
	c.peak = max(c.peak, c.underWay)
}

// retryAfter is when a flow may come back.
func (c *Controller) retryAfter(f *flow) time.Duration {
	drain := c.o.Target.Seconds()
	if c.rate > 0 {
		drain = float64(c.underWay) / c.rate
	}
	seconds := drain * max(f.press, 1) * (0.5 + c.chance())
	return time.Duration(min(max(seconds, retryMin.Seconds()), c.o.RetryMax.Seconds()) * float64(time.Second))
}

// chance is from 0 to 1 (xorshift64: G. Marsaglia, "Xorshift RNGs", 2003).
func (c *Controller) chance() float64 {
	c.rand ^= c.rand << 13
	c.rand ^= c.rand >> 7
	c.rand ^= c.rand << 17
	return float64(c.rand>>11) / (1 << 53)
}

// turn does what is due.
func (c *Controller) turn(now time.Duration) {
	c.now = max(c.now, now)
	since := c.now - c.turnAt
	if since < turnEvery {
		return
	}
	c.turnAt = c.now
	// The first look after a pause sees an average over the pause: a rate that nobody asked for more of, and no harm.
	c.rate += 0.3 * (float64(c.out)/since.Seconds() - c.rate)
	c.out = 0
	c.measure()
	c.bound = c.limit
	if best := c.m.best(c.now); best > 0 {
		c.bound = max(min(c.limit, best*c.o.Surge.Seconds()), float64(c.o.Min))
	}
	c.share(since)
}

// find gives a flow's place, a new one if there is room.
func (c *Controller) find(name string) Flow {
	if at, known := c.places[name]; known {
		return at
	}
	if name == "" || len(name) > nameMax {
		return Others
	}
	at := Flow(len(c.flows))
	if len(c.flows) < cap(c.flows) {
		c.flows = append(c.flows, flow{})
	} else if at = c.vacant(); at == Others {
		return Others
	}
	name = strings.Clone(name) // what was given may be part of something large
	c.flows[at] = flow{name: name}
	c.places[name] = at
	return at
}
