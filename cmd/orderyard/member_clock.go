package main

import (
	"context"
	"sync"
	"time"

	"orderyard/cluster"
	"orderyard/cluster/clock"
)

const (
	wordClock = "clock"
	fromNATS  = "NATS" // no incarnation is called so
	// clocksMax bounds whom a node asks: the middle of ten clocks is as good as that of a hundred, and a hundred nodes would ask ten thousand times a
	// second.
	clocksMax = 8
)

// keepTime makes this node go by the cluster's time, from now until the member ends. It returns when the others were asked once: nothing may
// be owned by a node that has only its machine's word.
func (m *member) keepTime(ctx context.Context) error {
	err := m.bus.Serve(wordClock, func(_ context.Context, _ []byte, send func([]byte) error) error { return send(m.clock.Answer()) })
	if err != nil {
		return err
	}
	m.askTime(ctx)
	run, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	m.stopClock = func() { cancel(); <-done }
	go func() {
		defer close(done)
		tick := time.NewTicker(clock.AgreeEvery)
		defer tick.Stop()
		for {
			select {
			case <-run.Done():
				return
			case <-tick.C:
				m.askTime(run)
			}
		}
	}()
	return nil
}

// askTime asks NATS and other processes that have a session, and votes. Who does not answer in time has no vote.
func (m *member) askTime(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, clock.ReadingMax)
	defer cancel()
	var wait sync.WaitGroup
	wait.Go(func() {
		asked := m.clock.Running()
		if shown, err := m.registry.Time(ctx); err == nil {
			m.clock.Hear(fromNATS, shown, asked)
		}
	})
	for _, peer := range clocksToAsk(m.registry.Picture().Sessions, m.incarnation) {
		wait.Go(func() {
			asked := m.clock.Running()
			err := m.bus.Ask(ctx, peer, wordClock, nil, func(answer []byte) error {
				return m.clock.HearAnswer(peer, answer, asked)
			})
			if err != nil {
				m.y.log.Debug("no time heard", "of", peer, "error", err)
			}
		})
	}
	wait.Wait()
	m.clock.Agree()
}

// clocksToAsk are the next processes behind one's own, in a ring: every clock is asked by as many as every other.
func clocksToAsk(sessions []cluster.SessionAt, self string) (peers []string) {
	first := 0                   // of those behind
	for _, s := range sessions { // by incarnation
		if s.State != cluster.SessionPresent || s.Incarnation == self {
			continue
		}
		if s.Incarnation < self {
			first++
		}
		peers = append(peers, s.Incarnation)
	}
	peers = append(peers[first:], peers[:first]...)
	return peers[:min(len(peers), clocksMax)]
}
