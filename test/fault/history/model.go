package history

import (
	"fmt"

	"github.com/anishathalye/porcupine"

	"orderyard/messages"
)

// Kind is what an operation does.
type Kind uint8

const (
	Set     Kind = iota // counts the bucket: the first operation of every history
	Receive             // adds units
	Reserve
	Confirm
	Cancel
	Get
)

func (k Kind) String() string {
	return [...]string{"set", "receive", "reserve", "confirm", "cancel", "get"}[k]
}

// Input is what was asked. Firm says of a Cancel that its reservation had been confirmed.
type Input struct {
	Bucket   string
	Kind     Kind
	ID       string
	Quantity int64
	Firm     bool
}

// Output is what was answered; the zero value says that no answer came.
type Output struct {
	Known bool
	Code  string // "" = ok
	ATP   int64
	Count State // of a Get
}

// State is the whole bucket as the model knows it.
type State struct{ OnHand, Reserved, Allocated int64 }

// ATP is what may still be reserved.
func (s State) ATP() int64 { return s.OnHand - s.Reserved - s.Allocated }

// step says whether a bucket in state s could answer so, and what it is then.
func step(s State, in Input, out Output) (bool, State) {
	if out.Known && out.Code != "" && (in.Kind != Reserve || out.Code != messages.CodeDeclined) {
		return false, s // nothing else may ever refuse these commands
	}
	next := s
	switch in.Kind {
	case Set:
		next.OnHand = in.Quantity
	case Receive:
		next.OnHand += in.Quantity
	case Reserve:
		enough := in.Quantity <= s.ATP()
		if enough {
			next.Reserved += in.Quantity
		}
		if out.Known && (out.Code == "") != enough {
			return false, s
		}
	case Confirm:
		next.Reserved -= in.Quantity
		next.Allocated += in.Quantity
	case Cancel:
		if in.Firm {
			next.Allocated -= in.Quantity
		} else {
			next.Reserved -= in.Quantity
		}
	case Get:
		if out.Known && out.Count != s {
			return false, s
		}
	}
	if next.Reserved < 0 || next.Allocated < 0 {
		return false, s
	}
	return !out.Known || out.ATP == next.ATP(), next
}

// Model is the bucket for porcupine.
func Model() porcupine.Model {
	return porcupine.Model{
		Init: func() any { return State{} },
		Step: func(state, input, output any) (bool, any) {
			ok, next := step(state.(State), input.(Input), output.(Output))
			return ok, next
		},
		Hash: func(state any) uint64 {
			s := state.(State)
			return uint64(s.OnHand)*0x9e3779b97f4a7c15 ^ uint64(s.Reserved)*0xbf58476d1ce4e5b9 ^ uint64(s.Allocated)*0x94d049bb133111eb
		},
		DescribeOperation: func(input, output any) string { return describe(input.(Input), output.(Output)) },
		DescribeState: func(state any) string {
			s := state.(State)
			return fmt.Sprintf("on hand %d, reserved %d, allocated %d: %d available", s.OnHand, s.Reserved, s.Allocated, s.ATP())
		},
	}
}

func describe(in Input, out Output) string {
	what := fmt.Sprintf("%s %d %s", in.Kind, in.Quantity, in.ID)
	switch {
	case !out.Known:
		return what + " → ?"
	case out.Code != "":
		return fmt.Sprintf("%s → %s, %d available", what, out.Code, out.ATP)
	case in.Kind == Get:
		return fmt.Sprintf("get → %+v", out.Count)
	}
	return fmt.Sprintf("%s → ok, %d available", what, out.ATP)
}
