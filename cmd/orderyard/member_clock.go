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

// askTime asks NATS and every process that has a session, and votes. Who does not answer in time has no vote.
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
	for _, s := range m.registry.Picture().Sessions {
		if s.State != cluster.SessionPresent || s.Incarnation == m.incarnation {
			continue
		}
		wait.Go(func() {
			asked := m.clock.Running()
			err := m.bus.Ask(ctx, s.Incarnation, wordClock, nil, func(answer []byte) error {
				return m.clock.HearAnswer(s.Incarnation, answer, asked)
			})
			if err != nil {
				m.y.log.Debug("no time heard", "of", s.Incarnation, "error", err)
			}
		})
	}
	wait.Wait()
	m.clock.Agree()
}
