package actors

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"

	"orderyard/cluster/bus"
	"orderyard/messages"
)

// Learn asks other nodes about SKUs that this one has never heard of, notes what they know and says which SKUs exist. A bucket's owner knows it
// before it answers the count that made it, so whoever was told of the count finds the SKU through every door, however far behind this
// node's view is. It fails when a living member does not answer: then not to have heard proves nothing.
func (s *Sharing) Learn(ctx context.Context, skus, members []string) (map[string]bool, error) {
	if len(skus) > skusAskMax {
		skus = skus[:skusAskMax]
	}
	ctx, cancel := context.WithTimeout(ctx, learnWithin)
	defer cancel()
	body := []byte(strings.Join(skus, "\n")) // a SKU is printable: it holds no line break
	results := make(chan error, len(members))
	for _, member := range members {
		go func() {
			err := s.bus.Ask(ctx, member, wordSKUs, body, func(part []byte) error {
				d := &messages.ViewDelta{}
				if err := d.UnmarshalVT(part); err != nil {
					return fmt.Errorf("read what is known of SKUs: %w", err)
				}
				s.apply(d)
				return nil
			})
			if errors.Is(err, bus.ErrNobody) { // it has just ended; its successor tells what it had, and this node waits for that with all others
				err = nil
			}
			results <- err
		}()
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
	return known, nil
}

// serveSKUs answers with what this node knows of the SKUs.
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
	for _, sku := range skus {
		if one, ok := s.know.view.skus.Load(string(sku)); ok {
			if err := w.stock(one.(*skuStock), false); err != nil {
				return err
			}
		}
	}
	return w.flush()
}
