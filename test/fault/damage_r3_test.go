//go:build fault && linux

package fault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"orderyard/persistence/jetstream"
	"orderyard/test/fault/world"
)

// emptiedWithin bounds the way of an empty server back into its group, and a partition's next try after its journal was refused.
const emptiedWithin = 90 * time.Second

// TestF10Replicas proves that one bad disk of three costs nothing: the leader of the journal dies, its file is damaged while it is down, and it comes
// back. It may not make anybody believe in what its file has become, not even as the leader that all nodes read everything from; and with an
// empty store it takes everything from the others.
func TestF10Replicas(t *testing.T) {
	full(t)
	row := results.Row("F10r", "three NATS servers: one file damaged while its server is down, then that server leads", "nothing served wrong; healed from the peers")
	s := setUp(t, row, world.Options{NATS: 3, Nodes: 3}, cast{})
	s.wounded = true
	refusals := []int(nil)
	for _, damage := range []struct {
		wound   int
		cleanly bool // with an index, and a group log that was cut
	}{{0, true}, {6, true}, {0, false}, {1, false}, {2, false}} {
		wound := wounds[damage.wound]
		victim := s.leader()
		s.must(wound.name, s.damageServer(victim, damage.cleanly, wound.do))
		s.whole()
		refused := s.leadFrom(victim)
		refusals = append(refusals, refused)
		row.Say("%s (stopped cleanly: %v): as the leader, %d of %d partitions are refused", wound.name, damage.cleanly, refused, s.w.Partitions())
		began := time.Now()
		if refused > 0 { // docs/runbook/restore.md#one-of-three-servers
			victim.Kill()
			s.must("empty the store", os.RemoveAll(victim.Dir()))
			s.must("restart NATS", victim.Start())
		}
		s.whole()
		s.until(emptiedWithin, "every partition is served", func() error {
			if n := s.sum("orderyard_partitions_serving"); int(n) != s.w.Partitions() {
				return fmt.Errorf("%v are", n)
			}
			return nil
		})
		row.Say("whole again %v later", time.Since(began).Round(time.Second))
	}
	row.Lead("read from the damaged leader: %v of %d partitions refused, none served wrong; with an empty store it is whole again", refusals, s.w.Partitions())
	s.audit()
}

// damageServer ends a server, damages the newest file of its journal and starts it again.
func (s *scene) damageServer(victim *world.Server, cleanly bool, do func([]byte) []byte) error {
	if cleanly {
		if err := victim.Terminate(time.Minute); err != nil {
			return err
		}
	} else {
		victim.Kill()
	}
	block := s.journalBlock(victim.Dir())
	whole, err := os.ReadFile(block)
	if err != nil {
		return err
	}
	return errors.Join(os.WriteFile(block, do(whole), 0o600), victim.Start())
}

// leadFrom makes a server the leader of the journal, kills all nodes and has them read everything back from it. It gives how many partitions they
// refuse.
func (s *scene) leadFrom(victim *world.Server) int {
	s.Helper()
	var told time.Time
	s.until(2*time.Minute, victim.Name+" leads the journal", func() error {
		if s.leader() == victim {
			return nil
		}
		if time.Since(told) < stepDownEvery {
			return errors.New("another one leads")
		}
		told = time.Now()
		body, err := json.Marshal(map[string]any{"placement": map[string]string{"preferred": victim.Name}})
		if err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		answer, err := s.ask.Conn().RequestWithContext(ctx, "$JS.API.STREAM.LEADER.STEPDOWN."+jetstream.StreamJournal, body)
		if err != nil {
			return err
		}
		return fmt.Errorf("the leader answers %s", answer.Data)
	})
	for _, n := range s.w.Nodes {
		n.Kill()
	}
	for _, n := range s.w.Nodes {
		s.must("start", n.Start())
	}
	for _, n := range s.w.Nodes {
		s.must("be ready", n.AwaitReady(readyWithDamage))
	}
	if s.leader() != victim {
		s.row.Say("%s did not stay the leader", victim.Name)
	}
	return int(s.sum("orderyard_partitions_refused"))
}

// stepDownEvery is the time for an election and for whoever is behind to catch up: a group that is told all the time does neither.
const stepDownEvery = 10 * time.Second

// readyWithDamage is how long a node may take that waits for partitions which others refuse.
const readyWithDamage = 90 * time.Second
