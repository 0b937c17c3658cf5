package rulebook

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	js "github.com/nats-io/nats.go/jetstream"
)

// State says where a version stands. It is derived, never stored.
type State string

// States of a version.
const (
	StateDraft    State = "draft"    // it never was in force: its publisher was interrupted, or lost against another
	StateActive   State = "active"   // it is in force
	StateArchived State = "archived" // it was
)

// History is how what is in force came about.
type History struct {
	Activations []Activation // newest first
	Drafts      []Version    // newest first, at most draftsMax
}

// State derives the state of a version of that number.
func (h *History) State(number int64) State {
	switch {
	case len(h.Activations) > 0 && h.Activations[0].Number == number:
		return StateActive
	case slices.ContainsFunc(h.Activations, func(a Activation) bool { return a.Number == number }):
		return StateArchived
	}
	// A history that has forgotten its beginning began with versions up to the one before its oldest entry.
	if n := len(h.Activations); n > 0 && h.Activations[n-1].Seq > 1 && number <= h.Activations[n-1].Previous {
		return StateArchived
	}
	return StateDraft
}

// History reads every activation that is remembered, and the drafts.
func (b *Book) History(ctx context.Context) (*History, error) {
	h := &History{}
	var err error
	if h.Activations, err = b.activations(ctx); err != nil {
		return nil, err
	}
	numbers, err := b.numbers(ctx)
	if err != nil {
		return nil, err
	}
	for _, number := range numbers {
		if h.State(number) != StateDraft {
			continue
		}
		v, found, err := b.Version(ctx, number)
		if err != nil {
			return nil, err
		}
		if found {
			h.Drafts = append(h.Drafts, v)
		}
		if len(h.Drafts) == draftsMax {
			break
		}
	}
	return h, nil
}

// activations reads the history, newest first.
func (b *Book) activations(ctx context.Context) ([]Activation, error) {
	ctx, cancel := context.WithTimeout(ctx, callWithin)
	defer cancel()
	entries, err := b.kv.History(ctx, keyActive)
	if errors.Is(err, js.ErrKeyNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the history of %s: %w", Bucket, err)
	}
	var found []Activation
	for _, e := range entries {
		if e.Operation() != js.KeyValuePut {
			continue
		}
		a, err := decode[Activation](keyActive, e.Value())
		if err != nil {
			return nil, err
		}
		found = append(found, a)
	}
	slices.Reverse(found)
	return found, nil
}

// numbers lists the versions there are, newest first, without reading them.
func (b *Book) numbers(ctx context.Context) ([]int64, error) {
	ctx, cancel := context.WithTimeout(ctx, callWithin)
	defer cancel()
	prefix := "$KV." + Bucket + "." + keyVersion
	info, err := b.stream.Info(ctx, js.WithSubjectFilter(prefix+"*"))
	if err != nil {
		return nil, fmt.Errorf("list the versions of %s: %w", Bucket, err)
	}
	var numbers []int64
	for subject := range info.State.Subjects {
		n, err := strconv.ParseInt(strings.TrimPrefix(subject, prefix), 10, 64)
		if err != nil {
			return nil, fmt.Errorf("list the versions of %s: %s is no version", Bucket, subject)
		}
		numbers = append(numbers, n)
	}
	slices.Sort(numbers)
	slices.Reverse(numbers)
	return numbers, nil
}
