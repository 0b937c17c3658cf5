package sim

import (
	"context"
	"fmt"
	"time"

	"orderyard/actors"
	"orderyard/actors/entity"
	"orderyard/cluster"
	"orderyard/messages"
)

// node is one process: its keeper, its knowledge, its partitions, its end of the bus and its feed of public events, all of them the real ones,
// driven by the world.
type node struct {
	w           *world
	seat        int
	incarnation string
	began       int64

	gone      bool // the process has ended
	paused    bool // it stands still
	cut       bool // from NATS
	cutAt     int64
	apart     bool // from its peers
	leaving   bool
	frozen    []func()
	processes []*process

	clockOffset int64 // of its wall clock
	driftPpm    int64 // of both its clocks

	keeper  *cluster.Stepper
	view    *registryView
	bus     *nodeBus
	store   *nodeStore
	know    *actors.Knowledge
	sharing *actors.SharingSteps
	kinds   entity.Kinds
	lanes   []*lane
	feeds   *feeds

	stepAt   int64 // when the keeper steps next; 0 = it is not planned
	telling  bool
	offering bool
	healing  bool
}

// start begins a process on a machine.
func (w *world) start(seat int) {
	w.starts++
	n := &node{w: w, seat: seat, began: w.now, incarnation: fmt.Sprintf("n%d-%d", seat+1, w.starts)}
	w.seats[seat] = n
	w.note("%s starts", n.incarnation)
	if w.strikes(faultClock) {
		n.driftPpm = w.between(-50_000, 50_000)
	}
	n.store = &nodeStore{n, w.storage.faulty}
	n.bus = newNodeBus(n)
	n.know = actors.NewKnowledge(w.rules, n.wall, n.route)
	n.know.Stopwatch = func() int64 { return 0 }
	n.know.SplitBy(w.o.Partitions)
	n.kinds = w.machines(n)
	n.feeds = newFeeds(n)
	for p := range w.o.Partitions {
		n.lanes = append(n.lanes, newLane(n, p))
	}
	n.view = newRegistryView(n)
	var err error
	sure := func(partition int) bool { return n.keeper.Sure(partition) }
	n.sharing, err = actors.ShareBySteps(n.know, n.bus, n.incarnation, sure, func() time.Time { return time.UnixMilli(startAt).Add(n.mono()) })
	if err == nil {
		n.keeper, err = cluster.NewStepper(cluster.Options{
			Session:  &messages.NodeSession{Node: fmt.Sprintf("n%d", seat+1), Incarnation: n.incarnation, Weight: 1},
			Registry: n.view, Bus: n.bus, Host: host{n}, Partitions: w.o.Partitions, Clock: n.mono,
		}, cluster.Hands{
			Go:    n.process,
			After: func(d time.Duration, fn func()) { n.after(d.Milliseconds(), fn) },
			Poke:  func() { n.step(0) },
		})
	}
	var wait time.Duration
	if err == nil {
		wait, err = n.keeper.Begin(context.Background())
	}
	if err != nil {
		panic(err)
	}
	n.step(wait)
	n.process(n.learn)
	n.beat()
}

func (n *node) after(ms int64, run func()) { n.w.at(ms, n, run) }

// elapsed is the time since the process began, as its own clocks count it.
func (n *node) elapsed() int64 {
	d := n.w.now - n.began
	return d + d*n.driftPpm/1_000_000
}

// wall is the process's wall clock.
func (n *node) wall() int64 { return n.began + n.elapsed() + n.clockOffset + n.w.leap }

// mono is its monotonic one.
func (n *node) mono() time.Duration {
	return time.Minute + time.Duration(n.elapsed())*time.Millisecond
}

// learn asks a member for what it knows of stock and sites; only who knows them may own partitions.
func (n *node) learn() {
	n.healing = true // one at a time fetches what others know
	defer func() { n.healing = false }()
	for {
		var others []string
		for _, m := range n.keeper.Map().Members {
			others = append(others, m.Incarnation)
		}
		if n.sharing.Sync(context.Background(), others) == nil {
			break
		}
		if !n.w.sleep(200) {
			return
		}
	}
	n.keeper.SetReady(true)
}

// step has the keeper take its next step so soon, unless that is sooner already.
func (n *node) step(wait time.Duration) {
	at := n.w.now + wait.Milliseconds()
	if n.stepAt != 0 && n.stepAt <= at {
		return
	}
	n.stepAt = at
	n.after(at-n.w.now, func() {
		if n.stepAt != at {
			return
		}
		n.stepAt = 0
		n.step(n.keeper.Step())
	})
}

// beat is what happens every second: news with the numbers, alarms after a step of the clock, what is idle becomes bytes, cursors are saved.
func (n *node) beat() {
	n.after(n.w.between(900, 1_000), func() {
		n.sharing.Beat()
		n.offer()
		for _, l := range n.lanes {
			l.beat()
		}
		n.feeds.beat()
		n.rang()
		n.beat()
	})
}

// offer offers what there is to those who wait, in turns.
func (n *node) offer() {
	if n.offering {
		return
	}
	n.offering = true
	n.after(0, n.offerOnce)
}

func (n *node) offerOnce() {
	if next := n.know.OfferStock(); next < time.Second {
		n.after(next.Milliseconds(), n.offerOnce)
		return
	}
	n.offering = false
}

// rang has news told and missed ones fetched, a moment later, when there are any.
func (n *node) rang() {
	if !n.telling && n.sharing.News() {
		n.telling = true
		n.after(10, func() {
			n.telling = false
			n.sharing.Tell()
			n.rang()
		})
	}
	if !n.healing && n.sharing.Missed() {
		n.healing = true
		n.process(n.heal)
	}
}

// heal is the loop that asks for what was missed, while there is anything.
func (n *node) heal() {
	defer func() { n.healing = false }()
	for wait := int64(50); n.w.sleep(wait); {
		next := n.sharing.Heal(context.Background())
		if next == 0 {
			return
		}
		wait = next.Milliseconds() + 1
	}
}

// observe takes what became durable.
func (n *node) observe(ref messages.Ref, summary messages.Message, waits []string) {
	n.know.Observe(ref, summary, waits)
	n.rangSoon()
}

// rangSoon is rang without looking for missed news.
func (n *node) rangSoon() {
	if !n.telling && n.sharing.News() {
		n.telling = true
		n.after(10, func() {
			n.telling = false
			n.sharing.Tell()
			n.rangSoon()
		})
	}
}

// crash ends the process between two steps: all that is not in the journal is gone.
func (n *node) crash() {
	if n.gone {
		return
	}
	n.w.result.Crashes++
	n.w.note("%s crashes", n.incarnation)
	n.end()
	n.w.after(n.w.between(50, 4_000), func() { n.w.start(n.seat) })
}

func (n *node) end() {
	n.gone = true
	n.feeds.end()
	n.endProcesses()
	n.frozen = nil
}

// leave drains, goes, and comes back.
func (n *node) leave() {
	if n.gone || n.leaving {
		return
	}
	n.leaving = true
	n.w.result.Leaves++
	n.w.note("%s leaves", n.incarnation)
	n.keeper.StartDrain(10 * time.Second)
	n.process(func() {
		for !n.keeper.Drained() {
			if !n.w.sleep(100) {
				return
			}
		}
		for n.view.EndSession(context.Background(), n.incarnation) != nil {
			if !n.w.sleep(100) {
				return
			}
		}
		if n.gone {
			return
		}
		n.w.note("%s has left", n.incarnation)
		n.end()
		n.w.after(n.w.between(100, 2_000), func() { n.w.start(n.seat) })
	})
}

// pause stops the process; what was for it comes when it goes on, and what others tell of who took over possibly later still.
func (n *node) pause(ms int64) {
	if n.gone || n.paused {
		return
	}
	w := n.w
	w.result.Pauses++
	w.note("%s stands still for %d ms", n.incarnation, ms)
	n.paused = true
	w.after(ms, func() {
		if n.gone {
			return
		}
		w.note("%s goes on", n.incarnation)
		n.paused = false
		if w.chance(50) {
			n.view.lateTill = w.now + w.between(0, 1_500)
		}
		frozen := n.frozen
		n.frozen = nil
		for _, run := range frozen {
			n.after(0, run)
		}
	})
}

// cutOff takes the way to NATS away.
func (n *node) cutOff(ms int64) {
	if n.gone || n.cut {
		return
	}
	w := n.w
	w.result.Cuts++
	w.note("%s is cut off from NATS for %d ms", n.incarnation, ms)
	n.cut, n.cutAt = true, w.now
	n.feeds.end()
	n.after(w.between(200, 1_000), func() {
		if n.cut {
			n.view.lost()
		}
	})
	w.after(ms, func() {
		n.cut = false
		n.after(w.between(20, 300), func() {
			if !n.cut {
				w.note("%s reaches NATS", n.incarnation)
				n.view.back()
				n.feeds.begin()
			}
		})
	})
}

// splitOff takes the direct ways to its peers away.
func (n *node) splitOff(ms int64) {
	if n.gone || n.apart {
		return
	}
	n.w.result.Cuts++
	n.w.note("%s is cut off from its peers for %d ms", n.incarnation, ms)
	n.apart = true
	n.w.after(ms, func() { n.apart = false })
}
