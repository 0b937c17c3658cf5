package clock

import (
	"cmp"
	"encoding/binary"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// AgreeEvery is the pause between two votes.
	AgreeEvery = time.Second
	// ReadingMax is the longest way of a question whose answer is believed: half of it is how wrong the reading may be.
	ReadingMax = 500 * time.Millisecond
	// FreshFor is how long a reading counts. The running clocks of two machines part by less than a millisecond in that time.
	FreshFor = 15 * time.Second
	// StepAbove is how far the middle must be away to be jumped to, StepAfter for how long; below, time runs a little faster or slower
	// until it is there.
	StepAbove = time.Second
	StepAfter = 5 * time.Second
	// offAbove is how far this machine's own clock may be off before its operator is told.
	offAbove = time.Second
	// slewPart is how much faster or slower time may run: a tenth.
	slewPart = 10
)

// Options are for tests; the zero value is the machine.
type Options struct {
	Wall func() time.Time     // the machine's clock
	Run  func() time.Duration // never goes back and ignores the machine's clock
	Log  *slog.Logger
}

// Clock is this process's share in the cluster's time. All methods may be called concurrently.
type Clock struct {
	wall func() time.Time
	run  func() time.Duration
	log  *slog.Logger
	pace atomic.Pointer[pace]

	mu       sync.Mutex
	readings map[string]reading
	set      bool          // some other clock has been heard
	away     time.Duration // since when the middle has been far away, by run; 0 = it is not
	off      bool          // the operator was told
}

// pace is how time runs between two votes: from a moment on, with something to catch up or to wait for.
type pace struct {
	at     time.Duration // by run
	time   time.Duration // since 1970
	behind time.Duration // to be caught up; negative = to be waited for
}

func (p *pace) now(run time.Duration) time.Duration {
	gone := max(run-p.at, 0)
	return p.time + gone + min(max(p.behind, -gone/slewPart), gone/slewPart)
}

// reading is what another clock showed: its time when ours ran at zero.
type reading struct {
	base  time.Duration
	agree time.Duration // the same of the time its process goes by; of NATS it is that of its clock
	heard time.Duration
}

// New makes a clock that goes by the machine until it has heard of others.
func New(o Options) *Clock {
	if o.Wall == nil {
		o.Wall = wall
	}
	if o.Run == nil {
		start := time.Now()
		o.Run = func() time.Duration { return time.Since(start) }
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	c := &Clock{wall: o.Wall, run: o.Run, log: o.Log, readings: make(map[string]reading)}
	c.pace.Store(&pace{at: c.run(), time: c.machine()})
	return c
}

// wall is the one place where a member looks at its machine's clock for a time that others will go by.
func wall() time.Time { return time.Now() }

func (c *Clock) machine() time.Duration { return time.Duration(c.wall().UnixNano()) }

func (c *Clock) now() time.Duration { return c.pace.Load().now(c.run()) }

// NowMs is the cluster's time in Unix milliseconds. It goes back only in a jump.
func (c *Clock) NowMs() int64 { return c.now().Milliseconds() }

// Off is how far the machine's clock is ahead of the cluster's time.
func (c *Clock) Off() time.Duration { return c.machine() - c.now() }

// Running is the clock that Hear wants the moments of a question by.
func (c *Clock) Running() time.Duration { return c.run() }

// answerBytes is the length of an answer.
const answerBytes = 16

// Answer is what this process tells another: its machine's time and the time it goes by.
func (c *Clock) Answer() []byte {
	b := binary.BigEndian.AppendUint64(make([]byte, 0, answerBytes), uint64(c.machine()))
	return binary.BigEndian.AppendUint64(b, uint64(c.now()))
}

// HearAnswer takes in another process's Answer.
func (c *Clock) HearAnswer(from string, answer []byte, asked time.Duration) error {
	if len(answer) != answerBytes {
		return errors.New("clock: the answer has another length")
	}
	machine, now := time.Duration(binary.BigEndian.Uint64(answer)), time.Duration(binary.BigEndian.Uint64(answer[8:]))
	c.hear(from, machine, now, asked)
	return nil
}

// Hear takes in what another clock showed on a question that was asked at a moment of Running and is answered now. One that took too
// long says nothing.
func (c *Clock) Hear(from string, shown time.Time, asked time.Duration) {
	t := time.Duration(shown.UnixNano())
	c.hear(from, t, t, asked)
}

func (c *Clock) hear(from string, machine, now, asked time.Duration) {
	heard := c.run()
	if heard-asked > ReadingMax || machine <= 0 || now <= 0 {
		return
	}
	middle := asked + (heard-asked)/2
	c.mu.Lock()
	defer c.mu.Unlock()
	c.readings[from] = reading{base: machine - middle, agree: now - middle, heard: heard}
}

// Agree takes the vote. The first one with others sets the time; call it before this node owns anything.
func (c *Clock) Agree() {
	c.mu.Lock()
	defer c.mu.Unlock()
	run, machine := c.run(), c.machine()
	votes, times := []time.Duration{machine - run}, []time.Duration(nil)
	for from, r := range c.readings {
		if run-r.heard > FreshFor {
			delete(c.readings, from)
			continue
		}
		votes, times = append(votes, r.base), append(times, r.agree)
	}
	if len(times) == 0 {
		return // who hears nobody keeps the time it had
	}
	now := c.pace.Load().now(run)
	near := now - run
	if !c.set {
		low, high := middle(times)
		near = max(low, high, near)
	}
	low, high := middle(votes)
	target := low
	if (high - near).Abs() < (near - low).Abs() {
		target = high
	}
	c.steer(run, now, target+run)
	c.report(machine-c.pace.Load().time, len(votes))
}

// middle gives the two values in the middle; the same one twice of an odd number.
func middle(list []time.Duration) (low, high time.Duration) {
	slices.SortFunc(list, cmp.Compare[time.Duration])
	return list[(len(list)-1)/2], list[len(list)/2]
}

// steer has time run towards where it should be, or jump there.
func (c *Clock) steer(run, now, target time.Duration) {
	behind := target - now
	switch {
	case behind.Abs() <= StepAbove:
		c.away = 0
	case c.away == 0 && c.set:
		c.away = max(run, 1)
	}
	if !c.set || c.away != 0 && run-c.away >= StepAfter {
		if c.set {
			c.log.Warn("the cluster's time jumps: half of the clocks say another one", "by", behind.Round(time.Millisecond))
		}
		now, behind, c.away, c.set = target, 0, 0, true
	}
	if c.away != 0 {
		behind = 0 // it may be a vote that comes and goes
	}
	c.pace.Store(&pace{at: run, time: now, behind: behind})
}

// report tells the operator of this machine once when its clock goes wrong, and once when it is right again.
func (c *Clock) report(off time.Duration, votes int) {
	switch wrong := off.Abs() > offAbove; {
	case wrong && !c.off:
		c.off = true
		c.log.Warn("this machine's clock is wrong: the node goes by the middle of all clocks", "off", off.Round(time.Millisecond), "clocks", votes)
	case !wrong && c.off && off.Abs() < offAbove/2:
		c.off = false
		c.log.Info("this machine's clock is right again", "off", off.Round(time.Millisecond))
	}
}
