//go:build fault && linux

package fault

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"orderyard/gateway/wire"
	"orderyard/messages"
	"orderyard/test/fault/client"
	"orderyard/test/fault/load"
	"orderyard/test/fault/world"
)

// shiftable lets the suite shift the machine's clock of one node while it runs: the file beside its configuration says by how much, and how much
// faster it goes from then on. The source has no such seam.
var shiftable = map[string]func(string) (string, error){
	"cluster/clock/clock.go": func(text string) (string, error) {
		const at = "func wall() time.Time { return time.Now() }\n"
		if strings.Count(text, at) != 1 {
			return "", errors.New("clock.wall is not where it was")
		}
		text = strings.Replace(text, at, `func wall() time.Time {
	shift.Lock()
	defer shift.Unlock()
	now := time.Now()
	if now.Sub(shiftRead) > 20*time.Millisecond {
		shiftRead = now
		if text, err := os.ReadFile(os.Args[len(os.Args)-1] + ".clock"); err == nil && string(text) != shiftText {
			shiftText, shiftFrom = string(text), now
			fmt.Sscan(shiftText, &shiftBy, &shiftDrift)
		}
	}
	return now.Add(time.Duration(shiftBy + int64(shiftDrift*float64(now.Sub(shiftFrom)))))
}

var (
	shift                sync.Mutex
	shiftRead, shiftFrom time.Time
	shiftText            string
	shiftBy              int64
	shiftDrift           float64
)
`, 1)
		return strings.Replace(text, "\t\"errors\"\n", "\t\"errors\"\n\t\"fmt\"\n\t\"os\"\n", 1), nil
	},
}

// byTheMachine is what was before: every node goes by its machine's clock.
var byTheMachine = map[string]func(string) (string, error){
	"cluster/clock/clock.go": func(text string) (string, error) {
		text, err := shiftable["cluster/clock/clock.go"](text)
		const at = "func (c *Clock) NowMs() int64 { return c.now().Milliseconds() }\n"
		if err == nil && strings.Count(text, at) != 1 {
			err = errors.New("Clock.NowMs is not where it was")
		}
		return strings.Replace(text, at, "func (c *Clock) NowMs() int64 { return c.machine().Milliseconds() }\n", 1), err
	},
}

// shift sets a node's machine's clock.
func (s *scene) shift(n *world.Node, ahead time.Duration, drift float64) {
	s.Helper()
	file := n.File() + ".clock"
	text := fmt.Sprintf("%d %g\n", ahead.Nanoseconds(), drift)
	s.must("shift the clock", errors.Join(os.WriteFile(file+".new", []byte(text), 0o640), os.Rename(file+".new", file)))
}

const (
	holdEarlyMax = time.Second // docs/runbook/clock-trouble.md
	holdLateMax  = 4 * time.Second
	heldSKUs     = 12
)

// cartHold is one hold, as its client knows it by true time.
type cartHold struct {
	sku         string
	asked, told time.Time
	lasts       time.Duration
	gone        time.Time
}

// grant makes one hold on each of some buckets of their own.
func (s *scene) grant(lasts time.Duration, round int) (list []*cartHold) {
	s.Helper()
	site, units := load.Sites[0].ID, int64(100)
	for i := range heldSKUs {
		h := &cartHold{sku: fmt.Sprintf("TIMED-%d-%d", round, i), lasts: lasts}
		got := s.ask.Insist(s.Context(), messages.StockSubject("set"), client.Encode(wire.SetStockRequest{SKU: h.sku, Site: site, OnHand: &units}), "")
		s.require(got.OK(), "count %s: %s", h.sku, got.String())
		h.asked = time.Now()
		got = s.ask.Insist(s.Context(), messages.StockSubject("reserve"), client.Encode(wire.ReserveStockRequest{
			ReservationID: "timed-" + h.sku, SKU: h.sku, Site: site, Quantity: 1, HoldForMs: lasts.Milliseconds(),
		}), "")
		s.require(got.OK(), "hold %s: %s", h.sku, got.String())
		h.told = time.Now()
		list = append(list, h)
	}
	return list
}

// watchHolds notes when holds end, in the background.
func (s *scene) watchHolds(ctx context.Context, list []*cartHold) (done chan struct{}) {
	done = make(chan struct{})
	go func() {
		defer close(done)
		for left := len(list); left > 0 && ctx.Err() == nil; time.Sleep(100 * time.Millisecond) {
			for _, h := range list {
				if !h.gone.IsZero() {
					continue
				}
				got := s.ask.Insist(ctx, messages.StockSubject("get"), client.Encode(wire.GetStockRequest{SKU: h.sku, Site: load.Sites[0].ID}), "")
				var a wire.StockAnswer
				if got.OK() && got.Read(&a) == nil && a.Bucket != nil && a.Reserved == 0 {
					h.gone, left = time.Now(), left-1
				}
			}
		}
	}()
	return done
}

// judgeHolds gives the earliest and the latest end of any hold, against its true time.
func judgeHolds(list []*cartHold) (early, late time.Duration, open int) {
	early, late = time.Hour, -time.Hour
	for _, h := range list {
		if h.gone.IsZero() {
			open++
			continue
		}
		early = min(early, h.gone.Sub(h.asked)-h.lasts)
		late = max(late, h.gone.Sub(h.told)-h.lasts)
	}
	return early, late, open
}

// moveHolds grants holds under clocks that differ, and has every partition move between them while they last.
func (s *scene) moveHolds(judged bool) []*cartHold {
	s.Helper()
	lasts := time.Duration(sized(20, 8)) * time.Second
	var all []*cartHold
	for round, shifts := range [][3]time.Duration{{30 * time.Second, -30 * time.Second, 0}, {-30 * time.Second, 0, 30 * time.Second}}[:sized(2, 1)] {
		began := time.Now()
		for i, by := range shifts {
			s.shift(s.w.Nodes[i], by, 0)
		}
		time.Sleep(time.Second) // every node has seen its own clock jump
		list := s.grant(lasts, round)
		ctx, cancel := context.WithTimeout(s.Context(), lasts+70*time.Second) // longer than any clock is off
		done := s.watchHolds(ctx, list)
		if judged {
			s.unnoticed(fmt.Sprintf("clocks at %v", shifts), began, time.Now())
		}
		for i, n := range s.w.Nodes[:sized(3, 1)] { // each gives its partitions to nodes with other clocks, and takes some back
			_, err := n.Leave()
			s.must("leave", err)
			_, err = n.Restart()
			s.must("restart", err)
			_, err = s.w.Balance(balanceIn, s.names()...)
			s.must(fmt.Sprintf("balance after node %d", i+1), err)
		}
		<-done
		cancel()
		all = append(all, list...)
	}
	return all
}

// TestF12Clocks proves that no clock of a machine decides anything alone: with nodes half a minute ahead and behind, and one that drifts, no hold
// ends before its time or much after it, no request is refused as too late, and nothing is committed that should not be.
func TestF12Clocks(t *testing.T) {
	row := results.Row("F12", "clocks of two of three nodes +30 s and −30 s, partitions move between them; a drift of 2 %", "all I; no hold ends early (≥ −1 s); nobody blocked")
	s := setUp(t, row, world.Options{Nodes: 3, Build: "shiftable", How: world.Build{Patch: shiftable}}, cast{})
	_, err := s.w.Balance(balanceIn, s.names()...)
	s.must("balance", err)
	list := s.moveHolds(true)
	early, late, open := judgeHolds(list)
	row.Lead("%d holds moved between clocks ±30 s: ended %.2f s to %.2f s after their time", len(list), early.Seconds(), late.Seconds())
	s.require(open == 0, "%d holds did not end", open)
	s.require(early >= -holdEarlyMax, "a hold ended %v early", -early)
	s.require(late <= holdLateMax, "a hold ended %v late", late)
	for i, n := range s.w.Nodes {
		s.shift(n, 0, []float64{0.02, 0, -0.01}[i])
	}
	began := time.Now()
	time.Sleep(time.Duration(sized(30, 3)) * time.Second) // the drift
	s.unnoticed("a drifting clock", began, time.Now())
	for _, n := range s.w.Nodes {
		row.Say("%s: its machine is %.2f s ahead of the cluster's time", n.Name, n.Metric("orderyard_clock_off_seconds"))
	}
	s.audit()
}

// TestF12ByTheMachine proves the row: where every node goes by its machine's clock, the same moves end holds early.
func TestF12ByTheMachine(t *testing.T) {
	full(t)
	row := results.Row("F12-", "the same where every node goes by its machine", "the check of holds must fail")
	s := setUp(t, row, world.Options{Nodes: 3, Build: "bymachine", How: world.Build{Patch: byTheMachine}}, cast{load: load.Options{Quiet: true}})
	s.load.Stop() // what this build does to orders is nobody's concern
	_, err := s.w.Balance(balanceIn, s.names()...)
	s.must("balance", err)
	early, late, open := judgeHolds(s.moveHolds(false))
	s.require(early < -holdEarlyMax, "the earliest hold ended %v after its time: the check of holds sees nothing", early)
	row.Lead("holds ended %.1f s early to %.1f s late, %d were open after a minute", -early.Seconds(), late.Seconds(), open)
}
