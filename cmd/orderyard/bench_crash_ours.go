package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"orderyard/cluster"
	"orderyard/configs"
	"orderyard/gateway/wire"
	"orderyard/messages"
)

// aloneVictim is a node alone with its NATS server in one process, as `orderyard dev` is.
func (f *crashFlags) aloneVictim(ctx context.Context, a *app, dir string) (*victim, error) {
	d, shop, end, err := openDev(dir, configs.Dev().Partitions, f.inflight)
	if err != nil {
		return nil, err
	}
	v := &victim{side: newOurs("one node, started again"), end: end}
	if err := countCrash(ctx, shop); err != nil {
		end()
		return nil, err
	}
	v.reserve = func(ctx context.Context, client int, sku, id string) error {
		return shop.reserve(ctx, client, sku, hotSite, id)
	}
	v.kill = func() { d.proc.Kill() }
	v.recover = func(ctx context.Context, killed time.Time) ([]time.Duration, error) {
		if err := d.start(); err != nil {
			return nil, err
		}
		nc, err := dial(ctx, d)
		if err != nil {
			return nil, err
		}
		defer nc.Close()
		took, err := firstCommit(ctx, nc, killed, crashSKU(0), "first-"+strconv.Itoa(len(v.worst)))
		if err != nil {
			return nil, err
		}
		v.known.Add(1)
		shop.close() // its connections would come back by themselves, but late
		fresh := &benchShop{}
		if err := fresh.open(d.url, f.inflight, 1); err != nil {
			return nil, err
		}
		shop.conns = fresh.conns
		return []time.Duration{took}, nil
	}
	v.check = func(ctx context.Context, acknowledged, unknown int64) error {
		return checkCrash(ctx, a, shop, v.side.name, acknowledged, unknown)
	}
	return v, nil
}

// dial connects as soon as a server that is starting listens.
func dial(ctx context.Context, d *benchDev) (*nats.Conn, error) {
	for {
		nc, err := nats.Connect(d.url, nats.NoReconnect())
		if err == nil {
			return nc, nil
		}
		select {
		case <-d.proc.Ended():
			return nil, errors.Join(errors.New("the node ended at its start"), d.proc.Failed())
		case <-ctx.Done():
			return nil, fmt.Errorf("the node does not listen: %w", err)
		case <-time.After(crashPause):
		}
	}
}

// firstCommit repeats one reservation, under one id, until it is durable. Its time counts from the kill.
func firstCommit(ctx context.Context, nc *nats.Conn, killed time.Time, sku, id string) (time.Duration, error) {
	body, err := wire.Encode(wire.ReserveStockRequest{ReservationID: id, SKU: sku, Site: hotSite, Quantity: 1, HoldForMs: hotHoldMs})
	if err != nil {
		return 0, err
	}
	for {
		m := nats.NewMsg(messages.StockSubject("reserve"))
		m.Data = body
		m.Header.Set(messages.HeaderCommandID, id)
		m.Header.Set(messages.HeaderDeadlineMs, strconv.FormatInt(crashAskWithin.Milliseconds(), 10))
		reply, err := nc.RequestMsg(m, 2*crashAskWithin)
		if err == nil {
			failure := failureOf(reply)
			if failure == nil {
				return time.Since(killed), nil
			}
			if !failure.GetRetryable() && failure.GetCode() != messages.CodeTimeout && failure.GetCode() != messages.CodeUnavailable {
				return 0, failure
			}
			err = failure
		}
		select {
		case <-ctx.Done():
			return 0, fmt.Errorf("no commit after the crash: %w", err)
		case <-time.After(crashPause):
		}
	}
}

func countCrash(ctx context.Context, shop *benchShop) error {
	for i := range int64(crashSKUs) {
		if err := shop.count(ctx, crashSKU(i), hotSite, crashUnits); err != nil {
			return err
		}
	}
	return nil
}

// checkCrash counts what the buckets hold and audits the journal.
func checkCrash(ctx context.Context, a *app, shop *benchShop, name string, acknowledged, unknown int64) error {
	kept := int64(0)
	for i := range int64(crashSKUs) {
		b, err := shop.bucket(ctx, crashSKU(i), hotSite)
		if err != nil {
			return err
		}
		if b.ATP+b.Reserved != crashUnits {
			return fmt.Errorf("%s: %s promises %d beside %d reserved: the figures are void", name, crashSKU(i), b.ATP, b.Reserved)
		}
		kept += b.Reserved
	}
	if err := checkKept(name, kept, acknowledged, unknown); err != nil {
		return err
	}
	_, err := shop.verify(ctx, a)
	return err
}

// clusterVictim is a cluster that loses one of its nodes, each time another; its NATS server lives on, as servers of their own do.
func (f *crashFlags) clusterVictim(ctx context.Context, a *app, dir string) (*victim, error) {
	c := &clusterBench{partitions: f.partitions, nodes: f.nodes, log: "error"} // that a killed node is missed is no news
	v := &victim{side: newOurs(fmt.Sprintf("%d nodes, one killed", f.nodes)), end: c.end}
	err := c.start(ctx, filepath.Join(dir, "cluster"))
	if err == nil {
		err = countCrash(ctx, &c.benchShop)
	}
	if err != nil {
		c.end()
		return nil, err
	}
	v.reserve = func(ctx context.Context, client int, sku, id string) error {
		return c.reserve(ctx, client, sku, hotSite, id)
	}
	var moving []int
	lost := func() *benchNode { return c.procs[len(v.worst)%f.nodes] }
	v.before = func(ctx context.Context) error {
		var err error
		moving, err = c.partitionsOf(ctx, lost())
		return err
	}
	v.kill = func() { lost().proc.Kill() }
	v.recover = func(ctx context.Context, killed time.Time) ([]time.Duration, error) {
		n := lost()
		times, err := c.firstCommits(ctx, killed, moving, fmt.Sprintf("first-%d", len(v.worst)))
		if err != nil {
			return nil, err
		}
		v.known.Add(int64(len(times)))
		if err := c.startNode(ctx, n); err != nil {
			return nil, err
		}
		return times, c.awaitBalance(ctx)
	}
	v.check = func(ctx context.Context, acknowledged, unknown int64) error {
		return checkCrash(ctx, a, &c.benchShop, v.side.name, acknowledged, unknown)
	}
	return v, nil
}

// table asks who owns which partition.
func (b *clusterBench) table(ctx context.Context) ([]wire.ClusterPartition, error) {
	reply, err := b.ask(ctx, 0, messages.ClusterSubject("partitions"), "", []byte("{}"))
	if err != nil {
		return nil, err
	}
	var got wire.ClusterPartitionsAnswer
	if err := wire.DecodeAnswer(reply.Data, &got); err != nil {
		return nil, err
	}
	return got.Partitions, nil
}

// partitionsOf gives what a node owns.
func (b *clusterBench) partitionsOf(ctx context.Context, n *benchNode) (owned []int, err error) {
	table, err := b.table(ctx)
	if err != nil {
		return nil, err
	}
	for _, p := range table {
		if p.Node == n.name() {
			owned = append(owned, p.Partition)
		}
	}
	if len(owned) == 0 {
		return nil, fmt.Errorf("%s owns no partition: nothing would be measured", n.name())
	}
	return owned, nil
}

// firstCommits waits in each of the partitions for a reservation that is durable.
func (b *clusterBench) firstCommits(ctx context.Context, killed time.Time, partitions []int, id string) ([]time.Duration, error) {
	times, errs := make([]time.Duration, len(partitions)), make([]error, len(partitions))
	var wait sync.WaitGroup
	for i, p := range partitions {
		sku := ""
		for n := int64(0); n < crashSKUs && sku == ""; n++ {
			if cluster.PartitionOf(messages.BucketRef(crashSKU(n), hotSite), b.partitions) == p {
				sku = crashSKU(n)
			}
		}
		if sku == "" {
			return nil, fmt.Errorf("no SKU of the benchmark lies in partition %d: take fewer partitions", p)
		}
		wait.Go(func() {
			times[i], errs[i] = firstCommit(ctx, b.conns[i%len(b.conns)], killed, sku, fmt.Sprintf("%s-%d", id, p))
		})
	}
	wait.Wait()
	return times, errors.Join(errs...)
}

// awaitBalance waits until every node owns its share again.
func (b *clusterBench) awaitBalance(ctx context.Context) error {
	for {
		table, err := b.table(ctx)
		owned := map[string]int{}
		for _, p := range table {
			if p.Phase == "owned" {
				owned[p.Node]++
			}
		}
		balanced := err == nil && len(owned) == b.nodes
		for _, n := range owned {
			balanced = balanced && n >= b.partitions/b.nodes
		}
		if balanced {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the partitions do not spread again: %v: %w", owned, ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
}
