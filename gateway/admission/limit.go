package admission

import (
	"math"
	"time"
)

// base is how long a command takes with next to nobody before it. A house of which that is a large part of the target would be kept idle
// by it: with a limit that gives the latency t, a house that shares commits does 1 − base/t of what it can.
type base struct {
	took    time.Duration // 0 = not known
	seenAt  time.Duration // when it was last seen to be about that
	probing bool
	since   time.Duration
	next    time.Duration // no probe before
}

const (
	// baseTimes is how many times the base the target must be: nine tenths of what the house can do.
	baseTimes = 10
	// A base that was not seen for baseFor while the limit is down is looked for, every probeEvery at most: who floods is kept out until next to
	// nothing is under way and the next few commands tell, or probeFor is over. BBR does the same for its round trip. The first look is
	// early: where many processes share few processors, a command takes longer with nobody before it as soon as all are busy.
	baseFor    = 3 * time.Second
	probeEvery = 20 * time.Second
	probeFor   = 3 * time.Second
	// limitUp is the part by which the limit goes up in a window whose queue is short.
	limitUp = 0.25
)

// measure closes the window when it has enough to tell, and sets the limit. since is the time since the last look.
func (c *Controller) measure(since time.Duration) {
	if since > windowMax {
		c.silence(since)
	}
	median, ok := c.m.close(c.now)
	if c.base.probing && (ok || c.now-c.base.since > probeFor) {
		c.probed(median, ok)
		return
	}
	if !ok {
		return
	}
	was := c.limit
	// A rate is what the house can do only when there was a queue: on a slow machine few take long, and their rate is only what they ask for.
	if median > c.target()/2 && c.peak > c.o.Min {
		c.m.loaded(c.now)
	}
	c.base.learn(median, c.now)
	switch target := c.target(); {
	case median > target:
		if c.m.above += c.m.lasted; c.m.above < c.o.Interval {
			break
		}
		if !c.m.cut && c.peak <= c.o.Min { // no queue of ours: the house itself takes that long, and a crowd shall be judged by its own time
			c.base.took, c.base.seenAt, c.m.above = median, c.now, 0
			break
		}
		if c.limit <= float64(c.o.Min) { // so few are nobody before anybody
			c.base.took, c.base.seenAt = median, c.now
			break
		}
		c.limit = min(c.limit, c.shrunk(median, target))
		c.m.cut = true
	case median > target/2:
		c.m.above = 0
		c.limit += math.Sqrt(c.limit)
	default:
		c.m.above, c.m.cut = 0, false
		c.limit += max(limitUp*c.limit, math.Sqrt(c.limit))
	}
	c.limit = min(max(c.limit, float64(c.o.Min)), float64(c.o.Max))
	c.peak = c.underWay - c.inside
	c.base.probing = c.m.cut && c.contested && c.now-c.base.seenAt > baseFor && c.now >= c.base.next
	c.base.since = c.now
	c.m.open(c.now, c.limit != was || c.base.probing)
}

// silence ends a time in which nobody came and nobody left. What the window held tells nothing of now, and the wait was no time under load: counted
// as such it would make of one slow command a minute above the target, and of a crowd an hour ago a rate of next to nothing.
func (c *Controller) silence(lasted time.Duration) {
	c.m.above = 0
	if c.underWay == 0 { // an empty house is a short queue: the limit goes up by as many windows as there was time for
		c.m.cut = false
		c.limit = min(c.limit*math.Pow(1+limitUp, lasted.Seconds()/windowMax.Seconds()), float64(c.o.Max))
	}
	c.peak = c.underWay - c.inside
	c.m.open(c.now, false)
}

// target is how long the median may take here. It never goes beyond the surge: callers do not wait longer because the house is slow.
func (c *Controller) target() time.Duration {
	return max(c.o.Target, min(baseTimes*c.base.took, c.o.Surge))
}

// learn takes a lower median for the base at once. A higher one may be the queue's fault: see probed.
func (b *base) learn(median, now time.Duration) {
	if b.took == 0 || median < b.took {
		b.took = median
	}
	if median <= 2*b.took {
		b.seenAt = now
	}
}

// probed ends a look for the base.
func (c *Controller) probed(median time.Duration, ok bool) {
	if ok {
		c.base.took = median
	}
	c.base.probing, c.base.seenAt, c.base.next = false, c.now, c.now+probeEvery
	c.peak = c.underWay - c.inside
	c.m.open(c.now, true)
}

// shrunk is the limit that a median above the target asks for.
func (c *Controller) shrunk(median, target time.Duration) float64 {
	queue := math.Sqrt(c.limit)
	if c.m.cut {
		return min(c.limit, float64(c.peak))*max(target.Seconds()/median.Seconds(), 0.5) + queue
	}
	// The first time all of the queue goes that the target has no room for. What was under way came in faster than it went out, so without a
	// better figure peak ÷ median is a rate that is too high rather than too low.
	rate := c.m.best(c.now)
	if rate == 0 {
		rate = float64(c.peak) / median.Seconds()
	}
	return rate*target.Seconds() + queue
}
