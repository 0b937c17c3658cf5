//go:build fault && linux

package fault

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"orderyard/cluster"
	"orderyard/gateway/wire"
	"orderyard/messages"
	"orderyard/persistence/jetstream"
	"orderyard/test/fault/client"
	"orderyard/test/fault/load"
	"orderyard/test/fault/probe"
	"orderyard/test/fault/world"
)

// markLag is what a mark of the journal may be behind on a busy machine (cmd/orderyard/marks.go: a tenth of a second): what was acknowledged
// later than that before everything died may be cut off unseen.
const markLag = 500 * time.Millisecond

// wounds are what may happen to a file on a bad disk.
var wounds = []struct {
	name string
	do   func(b []byte) []byte
}{
	{"a bit flipped in the middle", func(b []byte) []byte { b[len(b)/2] ^= 4; return b }},
	{"its last byte cut", func(b []byte) []byte { return b[:len(b)-1] }},
	{"a quarter cut off its end", func(b []byte) []byte { return b[:len(b)*3/4] }},
	{"4 KiB cut out of the middle", func(b []byte) []byte { return slices.Delete(b, len(b)/2, len(b)/2+4096) }},
	{"a bit flipped in the last record", func(b []byte) []byte { b[len(b)-60] ^= 4; return b }},
	{"zeros in a page", func(b []byte) []byte { clear(b[len(b)/3 : len(b)/3+4096]); return b }},
	{"a bit flipped at its beginning", func(b []byte) []byte { b[100] ^= 4; return b }},
}

// truth is what clients were told until everything died.
type truth struct {
	early  time.Time // markLag before
	end    time.Time
	orders map[string]bool
	late   map[string]bool // acknowledged after early
	probe  *probe.Probe
	count  int // of partitions
}

// TestF10Damage proves that damage to the journal's files is never served as if all were there: everything dies at once under load, the file
// of the journal is damaged in one way after the other, and a node started on each copy. What it serves must be what was acknowledged; what it cannot
// serve it must refuse, with the position in its log, while it serves the rest. Then the real thing is started again and audited.
func TestF10Damage(t *testing.T) {
	row := results.Row("F10", "everything killed -9, the journal's file damaged, one server", "damage refused with its position, the rest served; nothing served wrong")
	s := setUp(t, row, world.Options{Nodes: 3}, cast{})
	store, truth := s.killAll()
	for _, n := range s.w.Nodes {
		_, err := n.Restart()
		s.must("restart", err)
	}
	s.load.Stop()
	s.history.Stop()
	s.probe.Stop()
	cases, refused, unseen, deaf := 0, []int(nil), 0, 0
	for _, state := range []struct{ name, store string }{{"stopped cleanly", s.tidy(store)}, {"killed", store}} {
		for _, wound := range wounds[:sized(len(wounds), 1)] {
			found := s.wound(state.store, truth, "NATS "+state.name+", "+wound.name, wound.do)
			cases, refused, unseen, deaf = cases+1, append(refused, found.refused), unseen+found.unseen, deaf+found.deaf
		}
	}
	row.Lead("%d damaged files: %v of %d partitions refused, the others served; NATS does not start on %d; %d acknowledged things of the last %v cut off unseen, none older",
		cases, refused, truth.count, deaf, unseen, markLag)
	s.require(slices.Max(refused) > 0 || deaf > 0, "no damage was refused: nothing was damaged")
	s.audit()
}

// killAll ends everything at once and keeps a copy of the store as it is then.
func (s *scene) killAll() (store string, tr truth) {
	s.Helper()
	acknowledged := func() map[string]bool {
		list := map[string]bool{}
		for _, id := range s.load.Told() {
			list[id] = true
		}
		return list
	}
	tr = truth{early: time.Now(), orders: acknowledged(), probe: s.probe, count: s.w.Partitions()}
	time.Sleep(markLag)
	var wait sync.WaitGroup
	for _, n := range s.w.Nodes {
		wait.Go(n.Kill)
	}
	wait.Go(s.w.Servers[0].Kill)
	wait.Wait()
	tr.end = time.Now()
	tr.late = acknowledged()
	for id := range tr.orders {
		delete(tr.late, id)
	}
	store = s.w.Store("store-at-death")
	s.must("copy the store", os.CopyFS(store, os.DirFS(s.w.Servers[0].Dir())))
	s.must("restart NATS", s.w.Servers[0].Start())
	return store, tr
}

// tidy has a server open a copy of the store and end as it should: then it has an index, and does not read every file when it starts.
func (s *scene) tidy(store string) string {
	s.Helper()
	w := world.New(s.T, world.Options{Store: store})
	s.must("stop NATS", w.Servers[0].Terminate(time.Minute))
	return w.Servers[0].Dir()
}

// journalBlock is the newest file of the journal's stream in a server's folder.
func (s *scene) journalBlock(dir string) string {
	s.Helper()
	blocks, err := filepath.Glob(filepath.Join(dir, "jetstream/*/streams", jetstream.StreamJournal, "msgs/*.blk"))
	s.must("find the journal's files", err)
	number := func(file string) int {
		n, _ := strconv.Atoi(strings.TrimSuffix(filepath.Base(file), ".blk"))
		return n
	}
	slices.SortFunc(blocks, func(a, b string) int { return number(a) - number(b) })
	if len(blocks) == 0 {
		s.Fatalf("no journal in %s", dir)
	}
	return blocks[len(blocks)-1]
}

// found is what became of one damaged copy.
type found struct{ refused, unseen, deaf int }

// deafAfter is when a NATS server is taken not to start any more: it takes a tenth of a second otherwise.
const deafAfter = 10 * time.Second

// position is how verify names the place.
var position = regexp.MustCompile(`partition \d+, position \d+`)

var refusal = regexp.MustCompile(`partition refused: its journal is damaged.* partition=(\d+) error=".*damaged at position \d+`)

// wound damages a copy of the store and judges what a node makes of it.
func (s *scene) wound(store string, tr truth, name string, do func([]byte) []byte) (f found) {
	s.Helper()
	dir := filepath.Join(s.T.TempDir(), "damaged")
	s.must("copy the store", os.CopyFS(dir, os.DirFS(store)))
	block := s.journalBlock(dir)
	whole, err := os.ReadFile(block)
	s.must("read the block", err)
	s.must("damage the block", os.WriteFile(block, do(whole), 0o600))
	w, err := world.Try(s.T, world.Options{Nodes: 1, Store: dir, ListensWithin: deafAfter})
	if errors.Is(err, world.ErrDeaf) { // see docs/benchmarks/faults.md: a sequence with a flipped bit keeps nats-server 2.15.2 counting for ever
		s.row.Say("%s: NATS does not start within %v", name, deafAfter)
		w.Servers[0].Kill()
		return found{deaf: 1}
	}
	s.must("start on the damaged store", err)
	n := w.Nodes[0]
	ask, err := client.Dial(w.URL(), "fault damaged")
	s.must("connect", err)
	defer ask.Close()
	defer n.Kill()
	defer w.Servers[0].Kill()

	refused := map[int]bool{}
	for _, m := range refusal.FindAllStringSubmatch(n.Said(), -1) {
		p, _ := strconv.Atoi(m[1])
		refused[p] = true
	}
	f.refused = len(refused)
	s.require(n.Metric("orderyard_partitions_refused") == float64(len(refused)), "%s: the metric says %v refused, the log %d", name, n.Metric("orderyard_partitions_refused"), len(refused))
	s.require(int(n.Metric("orderyard_partitions_serving")) == tr.count-len(refused), "%s: %v served of %d", name, n.Metric("orderyard_partitions_serving"), tr.count)
	text, err := n.Probe()
	s.require(err == nil && strings.Contains(text, "refused") == (len(refused) > 0), "%s: the probe says %q, %v", name, text, err)
	code, out, errs, err := w.Run(time.Minute, "verify", "--timeout", "20s", "--settle", "0s")
	s.require(err == nil && (code != 0) == (len(refused) > 0), "%s: verify ends with %d, %v: %.300s%.300s", name, code, err, out, errs)
	s.require(len(refused) == 0 || position.MatchString(errs), "%s: verify does not name the place: %.300s", name, errs)

	f.unseen = s.judgeBuckets(ask, tr, name, refused) + s.judgeOrders(ask, tr, name, refused)
	s.row.Say("%s: %d partitions refused, %d late acknowledgments cut off unseen", name, f.refused, f.unseen)
	return f
}

// refusedPolitely says whether an answer tells to come back.
func refusedPolitely(o client.Outcome) bool { return o.Retryable && o.Code != client.Nobody }

// judgeBuckets compares the writers' buckets: one that is served holds what was acknowledged, takes another unit, and one that is not says so.
func (s *scene) judgeBuckets(ask *client.Client, tr truth, name string, refused map[int]bool) (unseen int) {
	s.Helper()
	site := load.Sites[0].ID
	for p, sku := range probe.SKUs(tr.count, site) {
		if refused[p] {
			continue
		}
		got := ask.Insist(s.Context(), messages.StockSubject("adjust"), client.Encode(wire.AdjustStockRequest{SKU: sku, Site: site, Delta: 1, Reason: "after"}), "after-"+sku)
		var a wire.StockAnswer
		if !got.OK() || got.Read(&a) != nil || a.Bucket == nil {
			s.require(false, "%s: partition %d is not refused and does not serve: %s", name, p, got.String())
			continue
		}
		s.require(a.OnHand > tr.probe.Least(p, tr.early), "%s: partition %d is served as if whole: it holds %d, %d were acknowledged %v before the end",
			name, p, a.OnHand-1, tr.probe.Least(p, tr.early), markLag)
		if a.OnHand-1 < tr.probe.Least(p, tr.end) {
			unseen++
		}
	}
	for p, sku := range probe.SKUs(tr.count, site) {
		if refused[p] {
			got := ask.Once(s.Context(), messages.StockSubject("get"), client.Encode(wire.GetStockRequest{SKU: sku, Site: site}), "")
			s.require(refusedPolitely(got), "%s: partition %d is refused and answers %s", name, p, got.String())
			break // each costs a time-out
		}
	}
	return unseen
}

// judgeOrders looks for every acknowledged order in the partitions that are served.
func (s *scene) judgeOrders(ask *client.Client, tr truth, name string, refused map[int]bool) (unseen int) {
	s.Helper()
	for _, list := range []map[string]bool{tr.orders, tr.late} {
		for id := range list {
			if refused[cluster.PartitionOf(messages.OrderRef(id), tr.count)] {
				continue
			}
			got := ask.Insist(s.Context(), messages.OrderSubject("get"), client.Encode(wire.GetOrderRequest{OrderID: id}), "")
			switch {
			case got.OK():
			case tr.late[id] && got.Code == messages.CodeNotFound:
				unseen++
			default:
				s.require(false, "%s: order %s was acknowledged, its partition is served, and it answers %s", name, id, got.String())
			}
		}
	}
	return unseen
}
