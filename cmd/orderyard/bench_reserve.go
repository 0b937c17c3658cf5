package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"orderyard/cmd/orderyard/figures"
	"orderyard/cmd/orderyard/peers"
)

type reserveFlags struct {
	benchFlags
	depth int
}

func newBenchReserve(a *app) *benchJob {
	f := &reserveFlags{}
	cmd := &cobra.Command{
		Use:   "reserve",
		Short: "One hot SKU against PostgreSQL and Redis: reservations of one unit, from a connection for each client",
		Long: "One hot SKU against PostgreSQL and Redis: reservations of one unit, from a connection for each client.\n\n" +
			"A closed loop with one request under way per client, and one in which every client sends several together: a list in one request, a batch in\n" +
			"one transaction, a pipeline of scripts. Every side syncs before it answers.",
	}
	cmd.Flags().IntVar(&f.depth, "depth", 16, "reservations that a client sends together")
	return a.benchCommand(&f.benchFlags, cmd, 64, 4, func(ctx context.Context) (figures.Bench, error) {
		if f.depth < 2 || f.depth > 1000 {
			return figures.Bench{}, usage("--depth must be 2 to 1000, is %d", f.depth)
		}
		return benchReserve(ctx, a, f)
	})
}

// seller is one store that sells units of the hot SKU.
type seller struct {
	name      string
	one       func(ctx context.Context, client int, id string) error
	many      func(ctx context.Context, client int, id string, n int) error
	check     func(ctx context.Context, granted int64) error
	cpu       func() time.Duration
	end       func()
	serial    atomic.Int64
	granted   atomic.Int64
	single    *side
	pipelined *side
}

func (s *seller) nextID() string { return "r" + strconv.FormatInt(s.serial.Add(1), 10) }

func benchReserve(ctx context.Context, a *app, f *reserveFlags) (figures.Bench, error) {
	b := figures.Bench{ID: "B1 B2", Title: "One hot SKU against PostgreSQL and Redis", Setup: f.setup() + fmt.Sprintf(", %d sent together", f.depth)}
	dir, remove, err := f.folder(a)
	if err != nil {
		return b, err
	}
	defer remove()
	ours, err := f.ourSeller(ctx, a, dir)
	if err != nil {
		return b, err
	}
	defer ours.end()
	sellers := []*seller{ours}
	for _, start := range []func(context.Context, string) (*seller, error){f.postgresSeller, f.redisSeller} {
		s, err := start(ctx, dir)
		if errors.Is(err, peers.ErrMissing) {
			b.Skips = append(b.Skips, "Left out: "+err.Error())
			continue
		}
		if err != nil {
			return b, err
		}
		defer s.end()
		sellers = append(sellers, s)
	}
	disk := newSide("fdatasync 4 KiB")
	if err := f.interleave(ctx, a, f.steps(ctx, disk, dir, sellers)...); err != nil {
		return b, err
	}
	b.Rows = []figures.Row{disk.row()}
	for _, s := range sellers {
		if err := s.check(ctx, s.granted.Load()); err != nil {
			return b, exitWith(exitInvariant, err)
		}
		b.Rows = append(b.Rows, s.single.row(), s.pipelined.row())
		b.Notes = append(b.Notes, fmt.Sprintf("%s: %d units sold, sold and left are what was there.", s.name, s.granted.Load()))
	}
	for _, s := range sellers[1:] {
		b.Goals = append(b.Goals, reserveGoals(ours, s)...)
	}
	return b, nil
}

// reserveGoals are PROOF's B1 and B2.
func reserveGoals(ours, peer *seller) (goals []figures.Goal) {
	for _, pair := range []struct {
		what         string
		ours, theirs *side
	}{{"one each", ours.single, peer.single}, {"together", ours.pipelined, peer.pipelined}} {
		rates := figures.Ratios(pair.ours.rates, pair.theirs.rates)
		what := fmt.Sprintf("rate, %s: Orderyard / %s", pair.what, peer.name)
		if peer.name == sellerRedis {
			goals = append(goals, figures.AtLeast("B2 "+what, "×", rates, 1.5))
			continue
		}
		goals = append(goals, figures.AtLeast("B1 "+what, "×", rates, 30),
			figures.AtMost(fmt.Sprintf("B1 p99, %s: Orderyard / %s", pair.what, peer.name), "×", figures.Ratios(pair.ours.p99s, pair.theirs.p99s), 0.1))
	}
	return goals
}

const (
	sellerPostgres = "PostgreSQL"
	sellerRedis    = "Redis"
)

// steps measures every seller with one request per client, then every seller with several, so that the sides of a pair stand close together.
func (f *reserveFlags) steps(ctx context.Context, disk *side, dir string, sellers []*seller) []step {
	d := f.duration()
	steps := []step{{disk, func() (int64, error) { return fdatasyncs(dir, d/4, disk.latency) }}}
	for _, s := range sellers {
		s.single = newSide(s.name + ", one request per client")
		s.single.cpu = s.cpu
		steps = append(steps, step{s.single, func() (int64, error) {
			n, err := f.each(ctx, s.single.latency, d, func(client int) error { return s.one(ctx, client, s.nextID()) })
			s.granted.Add(n)
			return n, err
		}})
	}
	for _, s := range sellers {
		s.pipelined = newSide(fmt.Sprintf("%s, %d together per client", s.name, f.depth))
		s.pipelined.cpu = s.cpu
		steps = append(steps, step{s.pipelined, func() (int64, error) {
			n, err := f.each(ctx, s.pipelined.latency, d, func(client int) error { return s.many(ctx, client, s.nextID(), f.depth) })
			n *= int64(f.depth)
			s.granted.Add(n)
			return n, err
		}})
	}
	sellers[0].single.ours, sellers[0].pipelined.ours = true, true
	return steps
}

func (f *reserveFlags) ourSeller(ctx context.Context, a *app, dir string) (*seller, error) {
	dev, shop, end, err := openDev(dir, f.partitions, f.inflight)
	if err != nil {
		return nil, err
	}
	if err := shop.count(ctx, hotSKU, hotSite, hotUnits); err != nil {
		end()
		return nil, err
	}
	return &seller{
		name: "Orderyard", cpu: dev.cpu, end: end,
		one: func(ctx context.Context, client int, id string) error {
			return shop.reserve(ctx, client, hotSKU, hotSite, id)
		},
		many: func(ctx context.Context, client int, id string, n int) error {
			return shop.reserveMany(ctx, client, hotSKU, hotSite, id, n)
		},
		check: func(ctx context.Context, granted int64) error {
			bucket, err := shop.bucket(ctx, hotSKU, hotSite)
			if err != nil {
				return err
			}
			if bucket.Reserved != granted || bucket.ATP+bucket.Reserved != hotUnits {
				return fmt.Errorf("%d units were granted, the bucket holds %d and promises %d: the figures are void", granted, bucket.Reserved, bucket.ATP)
			}
			_, err = shop.verify(ctx, a)
			return err
		},
	}, nil
}

func (f *reserveFlags) postgresSeller(ctx context.Context, dir string) (*seller, error) {
	p, err := peers.StartPostgres(ctx, filepath.Join(dir, "postgres"), f.inflight)
	if err != nil {
		return nil, err
	}
	hot, err := p.Hot(ctx, f.inflight, hotUnits, []string{hotSKU})
	if err != nil {
		p.Stop()
		return nil, err
	}
	return &seller{
		name: sellerPostgres, cpu: p.CPU, end: func() { hot.Close(); p.Stop() }, check: hot.Check,
		one: func(ctx context.Context, client int, id string) error { return hot.Reserve(ctx, client, hotSKU, id) },
		many: func(ctx context.Context, client int, id string, n int) error {
			return hot.ReserveMany(ctx, client, hotSKU, id, n)
		},
	}, nil
}

func (f *reserveFlags) redisSeller(ctx context.Context, dir string) (*seller, error) {
	r, err := peers.StartRedis(ctx, filepath.Join(dir, "redis"), f.inflight)
	if err != nil {
		return nil, err
	}
	if err := r.Hot(ctx, hotUnits); err != nil {
		r.Stop()
		return nil, err
	}
	return &seller{
		name: sellerRedis, cpu: r.CPU, end: r.Stop, one: r.Reserve, many: r.ReserveMany,
		check: func(ctx context.Context, granted int64) error { return r.CheckHot(ctx, hotUnits, granted) },
	}, nil
}
