package main

import (
	"bytes"
	"cmp"
	"fmt"
	"runtime/pprof"
	"slices"
	"strings"

	"github.com/google/pprof/profile"
)

// A cost model of one operation: where its processor time goes. A profile of the measurement itself is taken apart; each sample counts for the
// first part in costParts that any function on its stack belongs to, so what the parts call, allocation included, is theirs.

// costPart is a part of the way that an operation takes.
type costPart struct {
	name string
	in   []string // words of function names, any of them
}

var costParts = []costPart{
	{"collector", []string{"gcBgMarkWorker", "gcAssist", "bgsweep", "bgscavenge"}},
	{"load generator", []string{"main.(*benchFlags)", "main.(*ordersBench)", "main.(*orderMaker)", "main.(*hotBench)", "main.(*openLoop)"}},
	{"public events: translate, encode, publish", []string{"orderyard/gateway/egress."}},
	{"door: decode, check, answer", []string{"orderyard/gateway/ingress.", "orderyard/gateway/wire."}},
	{"routing", []string{"orderyard/routing", "orderyard/actors.(*Knowledge).Answer"}},
	{"decide: order, bucket, site", []string{"entity.(*Core)."}},
	{"release: answers, messages, read model", []string{"entity.(*entityActor).release", "entity.(*entityActor).emit"}},
	{"actors: mailboxes, partitions", []string{"entity.(*partition).", "entity.(*entityActor).", "entity.(*mailbox).", "entity.(*pool)."}},
	{"journal: commit, hash, follow", []string{"entity.(*committer).", "orderyard/persistence.", "entity.(*Feed)."}},
	{"NATS server: files", []string{"server.(*fileStore).", "server.(*msgBlock)."}},
	{"NATS server: streams", []string{"server.(*stream).", "server.(*consumer)."}},
	{"NATS server: connections", []string{"nats-server/v2/"}},
	{"NATS client", []string{"github.com/nats-io/"}},
}

const costRest = "the rest: scheduler, timers, network"

// costLine is one part's cost.
type costLine struct {
	part             string
	total, allocated int64 // nanoseconds; allocated is the part of total spent in the allocator
}

// costOf takes a CPU profile apart.
func costOf(p *profile.Profile) (lines []costLine, total int64, err error) {
	value := slices.IndexFunc(p.SampleType, func(t *profile.ValueType) bool { return t.Type == "cpu" && t.Unit == "nanoseconds" })
	if value < 0 {
		return nil, 0, fmt.Errorf("the profile has no processor times, only %v", p.SampleType)
	}
	sums := map[string]*costLine{}
	for _, s := range p.Sample {
		part, allocates := partOf(s)
		line := sums[part]
		if line == nil {
			line = &costLine{part: part}
			sums[part] = line
		}
		line.total += s.Value[value]
		if allocates {
			line.allocated += s.Value[value]
		}
		total += s.Value[value]
	}
	for _, line := range sums {
		lines = append(lines, *line)
	}
	slices.SortFunc(lines, func(a, b costLine) int { return cmp.Or(cmp.Compare(b.total, a.total), cmp.Compare(a.part, b.part)) })
	return lines, total, nil
}

func partOf(s *profile.Sample) (part string, allocates bool) {
	best := len(costParts)
	for _, l := range s.Location {
		for _, line := range l.Line {
			if line.Function == nil {
				continue
			}
			name := line.Function.Name
			allocates = allocates || name == "runtime.mallocgc" || name == "runtime.growslice"
			for i := range best {
				if slices.ContainsFunc(costParts[i].in, func(word string) bool { return strings.Contains(name, word) }) {
					best = i
					break
				}
			}
		}
	}
	if best == len(costParts) {
		return costRest, allocates
	}
	return costParts[best].name, allocates
}

// costing gives a measurement whose last round is taken apart, when that was asked for; show then tells what was found.
func (a *app) costing(f *benchFlags, show *func() error, run func() (int64, error)) func() (int64, error) {
	if !f.cost {
		return run
	}
	rounds := 0
	return func() (n int64, err error) {
		if rounds++; rounds < f.rounds {
			return run()
		}
		*show, n, err = a.costed(run)
		return n, err
	}
}

// costed runs one measurement under the profiler, and says where the time of its n operations went.
func (a *app) costed(run func() (int64, error)) (func() error, int64, error) {
	var buf bytes.Buffer
	if err := pprof.StartCPUProfile(&buf); err != nil {
		return nil, 0, err
	}
	n, err := run()
	pprof.StopCPUProfile()
	if err != nil {
		return func() error { return nil }, n, err
	}
	p, err := profile.ParseData(buf.Bytes())
	if err != nil {
		return func() error { return nil }, n, fmt.Errorf("read the profile: %w", err)
	}
	lines, total, err := costOf(p)
	return func() error { return a.costTable(lines, total, n) }, n, err
}

func (a *app) costTable(lines []costLine, total, n int64) error {
	each := func(ns int64) string { return fmt.Sprintf("%.1f", float64(ns)/1000/float64(max(n, 1))) }
	t := a.table("WHERE THE PROCESSOR TIME OF ONE GOES", "#µS", "#SHARE", "#ALLOCATING µS")
	for _, l := range lines {
		t.add(l.part, each(l.total), fmt.Sprintf("%.0f %%", 100*float64(l.total)/float64(max(total, 1))), each(l.allocated))
	}
	t.add("all", each(total), "100 %", "")
	if a.output == outputJSON { // standard output holds the report and nothing else
		_, err := fmt.Fprintln(a.err, t.writer.Render())
		return err
	}
	return t.print("")
}
