package cluster

import (
	"context"
	"fmt"
	"time"
)

// Hands is what a Keeper needs goroutines and timers for.
type Hands struct {
	Go    func(fn func())                  // has fn run beside everything else; it waits for the network
	After func(d time.Duration, fn func()) // has fn run later
	Poke  func()                           // a step is wanted soon, beside the one that may be under way
}

// ownHands are those of a process: goroutines, timers, and the loop's channel.
func (k *Keeper) ownHands() Hands {
	return Hands{
		Go:    k.work.Go,
		After: func(d time.Duration, fn func()) { time.AfterFunc(d, fn) },
		Poke: func() {
			select {
			case k.wake <- struct{}{}:
			default:
			}
		},
	}
}

// Stepper is a Keeper that somebody else drives, step by step, in one goroutine: the simulation. What a process does with goroutines and timers goes
// to the given hands. Map, Lease, Suspect and SetReady are the Keeper's; OnChange, Drain and Stop need a loop and are not to be called.
type Stepper struct{ *Keeper }

// NewStepper makes one. Options.Clock is required here.
func NewStepper(o Options, hands Hands) (*Stepper, error) {
	if o.Clock == nil {
		return nil, fmt.Errorf("drive a keeper by steps: a clock is required")
	}
	k, err := New(o)
	if err != nil {
		return nil, err
	}
	k.hands = hands
	return &Stepper{k}, nil
}

// Begin joins, as Start does, and takes the first step.
func (s *Stepper) Begin(ctx context.Context) (wait time.Duration, err error) {
	s.started = true
	if err := s.join(ctx); err != nil {
		return 0, fmt.Errorf("begin to keep: %w", err)
	}
	s.o.Registry.OnChange(s.poke)
	return s.step(), nil
}

// Step takes in what came, decides and has it done. It says how long to wait for the next step at most; a poke asks for one before.
func (s *Stepper) Step() (wait time.Duration) { return s.step() }

// StartDrain begins to give everything away, as Drain does, and does not wait for the end. Drained tells when nothing is left.
func (s *Stepper) StartDrain(within time.Duration) {
	s.mu.Lock()
	s.beginDrain(within)
	s.mu.Unlock()
	s.poke()
}

// Drained says whether draining has ended.
func (s *Stepper) Drained() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.drain == nil {
		return false
	}
	select {
	case <-s.drain.done:
		return true
	default:
		return false
	}
}
