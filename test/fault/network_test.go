//go:build fault && linux

package fault

import (
	"fmt"
	"testing"
	"time"

	"orderyard/test/fault/world"
)

// wired opens a world whose wires can be cut, or skips the row.
func wired(t *testing.T, id, fault, required string) *scene {
	t.Helper()
	row := results.Row(id, fault, required)
	if testing.Short() {
		row.Close(false, true)
		t.Skip("not in the short run")
	}
	if err := world.NamespacesAllowed(); err != nil {
		row.Say("%v", err)
		row.Close(false, true)
		t.Skip(err)
	}
	return setUp(t, row, world.Options{Nodes: 3, Namespaces: true}, cast{})
}

// answeredMin is the share of attempts that get a settling answer while a wire is cut.
const answeredMin = 0.95

// TestF04CutFromPeers proves that a node that reaches NATS but not its peers does no harm: requests are answered all the same, and every
// partition has one owner throughout, by the journal's own account.
func TestF04CutFromPeers(t *testing.T) {
	s := wired(t, "F4", "node cut from its peers, not from NATS, for 30 s", "all I; one owner per partition; ≥ 95 % of requests answered")
	_, err := s.w.Balance(balanceIn, s.names()...)
	s.must("balance", err)
	began := time.Now()
	for _, other := range []string{"node-1", "node-2"} {
		s.must("cut", s.w.Cut("node-3", other))
	}
	time.Sleep(30 * time.Second) // the cut is the subject
	healed := time.Now()
	for _, other := range []string{"node-1", "node-2"} {
		s.must("mend", s.w.Mend("node-3", other))
	}
	s.answered(began, healed)
	_, _, longest := spread(s.probe.Gaps(began, healed))
	s.row.Say("longest silence of a partition while cut: %v", ms(longest))
	_, err = s.w.Balance(balanceIn, s.names()...)
	s.must("balance after the cut", err)
	s.audit()
}

// answered measures the share of attempts that were settled between two moments, by orders and by the writers.
func (s *scene) answered(from, to time.Time) {
	s.Helper()
	orders, writes := s.ask.Tally.Between(from, to), s.probe.Tally().Between(from, to)
	all, mute := orders.All()+writes.All(), orders.Unanswered()+writes.Unanswered()
	share := 1 - float64(mute)/float64(max(all, 1))
	s.row.Say("%.2f %% of %d attempts answered (clients %v, writers %v)", 100*share, all, orders, writes)
	s.require(share >= answeredMin, "%.2f %% of the attempts were answered, at least %.0f %%", 100*share, 100*answeredMin)
}

const (
	silentMax = 4 * time.Second
	movedMax  = 8 * time.Second
)

// TestF05CutFromNATS proves that a node that has lost NATS stops answering before others may serve what it served, and that they do so soon.
// Whether an answer came too late for truth is the history's to tell.
func TestF05CutFromNATS(t *testing.T) {
	s := wired(t, "F5", "node cut from NATS, not from its peers, for 20 s", "it stops answering ≤ 4 s; partitions move ≤ 8 s")
	_, err := s.w.Balance(balanceIn, s.names()...)
	s.must("balance", err)
	owned, err := s.w.Owned("node-3")
	s.must("who owns what", err)
	began := time.Now()
	s.must("cut", s.w.Cut("node-3", "nats-1"))
	silent := s.until(30*time.Second, "the node says that it is not ready", func() error {
		if s.w.Node("node-3").Ready() == nil {
			return fmt.Errorf("it says that it is")
		}
		return nil
	})
	back := s.comeBack(owned, began, 30*time.Second)
	p50, _, longest := spread(back)
	s.row.Say("not ready after %v; its %d partitions commit elsewhere after %v (median), %v (last)", ms(silent), len(owned), ms(p50), ms(longest))
	s.require(silent <= silentMax, "it was ready for %v, at most %v", ms(silent), silentMax)
	s.require(longest <= movedMax, "the last partition moved after %v, at most %v", ms(longest), movedMax)
	time.Sleep(time.Until(began.Add(20 * time.Second)))
	s.must("mend", s.w.Mend("node-3", "nats-1"))
	_, err = s.w.Balance(balanceIn, s.names()...)
	s.must("balance after the cut", err)
	s.audit()
}

const mergedMax = 15 * time.Second

// TestF07Split proves that a cluster whose gossip was parted for longer than it remembers the dead comes together again by itself.
func TestF07Split(t *testing.T) {
	s := wired(t, "F7", "peers split 1 : 2 for 90 s, healed", "all I; views merge ≤ 15 s without an operator")
	_, err := s.w.Balance(balanceIn, s.names()...)
	s.must("balance", err)
	began := time.Now()
	for _, other := range []string{"node-2", "node-3"} {
		s.must("cut", s.w.Cut("node-1", other))
	}
	parted := s.until(time.Minute, "gossip notices the split", func() error {
		if s.merged() == nil {
			return fmt.Errorf("all still see each other")
		}
		return nil
	})
	time.Sleep(time.Until(began.Add(90 * time.Second)))
	healed := time.Now()
	for _, other := range []string{"node-2", "node-3"} {
		s.must("mend", s.w.Mend("node-1", other))
	}
	took := s.until(2*time.Minute, "the views merge", s.merged)
	s.row.Say("views merged %v after the heal (the split was noticed after %v)", ms(took), ms(parted))
	s.require(took <= mergedMax, "views merged after %v, at most %v", ms(took), mergedMax)
	s.answered(began, healed)
	_, err = s.w.Balance(balanceIn, s.names()...)
	s.must("balance after the split", err)
	s.audit()
}

// merged asks nodes until each has said twice that it sees all others in its gossip. Any node may answer a question.
func (s *scene) merged() error {
	said := map[string]int{}
	for range 40 {
		c, err := s.w.Status()
		if err != nil {
			return err
		}
		for _, m := range c.Nodes {
			if !m.Gossip {
				return fmt.Errorf("%s does not see %s", c.AnsweredBy, m.Node)
			}
		}
		if len(c.Nodes) != len(s.names()) {
			return fmt.Errorf("%s sees %d nodes", c.AnsweredBy, len(c.Nodes))
		}
		if said[c.AnsweredBy]++; len(said) == len(s.names()) {
			return nil
		}
	}
	return fmt.Errorf("only %v answered", said)
}
