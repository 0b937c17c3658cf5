//go:build fault && linux

package fault

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	js "github.com/nats-io/nats.go/jetstream"

	"orderyard/messages"
	"orderyard/persistence/jetstream"
	"orderyard/test/fault/world"
)

const resumeMax = 2 * time.Second

// TestF08NATSRestart proves that the cluster goes on by itself when its NATS server was killed and came back, with everything that was
// acknowledged: after a moment, after as long as a session, and after so long that every time-out has run out.
func TestF08NATSRestart(t *testing.T) {
	row := results.Row("F8", "NATS killed, away for 0 / 3 / 8 s, restarted", "all I; resumes ≤ 2 s after NATS")
	s := setUp(t, row, world.Options{Nodes: 3}, cast{})
	var back []string
	for _, away := range []time.Duration{0, 3 * time.Second, 8 * time.Second}[:sized(3, 2)] {
		s.w.Servers[0].Kill()
		time.Sleep(away) // the outage is the subject
		s.must("restart NATS", s.w.Servers[0].Start())
		up := time.Now()
		took, err := s.probe.Everywhere(up, time.Minute)
		s.must("commit again", err)
		back = append(back, ms(took))
		s.require(took <= resumeMax, "away for %v: resumed after %v, at most %v", away, ms(took), resumeMax)
		time.Sleep(3 * time.Second) // some work between two kills
	}
	row.Say("commits everywhere %s after NATS listens", strings.Join(back, " / "))
	s.audit()
}

const stallMax = 10 * time.Second

// TestF09Replicas proves the life on three NATS servers: the journal's leader killed, the leader paused, and no quorum at all. Without a
// quorum nothing may be acknowledged, clients must be told so, and memory must not grow.
func TestF09Replicas(t *testing.T) {
	full(t)
	row := results.Row("F9", "three NATS servers: leader killed; leader paused 20 s; no quorum for 20 s", "all I; stall ≤ 10 s; without a quorum no ack, clear `unavailable`, memory bounded")
	s := setUp(t, row, world.Options{NATS: 3, Nodes: 3}, cast{})
	for _, fault := range []struct {
		name       string
		begin, end func(*world.Server) error
	}{
		{"killed", func(l *world.Server) error { l.Kill(); return nil }, (*world.Server).Start},
		{"paused", func(l *world.Server) error { return l.Pause() }, func(l *world.Server) error { return l.Resume() }},
	} {
		leader := s.leader()
		began := time.Now()
		s.must(fault.name, fault.begin(leader))
		took, err := s.probe.Everywhere(began, time.Minute)
		s.must("commit without the leader", err)
		_, _, stall := spread(s.probe.Gaps(began, began.Add(max(took, stallMax))))
		row.Say("leader %s: longest stall %v", fault.name, ms(stall))
		s.require(stall <= stallMax, "leader %s: a stall of %v, at most %v", fault.name, ms(stall), stallMax)
		time.Sleep(time.Until(began.Add(20 * time.Second)))
		s.must("end of the fault", fault.end(leader))
		s.whole()
	}
	s.noQuorum()
	s.audit()
}

// leader finds the server that leads the journal's stream.
func (s *scene) leader() *world.Server {
	s.Helper()
	var found *world.Server
	s.until(30*time.Second, "the journal has a leader", func() error {
		j, err := js.New(s.ask.Conn())
		if err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		stream, err := j.Stream(ctx, jetstream.StreamJournal)
		if err != nil {
			return err
		}
		for _, server := range s.w.Servers {
			if c := stream.CachedInfo().Cluster; c != nil && c.Leader == server.Name {
				found = server
			}
		}
		if found == nil {
			return fmt.Errorf("no leader")
		}
		return nil
	})
	return found
}

// whole waits until the journal has all its replicas again, so that the next fault meets a healthy group.
func (s *scene) whole() {
	s.Helper()
	s.until(time.Minute, "the replicas are current", func() error {
		j, err := js.New(s.ask.Conn())
		if err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		stream, err := j.Stream(ctx, jetstream.StreamJournal)
		if err != nil {
			return err
		}
		for _, r := range stream.CachedInfo().Cluster.Replicas {
			if !r.Current || r.Offline {
				return fmt.Errorf("%s is behind", r.Name)
			}
		}
		return nil
	})
	_, err := s.probe.Everywhere(time.Now(), time.Minute)
	s.must("commit on the whole group", err)
}

// memoryGrowthMax is how much a node may grow while it can make nothing durable, beside its size before.
const memoryGrowthMax = 200 << 20

// noQuorum kills two of three servers for a while.
func (s *scene) noQuorum() {
	s.Helper()
	before := map[string]int64{}
	for _, n := range s.w.Nodes {
		u, err := n.Usage()
		s.must("usage", err)
		before[n.Name] = u.ResidentBytes
	}
	leader := s.leader()
	down := []*world.Server{leader}
	for _, server := range s.w.Servers {
		if server != leader && len(down) < 2 {
			down = append(down, server)
		}
	}
	for _, server := range down {
		server.Kill()
	}
	from := time.Now().Add(500 * time.Millisecond) // what was under way has been answered
	time.Sleep(20 * time.Second)                   // without a quorum
	to := time.Now()
	acks := 0
	for p := range s.w.Partitions() {
		for _, a := range s.probe.Acks(p) {
			if a.Told.After(from) && a.Told.Before(to) {
				acks++
			}
		}
	}
	told := s.probe.Tally().Between(from, to.Add(-5*time.Second))
	s.row.Say("no quorum: %d acks; writers were told %v", acks, told)
	s.require(acks == 0, "%d commits were acknowledged without a quorum", acks)
	s.require(told[messages.CodeUnavailable] > 0, "no writer was told `unavailable`: %v", told)
	for _, n := range s.w.Nodes {
		u, err := n.Usage()
		s.must("usage", err)
		grown := u.ResidentBytes - before[n.Name]
		s.require(grown < memoryGrowthMax, "%s grew by %d MiB without a quorum", n.Name, grown>>20)
	}
	for _, server := range down {
		s.must("restart NATS", server.Start())
	}
	up := time.Now()
	back, err := s.probe.Everywhere(up, 2*time.Minute)
	s.must("commit with a quorum again", err)
	s.row.Say("commits everywhere %v after the quorum's servers listen", ms(back))
	s.whole()
}
