package sim

import "context"

// scheduleFaults lets them strike at random until the load is through.
func (w *world) scheduleFaults() {
	most := max(w.o.busy()/12, 400)
	w.after(w.between(1_000, 2_000), func() { w.strikeAgain(most) })
}

func (w *world) strikeAgain(most int64) {
	if !w.faults {
		return
	}
	if len(w.o.Faults) > 0 {
		w.strikeOnce(w.o.Faults[w.rng.IntN(len(w.o.Faults))])
	}
	w.after(w.between(most/6, most), func() { w.strikeAgain(most) })
}

// strikeOnce does the one thing.
func (w *world) strikeOnce(kind string) {
	n := w.seats[w.rng.IntN(len(w.seats))]
	if n.gone {
		return
	}
	switch kind {
	case faultCrash:
		w.strikeNodes(n, 7, (*node).crash)
	case faultLeave:
		if len(w.seats) > 1 {
			n.leave()
		}
	case faultPause:
		n.pause(w.between(200, 6_000))
	case faultCut:
		ms := w.between(100, 6_000)
		w.strikeNodes(n, 30, func(n *node) { n.cutOff(ms) })
	case faultPeers:
		n.splitOff(w.between(500, 6_000))
	case faultJournal:
		w.storage.faulty.Deliver(context.Background())
	case faultDisk:
		w.fill(w.between(100, 3_000))
	case faultClock:
		n.clockOffset = w.between(-30_000, 30_000)
		w.note("%s sets its clock by %d ms", n.incarnation, n.clockOffset)
	case faultBurst:
		w.load.burst()
	}
}

// strikeNodes strikes one of them, or, so often in percent, all at once: then NATS itself was gone, or the machines' power.
func (w *world) strikeNodes(one *node, all float64, strike func(*node)) {
	if !w.chance(all) {
		strike(one)
		return
	}
	for _, n := range w.seats {
		strike(n)
	}
}

// fill lets nothing be written for a while.
func (w *world) fill(ms int64) {
	if w.full {
		return
	}
	w.note("the disk is full for %d ms", ms)
	w.full = true
	w.after(ms, func() { w.full = false })
}

// heal ends all faults: who stands still goes on, who is cut off is back, clocks are set right.
func (w *world) heal() {
	w.faults = false
	for _, n := range w.seats {
		n.clockOffset = 0
	}
}
