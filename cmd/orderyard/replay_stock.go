package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"

	"orderyard/configs"
	"orderyard/gateway/wire"
	"orderyard/messages"
)

// How opening stock is spread: most of it over a few fulfillment centers, the rest over a few stores.
const (
	stockCenters     = 6
	stockStores      = 3
	stockCenterShare = 85 // percent
	stockFamilyBytes = 2
	stockDemoCommand = "replay-demo-sites"
)

// prepareNetwork makes sure that there are sites that take work, and lifts their capacity when that is wanted.
func (r *replay) prepareNetwork(ctx context.Context) ([]*wire.SiteView, error) {
	sites, err := r.sites(ctx)
	if err != nil {
		return nil, err
	}
	if len(sites) == 0 {
		docs, err := configs.DemoSites()
		if err != nil {
			return nil, err
		}
		raw := make([]json.RawMessage, len(docs))
		for i, d := range docs {
			raw[i] = d.JSON
		}
		body, err := json.Marshal(raw)
		if err != nil {
			return nil, err
		}
		if _, err := r.ask(ctx, messages.SiteSubject("apply"), stockDemoCommand, body); err != nil {
			return nil, fmt.Errorf("apply the demo network: %w", err)
		}
		r.say("The node had no sites: the demo network of %d sites was applied.", len(docs))
		if sites, err = r.sites(ctx); err != nil {
			return nil, err
		}
	}
	if r.f.lift {
		return sites, r.liftCapacity(ctx, sites)
	}
	return sites, nil
}

func (r *replay) sites(ctx context.Context) ([]*wire.SiteView, error) {
	// Asked once and not again and again: when nobody is there, a person should hear it at once.
	got, err := r.client.ask(ctx, messages.SiteSubject("list"), "", wire.SiteListRequest{})
	if err != nil {
		return nil, fmt.Errorf("list the sites: %w", err)
	}
	var list wire.SiteListAnswer
	if err := wire.DecodeAnswer(got.body, &list); err != nil {
		return nil, fmt.Errorf("read the answer: %w", err)
	}
	var sites []*wire.SiteView
	for _, s := range list.Sites {
		if s.SiteView != nil {
			sites = append(sites, s.SiteView)
		}
	}
	return sites, nil
}

// liftCapacity takes the limits away that were made for a day's orders: a year in a minute would meet them all.
func (r *replay) liftCapacity(ctx context.Context, sites []*wire.SiteView) error {
	none, lifted := int64(0), 0
	for _, s := range sites {
		if c := s.Capacity; c == nil || *c == (wire.SiteCapacity{}) {
			continue
		}
		body, err := wire.Encode(wire.SiteCapacityRequest{ID: s.ID, PerHour: &none, PerDay: &none, OpenMax: &none})
		if err != nil {
			return err
		}
		if _, err := r.ask(ctx, messages.SiteSubject("capacity"), r.app.newCommandID(), body); err != nil {
			return fmt.Errorf("lift the capacity of site %s: %w", s.ID, err)
		}
		lifted++
	}
	if lifted > 0 {
		r.say("The capacity of %s was lifted: a replay does not wait for the next day. `orderyard site apply` sets it again.", plural(lifted, "site"))
	}
	return nil
}

// openingStock sets the stock of every SKU of the file. The counts are as of the file's first invoice, so setting them again changes
// nothing: what was shipped since stays shipped.
func (r *replay) openingStock(ctx context.Context, sites []*wire.SiteView, s *survey) error {
	var centers, stores []string
	for _, site := range sites {
		switch {
		case site.Status != "" && site.Status != "online":
		case site.Type == "store":
			stores = append(stores, site.ID)
		default:
			centers = append(centers, site.ID)
		}
	}
	if len(centers)+len(stores) == 0 {
		return errors.New("no site is online, so there is nowhere to put stock")
	}
	var batch []wire.SetStockRequest
	for _, sku := range slices.Sorted(maps.Keys(s.demand)) {
		units := int64(math.Ceil(float64(s.demand[sku]) * r.f.factor))
		for _, part := range spread(r.f.seed, sku, min(units, wire.QuantityMax), centers, stores) {
			quantity := part.units
			batch = append(batch, wire.SetStockRequest{SKU: sku, Site: part.site, OnHand: &quantity, AsOf: s.first})
			r.opening.Buckets++
			r.opening.Units += quantity
			if len(batch) == wire.BatchMax {
				if err := r.setStock(ctx, batch); err != nil {
					return err
				}
				batch = batch[:0]
			}
		}
	}
	r.opening.SKUs = len(s.demand)
	if len(batch) == 0 {
		return nil
	}
	return r.setStock(ctx, batch)
}

func (r *replay) setStock(ctx context.Context, batch []wire.SetStockRequest) error {
	body, err := wire.Encode(batch)
	if err != nil {
		return err
	}
	got, err := r.ask(ctx, messages.StockSubject("set"), r.app.newCommandID(), body)
	if err != nil {
		return fmt.Errorf("set the opening stock: %w", err)
	}
	var list wire.StockListAnswer
	if err := wire.DecodeAnswer(got.body, &list); err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	for i := range list.Results {
		if list.Results[i].Ignored {
			r.opening.Ignored++
		}
	}
	return nil
}

// share is what one site gets of a SKU.
type share struct {
	site  string
	units int64
}

// spread gives each SKU a few centers, the same for a whole family, and a few stores of its own, by nothing but hashes of the seed and
// the names. The first share is there even when it is empty, so that the SKU is known.
func spread(seed uint64, sku string, units int64, centers, stores []string) []share {
	few, shops := chosen(seed, family(sku), centers, stockCenters), chosen(seed, sku, stores, stockStores)
	main := (units*stockCenterShare + 99) / 100
	switch {
	case len(few) == 0:
		main = 0
	case len(shops) == 0:
		main = units
	}
	var shares []share
	for _, part := range []struct {
		sites []string
		units int64
	}{{few, main}, {shops, units - main}} {
		for n, site := range part.sites {
			of := int64(len(part.sites))
			got := part.units / of
			if int64(n) < part.units%of {
				got++
			}
			if got > 0 || len(shares) == 0 {
				shares = append(shares, share{site, got})
			}
		}
	}
	return shares
}

// family is what is stored together: products whose codes begin alike. Without families an order of twenty lines would meet twenty
// different sets of sites, as no warehouse is filled.
func family(sku string) string { return sku[:min(len(sku), stockFamilyBytes)] }

// chosen takes the most sites with the highest hash.
func chosen(seed uint64, sku string, sites []string, most int) []string {
	ranked := slices.Clone(sites)
	slices.SortFunc(ranked, func(a, b string) int {
		return cmp.Or(cmp.Compare(seededHash(seed, sku, b), seededHash(seed, sku, a)), cmp.Compare(a, b))
	})
	return ranked[:min(most, len(ranked))]
}
