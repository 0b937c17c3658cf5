//go:build fault && linux

package fault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
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
	for _, wound := range wounds[:3] {
		victim := s.leader()
		s.must(wound.name, s.damageServer(victim, wound.do))
		s.whole()
		refused := s.leadFrom(victim)
		row.Say("%s: as the leader of everything, %d of %d partitions are refused", wound.name, refused, s.w.Partitions())
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
	row.Lead("%s", strings.Join(row.Measured, "; "))
	s.audit()
}

// damageServer kills a server, damages the newest file of its journal and starts it again.
func (s *scene) damageServer(victim *world.Server, do func([]byte) []byte) error {
	victim.Kill()
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
	s.until(time.Minute, victim.Name+" leads the journal", func() error {
		if s.leader() == victim {
			return nil
		}
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
	return int(s.sum("orderyard_partitions_refused"))
}

// readyWithDamage is how long a node may take that waits for partitions which others refuse.
const readyWithDamage = 90 * time.Second
