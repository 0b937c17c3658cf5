package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"

	"github.com/spf13/cobra"

	"orderyard/cmd/orderyard/figures"
	"orderyard/cmd/orderyard/peers"
	"orderyard/configs"
	"orderyard/gateway/wire"
	"orderyard/messages"
)

func newBenchQuery(a *app) *benchJob {
	f := &benchFlags{}
	cmd := &cobra.Command{
		Use:   "query",
		Short: "What can be promised of 50 SKUs, against Redis with a pipeline of HMGET",
		Long:  "What can be promised of 50 SKUs at one site, against Redis with a pipeline of HMGET. Every answer is compared with what was counted before.",
	}
	return a.benchCommand(f, cmd, 64, configs.Dev().Partitions, func(ctx context.Context) (figures.Bench, error) { return benchQuery(ctx, a, f) })
}

const querySKUs = 50

// queryUnits differ from bucket to bucket, so that a wrong answer is noticed.
func queryUnits(site, sku int) int64 { return 1000 + int64(site*7919+sku*104729)%9973 }

func benchQuery(ctx context.Context, a *app, f *benchFlags) (figures.Bench, error) {
	b := figures.Bench{ID: "B11", Title: "Availability of 50 SKUs against Redis", Setup: f.setup()}
	dir, remove, err := f.folder(a)
	if err != nil {
		return b, err
	}
	defer remove()
	dev, shop, end, err := openDev(dir, f.partitions, f.inflight)
	if err != nil {
		return b, err
	}
	defer end()
	if err := shop.stockAs(ctx, queryUnits); err != nil {
		return b, err
	}
	ours, theirs := newOurs("Orderyard, stock.available of 50 SKUs"), newSide("Redis, 50 × HMGET in one pipeline")
	ours.cpu = dev.cpu
	d := f.duration()
	steps := []step{{ours, func() (int64, error) {
		return f.each(ctx, ours.latency, d, func(client int) error {
			return checkQuery(func(site int, skus []int) ([]int64, error) { return shop.availability(ctx, client, site, skus) })
		})
	}}}
	r, err := startQuery(ctx, f, dir)
	switch {
	case errors.Is(err, peers.ErrMissing):
		b.Skips = append(b.Skips, "Left out: "+err.Error())
	case err != nil:
		return b, err
	default:
		defer r.Stop()
		theirs.cpu = r.CPU
		steps = append(steps, step{theirs, func() (int64, error) {
			return f.each(ctx, theirs.latency, d, func(client int) error {
				return checkQuery(func(site int, skus []int) ([]int64, error) {
					return r.Availability(ctx, client, bucketKeys(site, skus))
				})
			})
		}})
	}
	if err := f.interleave(ctx, a, steps...); err != nil {
		return b, err
	}
	for _, m := range steps {
		b.Rows = append(b.Rows, m.s.row())
	}
	b.Notes = []string{"Every one of the 50 figures in every answer is what was counted."}
	if r != nil {
		b.Goals = []figures.Goal{figures.AtLeast("queries, Orderyard / Redis", "×", figures.Ratios(ours.rates, theirs.rates), 0.7)}
	}
	return b, nil
}

// checkQuery asks about random SKUs at a random site and compares the answer.
func checkQuery(ask func(site int, skus []int) ([]int64, error)) error {
	site, skus := rand.IntN(benchSites), make([]int, querySKUs)
	for i := range skus {
		skus[i] = rand.IntN(benchSKUs)
	}
	got, err := ask(site, skus)
	if err != nil {
		return err
	}
	for i, sku := range skus {
		if want := queryUnits(site, sku); got[i] != want {
			return exitWith(exitInvariant, fmt.Errorf("%s at site %d: told %d, counted %d", demoSKU(sku), site, got[i], want))
		}
	}
	return nil
}

// availability asks what one site can promise of several SKUs.
func (b *benchShop) availability(ctx context.Context, client, site int, skus []int) ([]int64, error) {
	id, _, _ := benchSite(site)
	question := wire.AvailableRequest{Site: id, SKUs: make([]string, len(skus))}
	for i, sku := range skus {
		question.SKUs[i] = demoSKU(sku)
	}
	body, err := wire.Encode(question)
	if err != nil {
		return nil, err
	}
	reply, err := b.ask(ctx, client, messages.StockSubject("available"), "", body)
	if err != nil {
		return nil, err
	}
	var got wire.AvailableAnswer
	if err := wire.DecodeAnswer(reply.Data, &got); err != nil {
		return nil, err
	}
	if len(got.SKUs) != len(skus) {
		return nil, fmt.Errorf("%d answers to %d questions", len(got.SKUs), len(skus))
	}
	atp := make([]int64, len(skus))
	for i := range got.SKUs {
		atp[i] = got.SKUs[i].ATP
	}
	return atp, nil
}

func bucketKeys(site int, skus []int) []string {
	id, _, _ := benchSite(site)
	keys := make([]string, len(skus))
	for i, sku := range skus {
		keys[i] = demoSKU(sku) + "@" + id
	}
	return keys
}

func startQuery(ctx context.Context, f *benchFlags, dir string) (*peers.Redis, error) {
	r, err := peers.StartRedis(ctx, filepath.Join(dir, "redis"), f.inflight)
	if err != nil {
		return nil, err
	}
	for site := range benchSites {
		buckets := map[string][]int64{}
		for sku := range benchSKUs {
			buckets[bucketKeys(site, []int{sku})[0]] = []int64{queryUnits(site, sku), 0, 0, 0, 0}
		}
		if err := r.Count(ctx, buckets); err != nil {
			r.Stop()
			return nil, err
		}
	}
	return r, nil
}
