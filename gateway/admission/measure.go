package admission

import (
	"math/bits"
	"time"
)

const (
	// samplesMin is how many answers a window wants before it says anything, windowMax how long it waits for them.
	samplesMin = 10
	windowMax  = time.Second
	// rateOver is how much time under load makes a rate: answers come in bursts, a commit's worth at once, and a window of a tenth of a second can see
	// three times what the house does. bestOf is how many of them the highest is taken of, and bestFor later they say nothing more.
	rateOver = time.Second
	bestOf   = 20
	bestFor  = time.Minute
	// Latencies are counted in buckets: an eighth of a power of two of microseconds, up to some 18 minutes.
	bucketBits = 3
	buckets    = 28 << bucketBits
)

// measurement is a window of answers: how long they took, and how many there were.
type measurement struct {
	began   time.Duration
	changed time.Duration // what came in before is not judged
	counts  [buckets]uint32
	samples uint32
	out     int           // commands answered, the not judged ones too
	lasted  time.Duration // of the last window that was closed

	above time.Duration // how long the median has been above the target
	cut   bool          // the limit came down, and the queue has not been short since

	rates   [bestOf]float64 // under load, a ring
	filled  int
	rateAt  time.Duration
	loadOut int // under load, and in no rate yet
	loadFor time.Duration
}

func (m *measurement) add(now, took time.Duration, n int) {
	m.out += n
	if n > 1 || now-took < m.changed {
		return
	}
	m.counts[bucketOf(took)]++
	m.samples++
}

// bucketOf is the place of a latency: the position of its highest bit and the bits behind.
func bucketOf(took time.Duration) int {
	us := uint64(max(took.Microseconds(), 1<<bucketBits))
	shift := bits.Len64(us) - 1 - bucketBits
	return min(shift<<bucketBits+int(us>>shift)-1<<bucketBits, buckets-1)
}

// middleOf is the latency in the middle of a bucket.
func middleOf(bucket int) time.Duration {
	shift := bucket >> bucketBits
	us := uint64(bucket&(1<<bucketBits-1)+1<<bucketBits) << shift
	return time.Duration(us+uint64(1)<<shift/2) * time.Microsecond
}

// close gives the window's median if it has enough answers.
func (m *measurement) close(now time.Duration) (time.Duration, bool) {
	m.lasted = now - m.began
	switch {
	case m.samples == 0 && m.lasted >= windowMax && m.out == 0:
		m.open(now, false) // nothing happens: the next window begins when something does
		return 0, false
	case m.samples < samplesMin && m.lasted < windowMax, m.samples == 0:
		return 0, false
	}
	half, median := (m.samples+1)/2, time.Duration(0)
	for i, n := range m.counts {
		if n >= half {
			median = middleOf(i)
			break
		}
		half -= n
	}
	return median, true
}

// loaded says that the window just closed was under load: its rate is what the house can do.
func (m *measurement) loaded(now time.Duration) {
	m.loadOut += m.out
	if m.loadFor += m.lasted; m.loadFor < rateOver {
		return
	}
	m.rates[m.filled%bestOf] = float64(m.loadOut) / m.loadFor.Seconds()
	m.filled++
	m.rateAt = now
	m.loadOut, m.loadFor = 0, 0
}

// open begins a window.
func (m *measurement) open(now time.Duration, changed bool) {
	m.began, m.samples, m.out = now, 0, 0
	clear(m.counts[:])
	if changed {
		m.changed = now
	}
}

// best is the highest rate seen lately under load; 0 = not known.
func (m *measurement) best(now time.Duration) float64 {
	if m.filled == 0 || now-m.rateAt > bestFor {
		m.filled = 0
		return 0
	}
	best := 0.0
	for _, r := range m.rates[:min(m.filled, bestOf)] {
		best = max(best, r)
	}
	return best
}
