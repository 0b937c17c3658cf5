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
	// PartiesMax is how many parties are told apart.
	PartiesMax int // default 64
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
	}{{&o.Min, 64}, {&o.Max, 8192}, {&o.PartiesMax, 64}} {
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
	// pressMax bounds how much more a party asks for than it gets, for the time to come back.
	pressMax = 20
)

// Party is a party's place. It stays the party's for as long as something of it is under way.
type Party int

// Others is the party of all who are not told apart.
const Others Party = 0

// Verdict is what becomes of a request.
type Verdict struct {
	OK    bool
	Party Party
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
	peak     int     // the most under way of what was asked, since the last measurement

	parties   []party
	places    map[string]Party
	contested bool
	level     float64 // what one party may have under way while contested
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
	c := &Controller{o: o, limit: float64(o.Max), parties: make([]party, 1, o.PartiesMax+1), places: make(map[string]Party, o.PartiesMax), rand: o.Seed | 1}
	c.bound = c.limit
	return c
}

// Limit is how much may be under way.
func (c *Controller) Limit() int { return int(c.bound) }

// UnderWay is how much is.
func (c *Controller) UnderWay() int { return c.underWay }

// Name is whose party it is; "" for Others.
func (c *Controller) Name(f Party) string { return c.parties[f].name }

// Admit asks for room for n commands of a party. What is let in must Leave.
func (c *Controller) Admit(now time.Duration, name string, n int) Verdict {
	c.turn(now)
	at := c.find(name)
	f := &c.parties[at]
	f.asked += n
	f.active = true
	if !c.room(f) {
		f.shed += n
		return Verdict{Party: at, RetryAfter: c.retryAfter(f)}
	}
	c.enter(f, n)
	return Verdict{OK: true, Party: at}
}

// Enter lets n commands of a party in without asking: they were let in before, as what is pulled from a queue was by Room.
func (c *Controller) Enter(now time.Duration, name string, n int) Party {
	c.turn(now)
	at := c.find(name)
	c.parties[at].asked += n
	c.parties[at].active = true
	c.enter(&c.parties[at], n)
	return at
}

// More adds to what a party has under way.
func (c *Controller) More(f Party, n int) { c.enter(&c.parties[f], n) }

// Room says how many commands of a party, at most so many, would be let in now. It is for whoever can wait with asking: nobody is
// refused, but the party counts as one that wants more than it gets.
func (c *Controller) Room(now time.Duration, name string, most int) int {
	c.turn(now)
	f := &c.parties[c.find(name)]
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

// Leave says that n commands of a party are over. took is the time since they came in if it tells how the house does, 0 if not: of a single
// command that was made durable, or refused by an actor, but not of one that only met a closed way.
func (c *Controller) Leave(now time.Duration, f Party, n int, took time.Duration) {
	c.turn(now)
	c.parties[f].underWay -= n
	c.underWay -= n
	c.out += n
	if took > 0 {
		c.m.add(c.now, took, n)
	}
}

func (c *Controller) enter(f *party, n int) {
	f.underWay += n
	f.peak = max(f.peak, f.underWay)
	c.add(n)
}

func (c *Controller) add(n int) {
	c.underWay += n
	c.peak = max(c.peak, c.underWay-c.inside)
}

// retryAfter is when a party may come back.
func (c *Controller) retryAfter(f *party) time.Duration {
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
	c.rate += smoothing * (float64(c.out)/since.Seconds() - c.rate)
	c.out = 0
	c.measure(since)
	c.bound = c.limit
	if best := c.m.best(c.now); best > 0 {
		c.bound = max(min(c.limit, best*c.o.Surge.Seconds()), float64(c.o.Min))
	}
	c.share(since)
}

// find gives a party's place, a new one if there is room.
func (c *Controller) find(name string) Party {
	if at, known := c.places[name]; known {
		return at
	}
	if name == "" || len(name) > nameMax {
		return Others
	}
	at := Party(len(c.parties))
	if len(c.parties) < cap(c.parties) {
		c.parties = append(c.parties, party{})
	} else if at = c.vacant(); at == Others {
		return Others
	}
	name = strings.Clone(name) // what was given may be part of something large
	c.parties[at] = party{name: name}
	c.places[name] = at
	return at
}
