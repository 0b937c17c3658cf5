package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"

	"orderyard/configs"
	"orderyard/gateway/wire"
	"orderyard/messages"
	"orderyard/routing/geo"
)

// loadDemo fills an empty store with the demo network and stock, and says so for the ready line; a store with sites stays as it is.
func (y *yard) loadDemo(ctx context.Context) (string, error) {
	if len(y.node.View().SiteIDs()) > 0 {
		return "", nil
	}
	ctx, cancel := context.WithTimeout(ctx, demoWithin)
	defer cancel()
	docs, err := demoNetwork()
	if err != nil {
		return "", err
	}
	var commands []messages.Request
	for _, doc := range docs {
		commands = append(commands, messages.Request{To: messages.SiteRef(doc.Id), CommandID: "demo", Command: &messages.ApplySite{Doc: doc}})
	}
	if err := y.askAll(ctx, commands); err != nil {
		return "", fmt.Errorf("demo sites: %w", err)
	}
	commands = demoStock(docs)
	if err := y.askAll(ctx, commands); err != nil {
		return "", fmt.Errorf("demo stock: %w", err)
	}
	return fmt.Sprintf(" · demo: %d sites, %d SKUs, %d buckets", len(docs), demoSKUs, len(commands)), nil
}

// demoNetwork reads the sites that come with the program.
func demoNetwork() ([]*messages.SiteDoc, error) {
	list, err := configs.DemoSites()
	if err != nil {
		return nil, err
	}
	docs := make([]*messages.SiteDoc, len(list))
	for i, d := range list {
		var site wire.Site
		if f := wire.Decode(d.JSON, &site); f != nil {
			return nil, fmt.Errorf("demo site at line %d: %w", d.Line, f)
		}
		doc, f := site.Message(func(postal, country string) (float64, float64, bool) { return geo.Locate(country, postal) })
		if f != nil {
			return nil, fmt.Errorf("demo site at line %d: %w", d.Line, f)
		}
		docs[i] = doc
	}
	return docs, nil
}

// demoStock spreads SKUs over sites: every fulfillment center carries 8 of 10 SKUs in quantity, every store 3 of 10 in small numbers.
// The same numbers every time, so that a session in the README shows the same.
func demoStock(docs []*messages.SiteDoc) []messages.Request {
	rng := rand.New(rand.NewPCG(2026, 11))
	var commands []messages.Request
	for i := range demoSKUs {
		for _, doc := range docs {
			chance, most := 8, int64(400)
			if doc.Type == "store" {
				chance, most = 3, 20
			}
			carries, quantity := rng.IntN(10) < chance, 1+rng.Int64N(most)
			if !carries {
				continue
			}
			sku := demoSKU(i)
			commands = append(commands, messages.Request{
				To: messages.BucketRef(sku, doc.Id), CommandID: "demo",
				Command: &messages.SetStock{Sku: sku, Site: doc.Id, OnHand: quantity},
			})
		}
	}
	return commands
}

// askAll sends commands with a bounded number under way and gives the first refusal.
func (y *yard) askAll(ctx context.Context, commands []messages.Request) error {
	const underWay = 4096
	slots := make(chan struct{}, underWay)
	var (
		mu    sync.Mutex
		first error
		wait  sync.WaitGroup
	)
	for _, req := range commands {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		}
		wait.Add(1)
		to := req.To
		req.Done = func(r *messages.Reply) {
			if f := r.GetFailure(); f != nil {
				mu.Lock()
				if first == nil {
					first = fmt.Errorf("%s: %w", to, f)
				}
				mu.Unlock()
			}
			<-slots
			wait.Done()
		}
		y.node.Send(req)
	}
	all := make(chan struct{})
	go func() { wait.Wait(); close(all) }()
	select {
	case <-all:
		return first
	case <-ctx.Done():
		return ctx.Err()
	}
}
