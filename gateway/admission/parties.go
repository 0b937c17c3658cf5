package admission

import "time"

// party is who shares the limit. Counts of asked and shed commands are since the last turn.
type party struct {
	name     string
	underWay int
	peak     int
	asked    int
	shed     int
	waits    bool // it would have asked for more

	active bool    // at the last turn
	greedy bool    // it wants more than it gets
	now    float64 // asked for per second, in the last turn
	rate   float64 // the same, smoothed
	modest bool    // that is no more than an even part of what comes out
	demand float64 // the most it had under way, while it is not greedy
	press  float64 // asked for ÷ got
	idle   time.Duration
}

const (
	// nameMax bounds what a caller can make us remember: a channel has at most 64 bytes.
	nameMax = 64
	// idleMax is how long a party keeps its place without asking.
	idleMax = 10 * time.Second
	// smoothing is the part a turn has in a rate: some two seconds, for on a slow disk answers come in bursts.
	smoothing = 0.05
	// partiesPart of the limit is for those who ask, however much work comes from inside.
	partiesPart = 0.25
)

// room says whether a party may have one more.
func (c *Controller) room(f *party) bool {
	if float64(c.underWay) >= c.bound && !c.contested {
		c.contested = true
		f.greedy = true
		c.fill()
	}
	if !c.contested {
		return true
	}
	if c.underWay-c.inside >= c.o.Max+c.o.Max/8 {
		return false
	}
	// Whoever asks for no more than an even part of what comes out is let in: while a queue drains that has become too long, what it has under
	// way is more than its part of the limit though it never asked for more.
	if f.modest {
		return true
	}
	if c.base.probing && f.greedy && c.underWay >= c.o.Min {
		return false
	}
	// A party below the level is let in though there is no room: those above it leave that room within the time of a command. Many such
	// parties at once have a lower level at the next turn, and an eighth over the largest limit until then.
	return float64(f.underWay) < c.level
}

// share looks at what every party asked for since the last turn and sets the level.
func (c *Controller) share(since time.Duration) {
	shed, active := false, 0
	for i := range c.parties {
		f := &c.parties[i]
		f.now = float64(f.asked) / since.Seconds()
		f.rate += smoothing * (f.now - f.rate)
		f.active = f.asked > 0 || f.underWay > 0 || f.waits
		f.greedy = f.shed > 0 || f.waits
		shed = shed || f.greedy
		f.demand = float64(max(f.peak, f.underWay))
		f.press = 1
		if f.shed > 0 {
			f.press = min(float64(f.asked)/max(float64(f.asked-f.shed), 1), pressMax)
		}
		if f.idle += since; f.active {
			f.idle = 0
		}
		if f.active {
			active++
		}
		f.asked, f.shed, f.waits, f.peak = 0, 0, false, f.underWay
	}
	for i := range c.parties {
		f := &c.parties[i]
		// Who begins to flood is seen at the next turn; chance may double what comes in one.
		f.modest = f.active && max(f.rate, f.now/2)*float64(active) <= c.rate
	}
	c.contested = c.contested && (shed || float64(c.underWay) >= c.bound)
	if c.contested {
		c.fill()
	}
}

// fill finds the level: it begins with an even part for everybody; what the modest ones leave of theirs is divided among the rest, which
// raises the level and makes more of them modest, until nothing is left over.
func (c *Controller) fill() {
	room, active := max(c.bound-float64(c.inside), partiesPart*c.bound), 0
	for i := range c.parties {
		if c.parties[i].active {
			active++
		}
	}
	c.level = room / float64(max(active, 1))
	for {
		left, rest := room, 0
		for i := range c.parties {
			switch f := &c.parties[i]; {
			case !f.active:
			case !f.greedy && f.demand < c.level:
				left -= f.demand
			default:
				rest++
			}
		}
		next := room // all are modest: nobody is held back
		if rest > 0 {
			next = left / float64(rest)
		}
		if next <= c.level {
			break
		}
		c.level = next
	}
	c.level = max(c.level, 1)
}

// vacant gives up the place of a party that has not asked for a while; Others when there is none. It is looked for only when all places
// are taken.
func (c *Controller) vacant() Party {
	for i := 1; i < len(c.parties); i++ {
		if f := &c.parties[i]; f.underWay == 0 && f.idle >= idleMax {
			delete(c.places, f.name)
			return Party(i)
		}
	}
	return Others
}
