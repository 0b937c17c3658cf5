package clock_test

import (
	"bytes"
	"log/slog"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"orderyard/cluster/clock"
)

// machine is a computer whose clock may be wrong. Its running clock is right but for a drift.
type machine struct {
	*clock.Clock
	t     *world
	ahead time.Duration
	drift float64 // of both its clocks
	born  time.Duration
	log   bytes.Buffer
}

// world holds true time, machines and the server that they all ask.
type world struct {
	now      time.Duration
	server   time.Duration // how far NATS's clock is ahead
	machines []*machine
	mute     bool // nobody hears anybody
}

var start = time.Unix(1_795_338_000, 0)

func (w *world) add(ahead time.Duration, drift float64) *machine {
	m := &machine{t: w, ahead: ahead, drift: drift, born: w.now}
	m.Clock = clock.New(clock.Options{
		Wall: func() time.Time { return start.Add(w.now + m.ahead + m.drifted()) },
		Run:  func() time.Duration { return w.now - m.born + m.drifted() },
		Log:  slog.New(slog.NewTextHandler(&m.log, nil)),
	})
	w.machines = append(w.machines, m)
	m.round()
	return m
}

func (m *machine) drifted() time.Duration { return time.Duration(m.drift * float64(m.t.now-m.born)) }

// round asks everybody. An answer takes up to 2 ms each way.
func (m *machine) round() {
	if !m.t.mute {
		asked := m.Running()
		m.t.now += time.Duration(rand.IntN(2000)) * time.Microsecond
		shown := start.Add(m.t.now + m.t.server)
		m.t.now += time.Duration(rand.IntN(2000)) * time.Microsecond
		m.Hear("NATS", shown, asked)
		for i, other := range m.t.machines {
			if other == m {
				continue
			}
			asked := m.Running()
			m.t.now += time.Duration(rand.IntN(2000)) * time.Microsecond
			answer := other.Answer()
			m.t.now += time.Duration(rand.IntN(2000)) * time.Microsecond
			_ = m.HearAnswer(string(rune('a'+i)), answer, asked)
		}
	}
	m.Agree()
}

// off is how far a machine's idea of the cluster's time is from the truth.
func (m *machine) wrong() time.Duration {
	return time.Duration(m.NowMs())*time.Millisecond - time.Duration(start.UnixMilli())*time.Millisecond - m.t.now
}

// pass lets time pass, with a vote every second, and gives the largest error and the largest difference between two machines.
func (w *world) pass(d time.Duration) (wrong, apart time.Duration) {
	for end := w.now + d; w.now < end; {
		w.now += time.Second
		for _, m := range w.machines {
			m.round()
		}
		for _, m := range w.machines {
			wrong = max(wrong, m.wrong().Abs())
			apart = max(apart, (m.wrong() - w.machines[0].wrong()).Abs())
		}
	}
	return wrong, apart
}

const nearly = 50 * time.Millisecond

// Proves that one wrong clock of three nodes moves nobody's time: ahead, behind, from the beginning, by a jump while it runs, or by a drift.
func TestOneWrongClock(t *testing.T) {
	for _, ahead := range []time.Duration{30 * time.Second, -30 * time.Second, time.Hour} {
		w := &world{}
		w.add(ahead, 0)
		w.add(0, 0)
		w.add(0, 0)
		w.pass(20 * time.Second) // the first one may have believed itself while it was alone
		if wrong, apart := w.pass(time.Minute); wrong > nearly || apart > nearly {
			t.Errorf("one clock %v ahead: times are wrong by up to %v, apart by %v", ahead, wrong, apart)
		}
		m := w.machines[1] // the next one jumps, the first is mended
		w.machines[0].ahead, m.ahead = 0, -ahead
		if wrong, apart := w.pass(time.Minute); wrong > nearly || apart > nearly {
			t.Errorf("a jump by %v: times are wrong by up to %v, apart by %v", -ahead, wrong, apart)
		}
		if !strings.Contains(m.log.String(), "this machine's clock is wrong") || strings.Contains(m.log.String(), "jumps") {
			t.Errorf("the operator is told %q", m.log.String())
		}
	}
	w := &world{}
	w.add(0, 0.01) // 36 s in an hour
	w.add(0, 0)
	w.add(0, -0.002)
	if wrong, apart := w.pass(time.Hour); wrong > nearly+80*time.Millisecond || apart > nearly {
		t.Errorf("drift: times are wrong by up to %v, apart by %v", wrong, apart)
	}
}

// Proves that a wrong server is outvoted, and that a node which comes later takes the time that the others have.
func TestWrongServer(t *testing.T) {
	w := &world{server: -30 * time.Second}
	w.add(0, 0)
	w.add(0, 0)
	w.add(30*time.Second, 0)
	if wrong, apart := w.pass(time.Minute); wrong > nearly || apart > nearly {
		t.Errorf("times are wrong by up to %v, apart by %v", wrong, apart)
	}
	if late := w.add(-30*time.Second, 0); (late.wrong() - w.machines[0].wrong()).Abs() > nearly {
		t.Errorf("who comes later is off by %v, the others by %v", late.wrong(), w.machines[0].wrong())
	}
}

// Proves that two nodes and a server need no more than two right clocks, and that a lone node between two opinions takes the later time, so that
// no hold ends early.
func TestFewClocks(t *testing.T) {
	w := &world{}
	if m := w.add(-30*time.Second, 0); m.wrong().Abs() > nearly {
		t.Errorf("a lone node that is behind is off by %v", m.wrong())
	}
	w.add(0, 0)
	if wrong, apart := w.pass(time.Minute); wrong > nearly || apart > nearly {
		t.Errorf("times are wrong by up to %v, apart by %v", wrong, apart)
	}
	w = &world{server: -30 * time.Second}
	if m := w.add(0, 0); m.wrong().Abs() > nearly {
		t.Errorf("a lone node whose server is behind is off by %v", m.wrong())
	}
	w.machines[0].ahead = -time.Minute // its vote moves the middle, not the time nearest to one
	if w.pass(time.Minute); w.machines[0].wrong() < -31*time.Second {
		t.Errorf("a lone node whose clock jumps is off by %v", w.machines[0].wrong())
	}
}

// Proves that a node which hears nobody keeps the time it had, whatever its machine says, and that half of a cluster whose clocks are set moves
// the time in one jump and not before it has been so for a while.
func TestCutOffAndSet(t *testing.T) {
	w := &world{}
	w.add(30*time.Second, 0)
	w.add(0, 0)
	w.add(0, 0)
	w.pass(20 * time.Second)
	w.mute = true
	if wrong, _ := w.pass(time.Minute); wrong > nearly {
		t.Errorf("cut off, times are wrong by up to %v", wrong)
	}
	w.mute = false
	for _, m := range w.machines {
		m.ahead = 8 * time.Hour // the machines slept together
	}
	w.server = 8 * time.Hour
	if w.pass(clock.StepAfter - 2*time.Second); w.machines[1].wrong() > nearly {
		t.Errorf("it jumped at once: %v", w.machines[1].wrong())
	}
	w.pass(5 * time.Second)
	for _, m := range w.machines {
		if (m.wrong()-8*time.Hour).Abs() > nearly || !strings.Contains(m.log.String(), "jumps") {
			t.Errorf("after all clocks were set: off by %v, told %q", m.wrong(), m.log.String())
		}
	}
}

// Proves that time never goes back but in a jump, while readings come and go and differ.
func TestNeverBack(t *testing.T) {
	w := &world{}
	m := w.add(0, 0)
	last := m.NowMs()
	for i := range 5000 {
		w.now += time.Millisecond
		if i%100 == 0 {
			m.Hear("NATS", start.Add(w.now+time.Duration(rand.IntN(1600)-800)*time.Millisecond), m.Running())
			m.Agree()
		}
		if now := m.NowMs(); now < last {
			t.Fatalf("%d ms after %d", now, last)
		} else {
			last = now
		}
	}
}

// Proves that an answer that took long, has another length or says nonsense has no vote.
func TestBadReadings(t *testing.T) {
	w := &world{mute: true}
	m := w.add(0, 0)
	asked := m.Running()
	w.now += 2 * clock.ReadingMax
	m.Hear("slow", start.Add(time.Hour), asked)
	if err := m.HearAnswer("short", []byte("soon"), m.Running()); err == nil {
		t.Error("an answer of four bytes is taken")
	}
	_ = m.HearAnswer("zero", make([]byte, 16), m.Running())
	m.Agree()
	if m.wrong().Abs() > nearly || m.Off().Abs() > nearly {
		t.Errorf("off by %v", m.wrong())
	}
}
