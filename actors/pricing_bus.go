package actors

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"

	"orderyard/cluster/bus"
	"orderyard/messages"
	"orderyard/routing/opportunity"
)

// listen opens the ears for other nodes.
func (p *Pricing) listen() error {
	if err := p.o.Bus.Subscribe(topicPrices, p.hear); err != nil {
		return err
	}
	if err := p.o.Bus.Serve(topicPrices, p.serveTable); err != nil {
		return err
	}
	return p.o.Bus.Serve(wordDemand, p.serveDemand)
}

// announce says that there is a newer table. Whoever does not hear it looks at the next turn.
func (p *Pricing) announce(t *opportunity.Table) {
	b, err := (&messages.PriceTable{From: t.Head().From, Version: t.Head().Version}).MarshalVT()
	if err == nil {
		err = p.o.Bus.Publish(topicPrices, b)
	}
	if err != nil {
		p.o.Log.Debug("new prices not announced", "error", err)
	}
}

// hear takes an announcement.
func (p *Pricing) hear(data []byte) {
	h := &messages.PriceTable{}
	if err := h.UnmarshalVT(data); err != nil {
		p.o.Log.Warn("an announcement of prices cannot be read", "error", err)
		return
	}
	if now := p.Table(); h.From == p.o.Self || now != nil && h.Version < now.Head().Version {
		return
	}
	select {
	case p.fetch <- h.From:
	default: // one fetch is due already
	}
}

// look fetches the table of another node, if it is newer than the one here.
func (p *Pricing) look(ctx context.Context, from string) {
	if from == "" || from == p.o.Self {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, fetchWithin)
	defer cancel()
	known := uint64(0)
	if now := p.Table(); now != nil {
		known = now.Head().Version
	}
	var parts []*messages.PriceTable
	err := p.o.Bus.Ask(ctx, from, topicPrices, strconv.AppendUint(nil, known, 10), func(part []byte) error {
		t := &messages.PriceTable{}
		if err := t.UnmarshalVT(part); err != nil {
			return fmt.Errorf("read prices: %w", err)
		}
		parts = append(parts, t)
		return nil
	})
	if err == nil && len(parts) == 0 {
		return // nothing newer
	}
	var table *opportunity.Table
	if err == nil {
		table, err = opportunity.Join(parts)
	}
	if err != nil {
		p.stats.Unloaded.Add(1)
		p.o.Log.Debug("prices not fetched", "from", from, "error", err)
		return
	}
	p.stats.Fetched.Add(1)
	p.take(table)
}

// serveTable answers with the table in use here, when it is newer than the asker's.
func (p *Pricing) serveTable(_ context.Context, body []byte, send func([]byte) error) error {
	known, err := strconv.ParseUint(string(body), 10, 64)
	if err != nil {
		return fmt.Errorf("version %q: %w", body, err)
	}
	t := p.Table()
	if t == nil || t.Head().Version <= known {
		return nil
	}
	return t.Parts(partBytes, func(part *messages.PriceTable) error {
		b, err := part.MarshalVT()
		if err != nil {
			return fmt.Errorf("encode prices: %w", err)
		}
		return send(b)
	})
}

// serveDemand answers with what is counted here.
func (p *Pricing) serveDemand(_ context.Context, _ []byte, send func([]byte) error) error {
	return p.demand.parts(p.know.clock(), func(part *messages.DemandPart) error {
		b, err := part.MarshalVT()
		if err != nil {
			return fmt.Errorf("encode demand: %w", err)
		}
		return send(b)
	})
}

// askAll adds the counts of the other nodes.
func (p *Pricing) askAll(ctx context.Context, joined *opportunity.Demand) {
	ctx, cancel := context.WithTimeout(ctx, min(p.o.Within, fetchWithin))
	defer cancel()
	var mu sync.Mutex
	var all sync.WaitGroup
	for _, peer := range p.o.Members() {
		all.Go(func() {
			err := p.o.Bus.Ask(ctx, peer.Incarnation, wordDemand, nil, func(part []byte) error {
				d := &messages.DemandPart{}
				if err := d.UnmarshalVT(part); err != nil {
					return fmt.Errorf("read demand: %w", err)
				}
				mu.Lock()
				defer mu.Unlock()
				joined.Add(d)
				return nil
			})
			if err != nil {
				p.stats.Unheard.Add(1)
				if !errors.Is(err, bus.ErrNobody) {
					p.o.Log.Warn("a node did not tell what is ordered there: prices are too low by its share", "node", peer.Node, "error", err)
				}
			}
		})
	}
	all.Wait()
}
