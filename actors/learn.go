package actors

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"orderyard/cluster/bus"
	"orderyard/messages"
)

// Learn asks other nodes about SKUs that this one has never heard of, notes what they know and says which SKUs exist. A bucket's owner knows it
// before it answers the count that made it, so whoever was told of the count finds the SKU through every door, however far behind this
// node's view is. It fails when a living member does not answer, and when a partition is served by none of those who did, is on its way between
// owners, or is served by one who is not sure of it, this node or another: then not to have heard proves nothing.
func (s *Sharing) Learn(ctx context.Context, skus, members []string) (map[string]bool, error) {
	if len(skus) > skusAskMax {
		skus = skus[:skusAskMax]
	}
	ctx, cancel := context.WithTimeout(ctx, learnWithin)
	defer cancel()
	body := []byte(strings.Join(skus, "\n")) // a SKU is printable: it holds no line break
	serving, served := s.know.Serving(), newPartitionSet()
	results := make(chan error, len(members))
	for _, member := range members {
		s.aside(func() {
			err := s.bus.Ask(ctx, member, wordSKUs, body, func(part []byte) error {
				d := &messages.ViewDelta{}
				if err := d.UnmarshalVT(part); err != nil {
					return fmt.Errorf("read what is known of SKUs: %w", err)
				}
				s.apply(d)
				served.add(d.Covered)
				return nil
			})
			if errors.Is(err, bus.ErrNobody) { // it has just ended; its successor tells what it had, and this node waits for that with all others
				err = nil
			}
			results <- err
		})
	}
	var errs []error
	for range members {
		errs = append(errs, <-results)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("ask the other nodes: %w", err)
	}
	known := make(map[string]bool)
	for _, sku := range skus {
		known[sku] = s.know.view.Known(sku)
	}
	served.add(s.still(serving))
	if missing := s.know.Partitions() - served.count(); missing > 0 {
		return nil, fmt.Errorf("%d partitions are served by nobody at the moment", missing)
	}
	return known, nil
}

// still lists those of the partitions that are this node's for certain. It is asked after the view was looked at: who has slept until then may have
// lost them, and what their next owner has told others went past it.
func (s *Sharing) still(serving []uint32) []uint32 {
	return slices.DeleteFunc(serving, func(p uint32) bool { return !s.sure(int(p)) })
}

// partitionSet collects who serves what.
type partitionSet struct {
	mu  sync.Mutex
	has map[uint32]bool
}

func newPartitionSet() *partitionSet { return &partitionSet{has: make(map[uint32]bool)} }

func (s *partitionSet) add(list []uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range list {
		s.has[p] = true
	}
}

func (s *partitionSet) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.has)
}

// serveSKUs answers with what this node knows of the SKUs, and of which partitions that is all.
func (s *Sharing) serveSKUs(_ context.Context, body []byte, send func([]byte) error) error {
	skus := bytes.Split(body, []byte("\n"))
	if len(skus) > skusAskMax {
		return fmt.Errorf("%d SKUs are asked for, at most %d are allowed", len(skus), skusAskMax)
	}
	w := &deltas{from: s.self, send: func(d *messages.ViewDelta) error {
		b, err := d.MarshalVT()
		if err != nil {
			return fmt.Errorf("encode the view: %w", err)
		}
		return send(b)
	}}
	serving := s.know.Serving() // before the stock is looked at
	for _, sku := range skus {
		if one, ok := s.know.view.skus.Load(string(sku)); ok {
			if err := w.stock(one.(*skuStock), false); err != nil {
				return err
			}
		}
	}
	if err := w.flush(); err != nil {
		return err
	}
	return w.send(&messages.ViewDelta{From: s.self, Covered: s.still(serving)})
}
