package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"hash/crc32"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"orderyard/actors"
	"orderyard/actors/entity"
	"orderyard/actors/inventory"
	"orderyard/cluster"
	"orderyard/gateway/egress"
	"orderyard/gateway/ingress"
	"orderyard/messages"
	"orderyard/persistence"
	"orderyard/persistence/jetstream"
	"orderyard/persistence/jetstream/embedded"
	"orderyard/persistence/memory"
)

// A yard that was filled by its own entities, as records: every case pours it, changed or not, into a JetStream store of its own.
const verifyPartitions = 2

func verifiable(t *testing.T, plan fillPlan) *memory.Store {
	t.Helper()
	store := memory.New()
	plan.Partitions = verifyPartitions
	f := newFiller(store, plan)
	if err := f.fill(t.Context()); err != nil {
		t.Fatal(err)
	}
	return store
}

// smallCommits is a plan whose journal has many records: a checkpointed filler flushes where it cuts.
func smallYard(t *testing.T) *memory.Store {
	t.Helper()
	return verifiable(t, fillPlan{Orders: 3000, Buckets: 400})
}

// verifyServer is one embedded server and its store.
type verifyServer struct {
	dir    string
	server *embedded.Server
	conn   *nats.Conn
	store  *jetstream.Store
}

func startVerifyServer(t *testing.T) *verifyServer {
	t.Helper()
	v := &verifyServer{dir: t.TempDir()}
	v.start(t)
	t.Cleanup(v.stop)
	return v
}

func (v *verifyServer) start(t *testing.T) {
	t.Helper()
	var err error
	if v.server, err = embedded.Start(embedded.Options{Dir: v.dir, Logger: slog.New(slog.DiscardHandler)}); err != nil {
		t.Fatal(err)
	}
	if v.conn, err = v.server.Connect(); err != nil {
		t.Fatal(err)
	}
	if v.store, err = jetstream.Open(t.Context(), v.conn, jetstream.Options{Sync: jetstream.SyncRelaxed}); err != nil {
		t.Fatal(err)
	}
}

func (v *verifyServer) stop() {
	v.conn.Close()
	v.server.Shutdown()
}

// pour appends the records of all partitions in the order of their positions.
func pour(t *testing.T, to persistence.Store, records [verifyPartitions][]memory.Record) {
	t.Helper()
	if _, err := cluster.Partitions(t.Context(), to, verifyPartitions); err != nil {
		t.Fatal(err)
	}
	last := [verifyPartitions]uint64{}
	for next := [verifyPartitions]int{}; ; {
		p := -1
		for i := range records {
			if next[i] < len(records[i]) && (p < 0 || records[i][next[i]].Position < records[p][next[p]].Position) {
				p = i
			}
		}
		if p < 0 {
			return
		}
		var err error
		if last[p], err = to.Append(t.Context(), p, last[p], "", records[p][next[p]].Data); err != nil {
			t.Fatal(err)
		}
		next[p]++
	}
}

func recordsOf(s *memory.Store) (all [verifyPartitions][]memory.Record) {
	for p := range all {
		for _, r := range s.Records(p) {
			all[p] = append(all[p], memory.Record{Position: r.Position, Data: bytes.Clone(r.Data)})
		}
	}
	return all
}

// runVerify runs the command line and reads what it prints for programs.
func runVerify(t *testing.T, args ...string) (int, auditReport, string) {
	t.Helper()
	var out, errs bytes.Buffer
	a := newApp(strings.NewReader(""), &out, &errs, func(string) string { return "" })
	code := a.execute(t.Context(), append([]string{"verify", "-o", "json"}, args...))
	var v auditReport
	if out.Len() > 0 {
		if err := json.Unmarshal(out.Bytes(), &v); err != nil {
			t.Fatalf("%v: %s", err, out.String())
		}
	}
	return code, v, errs.String()
}

// reseal computes a record's checksum anew, as a forger would: see the layout in persistence/record.go.
func reseal(record []byte) {
	table := crc32.MakeTable(crc32.Castagnoli)
	binary.LittleEndian.PutUint32(record[60:], crc32.Update(crc32.Update(0, table, record[:60]), table, record[64:]))
}

// Proves that each way to damage a line of records is named at the first record that does not continue it, in a JetStream store, and ends with
// exit code 6 and a sentence about that record; and that the line without damage passes.
func TestVerifyNamesTheDamagedRecord(t *testing.T) {
	source := smallYard(t)
	whole := recordsOf(source)
	if len(whole[1]) < 6 {
		t.Fatalf("%d records are too few to damage one in the middle", len(whole[1]))
	}
	for _, c := range []struct {
		name   string
		number uint64 // of the record that is to be named, in partition 1
		says   string
		change func(r []memory.Record) []memory.Record
	}{
		{name: "nothing", change: func(r []memory.Record) []memory.Record { return r }},
		{"a flipped byte", 4, "checksum", func(r []memory.Record) []memory.Record { r[3].Data[200] ^= 1; return r }},
		{"a swapped record", 3, "records between them are missing", func(r []memory.Record) []memory.Record {
			r[2].Data, r[3].Data = r[3].Data, r[2].Data
			return r
		}},
		{"a missing record", 4, "record 5 follows record 3: records between them are missing", func(r []memory.Record) []memory.Record { return slices.Delete(r, 3, 4) }},
		{"a missing end", 6, "published up to position", func(r []memory.Record) []memory.Record { return r[:5] }},
		{"a record of another partition", 3, "belongs to partition 0", func(r []memory.Record) []memory.Record {
			r[2].Data = whole[0][2].Data
			return r
		}},
		{"a forged epoch", 4, "epoch 2 within epoch 1", func(r []memory.Record) []memory.Record {
			binary.LittleEndian.PutUint64(r[3].Data[16:], 2)
			reseal(r[3].Data)
			return r
		}},
		{"a forged content", 5, "does not continue the record before it", func(r []memory.Record) []memory.Record {
			r[3].Data[bytes.Index(r[3].Data, []byte("Main St"))] ^= 1 // still an address
			reseal(r[3].Data)
			return r
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := startVerifyServer(t)
			records := recordsOf(source)
			records[1] = c.change(records[1])
			pour(t, v.store, records)
			expectPublished(t, v.store, whole)
			expectDamage(t, v, 1, c.number, c.says)
		})
	}
}

// expectPublished notes that the event feed once read to the end, as it does in a yard.
func expectPublished(t *testing.T, store persistence.Store, whole [verifyPartitions][]memory.Record) {
	t.Helper()
	if err := (&cursors{store: store}).Save(t.Context(), egress.CursorName(1), egress.Cursor{Position: whole[1][len(whole[1])-1].Position}); err != nil {
		t.Fatal(err)
	}
}

func expectDamage(t *testing.T, v *verifyServer, partition int, number uint64, says string) {
	t.Helper()
	code, report, errs := runVerify(t, "--server", v.server.ClientURL())
	if number == 0 {
		if code != exitOK || len(report.Violations) > 0 || !report.Settled || report.Events == 0 {
			t.Fatalf("exit %d, %+v %s", code, report, errs)
		}
		return
	}
	if code != exitInvariant || len(report.Violations) == 0 {
		t.Fatalf("exit %d, found %v %s", code, report.Violations, errs)
	}
	first := report.Violations[0]
	if first.Invariant != "journal" || first.Partition != partition || first.Record != number || first.Position == 0 || !strings.Contains(first.Detail, says) {
		t.Errorf("named %v, want record %d of partition %d: %s", first, number, partition, says)
	}
	if !strings.Contains(errs, first.String()) || report.Settled {
		t.Errorf("settled %v, told %q", report.Settled, errs)
	}
}

// Proves that a takeover under an earlier claim than one before it is named, though its checksum and its place in the line are in order.
func TestVerifyNamesAForgedTerm(t *testing.T) {
	v := startVerifyServer(t)
	source := smallYard(t)
	for _, term := range []uint64{7, 8} {
		log := persistence.OpenLog(source, 1, persistence.LogOptions{Node: "n", HighWater: persistence.Mark{Term: term}})
		if err := log.Recover(t.Context(), persistence.Manifest{}, nil); err != nil {
			t.Fatal(err)
		}
		if err := log.Takeover(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
	}
	records := recordsOf(source)
	last := records[1][len(records[1])-1].Data
	last[len(last)-1] = 3 // the term ends a takeover
	reseal(last)
	pour(t, v.store, records)
	expectDamage(t, v, 1, uint64(len(records[1])), "a takeover of term 3 follows term 7")
}

// forge appends one commit that the line takes as its own: a true takeover, and what no state machine would have decided.
func forge(t *testing.T, store persistence.Store, ref messages.Ref, version uint64, at int64, events ...messages.Event) (partition int, number uint64) {
	t.Helper()
	e := &messages.Entry{Kind: uint32(ref.Kind), Id: ref.ID, Version: version, AtMs: at}
	for _, event := range events {
		data, err := event.MarshalVT()
		if err != nil {
			t.Fatal(err)
		}
		e.Events = append(e.Events, &messages.EventRecord{Type: messages.EventType(event), Data: data})
	}
	payload, err := (&messages.Commit{Entries: []*messages.Entry{e}}).MarshalVT()
	if err != nil {
		t.Fatal(err)
	}
	partition = cluster.PartitionOf(ref, verifyPartitions)
	log := persistence.OpenLog(store, partition, persistence.LogOptions{Node: "forger"})
	if err := log.Recover(t.Context(), persistence.Manifest{}, nil); err != nil {
		t.Fatal(err)
	}
	if err := log.Takeover(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if _, err := log.Append(t.Context(), payload); err != nil {
		t.Fatal(err)
	}
	return partition, log.Number()
}

// versions replays a store and gives every entity.
func replayed(t *testing.T, store persistence.Store) map[messages.Ref]*entity.Core {
	t.Helper()
	limits := entity.DefaultLimits()
	kinds := actors.Kinds(func() int64 { return 0 }, actors.RememberForMs, nil)
	cores := map[messages.Ref]*entity.Core{}
	for p := range verifyPartitions {
		r := &entity.Recovery{Kinds: kinds, Limits: &limits}
		log := persistence.OpenLog(store, p, persistence.LogOptions{})
		got, err := r.Run(t.Context(), log, store, p, 1)
		if err != nil {
			t.Fatal(err)
		}
		for _, ref := range got.Store.Refs() {
			if cores[ref], err = got.Store.Core(ref, kinds, nil, &limits); err != nil {
				t.Fatal(err)
			}
		}
	}
	return cores
}

// Proves that a commit in an unbroken line that breaks a promise is named with its invariant, entity and record. I2 is for those who were
// told something, I4 for payments, which are not in the journal yet, and I8 follows from the order's content, which nothing can change.
func TestVerifyNamesTheBrokenPromise(t *testing.T) {
	source := smallYard(t)
	cores := replayed(t, source.Clone())
	bucket, site, order := messages.BucketRef(fillSKU(0), "SITE-0"), messages.SiteRef("SITE-0"), messages.OrderRef("bench-f0")
	for _, ref := range []messages.Ref{bucket, site, order} {
		if cores[ref] == nil {
			t.Fatalf("the yard has no %s", ref)
		}
	}
	at := int64(1) << 42
	reserve := func(id string, units int64) messages.Event {
		return &messages.StockReserved{ReservationId: id, Quantity: units, ExpiresAtMs: at * 2}
	}
	for _, c := range []struct {
		invariant, name string
		ref             messages.Ref
		gap             uint64
		events          []messages.Event
	}{
		{"I1", "oversold", bucket, 0, []messages.Event{reserve("x", fillUnits+1)}},
		{"I3", "more units cancelled than ordered", order, 0, []messages.Event{&messages.UnitsCancelled{Lines: []*messages.LineQuantity{{Quantity: 1000}}}}},
		{"I5", "more work than the site can take", site, 0, []messages.Event{
			&messages.SiteCapacitySet{Capacity: &messages.SiteCapacity{OpenMax: 1}},
			&messages.FulfillmentAccepted{Fulfillment: &messages.FulfillmentOrder{Id: "x.1", Lines: []*messages.FulfillmentLine{{Quantity: 1}}}},
		}},
		{"I6", "placed twice", order, 0, []messages.Event{&messages.OrderPlaced{Order: &messages.Order{Channel: "bench", ExternalId: "f0"}}}},
		{"I7", "released twice", bucket, 0, []messages.Event{
			reserve("x", 1), &messages.ReservationReleased{ReservationId: "x"}, &messages.ReservationReleased{ReservationId: "x"},
		}},
		{"I9", "a version is missing", bucket, 1, []messages.Event{reserve("x", 1)}},
		{"I10", "an event of another kind of entity", bucket, 0, []messages.Event{&messages.OrderOpened{}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := startVerifyServer(t)
			pour(t, v.store, recordsOf(source))
			partition, number := forge(t, v.store, c.ref, cores[c.ref].Version()+c.gap, at, c.events...)
			code, report, errs := runVerify(t, "--server", v.server.ClientURL())
			if code != exitInvariant || len(report.Violations) == 0 {
				t.Fatalf("exit %d, found %v %s", code, report.Violations, errs)
			}
			first := report.Violations[0]
			if first.Invariant != c.invariant || first.Entity != c.ref.String() || first.Partition != partition || first.Record != number {
				t.Errorf("named %v, want %s of %s in record %d of partition %d", first, c.invariant, c.ref, number, partition)
			}
			if !strings.Contains(errs, first.String()) {
				t.Errorf("told %q", errs)
			}
		})
	}
}

// Proves that a checkpoint which is another than the journal leads to is found while both are there, that one which is true passes, however few answers
// its node was told to remember, and that the audit begins with the checkpoint where the journal was cut.
func TestVerifyComparesTheCheckpoint(t *testing.T) {
	bucket := messages.BucketRef(fillSKU(0), "SITE-0")
	p := cluster.PartitionOf(bucket, verifyPartitions)
	for _, c := range []struct {
		name     string
		forged   string
		cut      bool
		dedupMax int
	}{{name: "true"}, {name: "true and cut", cut: true}, {name: "few answers", dedupMax: 1}, {name: "forged", forged: "state"}, {name: "forged answer", forged: "answer"}} {
		t.Run(c.name, func(t *testing.T) {
			v := startVerifyServer(t)
			pour(t, v.store, recordsOf(smallYard(t)))
			writeCheckpoint(t, v.store, p, bucket, c.forged, c.cut, c.dedupMax)
			code, report, errs := runVerify(t, "--server", v.server.ClientURL())
			if c.forged != "" {
				if code != exitInvariant || len(report.Violations) != 1 || report.Violations[0].Invariant != "I10" || report.Violations[0].Entity != bucket.String() {
					t.Fatalf("exit %d, found %v %s", code, report.Violations, errs)
				}
				return
			}
			if code != exitOK || !report.Settled || report.Compared == 0 != c.cut {
				t.Fatalf("exit %d, %+v %s", code, report, errs)
			}
		})
	}
}

// writeCheckpoint writes what a node would that remembers so many answers, 0 = as many as usual, or the same with a bucket's state or one of its answers forged.
func writeCheckpoint(t *testing.T, store persistence.Store, p int, bucket messages.Ref, forged string, cut bool, dedupMax int) {
	t.Helper()
	limits := entity.DefaultLimits()
	if dedupMax > 0 {
		limits.DedupMax = dedupMax
	}
	r := &entity.Recovery{Kinds: actors.Kinds(func() int64 { return 0 }, actors.RememberForMs, nil), Limits: &limits}
	log := persistence.OpenLog(store, p, persistence.LogOptions{Node: "n"})
	got, err := r.Run(t.Context(), log, store, p, 1)
	if err != nil {
		t.Fatal(err)
	}
	if forged != "" {
		snap, err := got.Store.Get(bucket)
		if err != nil {
			t.Fatal(err)
		}
		if forged == "answer" {
			snap.Dedup[0].Fingerprint++
		} else {
			state := new(messages.BucketState)
			if err := state.UnmarshalVT(snap.State); err != nil {
				t.Fatal(err)
			}
			state.OnHand++
			if snap.State, err = state.MarshalVT(); err != nil {
				t.Fatal(err)
			}
		}
		if err := got.Store.Put(snap); err != nil {
			t.Fatal(err)
		}
	}
	if err := store.Write(t.Context(), p, log.Manifest(), got.Store.Slices(100_000)); err != nil {
		t.Fatal(err)
	}
	if cut {
		if err := store.Truncate(t.Context(), p, log.Position()); err != nil {
			t.Fatal(err)
		}
	}
}

// Proves that a folder is verified while nobody uses it, to the byte as it was; refused with exit code 4 while somebody does; and that a byte flipped
// in a file of it is named with exit code 6, although the server that reads the copy says nothing.
func TestVerifyFolder(t *testing.T) {
	v := startVerifyServer(t)
	source := smallYard(t)
	whole := recordsOf(source)
	pour(t, v.store, whole)
	expectPublished(t, v.store, whole)
	if code, _, errs := runVerify(t, "--data", v.dir); code != exitConflict || !strings.Contains(errs, "in use by process") {
		t.Fatalf("while it is served: exit %d %s", code, errs)
	}
	v.stop()
	before := contents(t, v.dir)
	code, report, errs := runVerify(t, "--data", v.dir)
	if code != exitOK || report.Events == 0 || !report.Settled {
		t.Fatalf("exit %d, %+v %s", code, report, errs)
	}
	if after := contents(t, v.dir); !equalFiles(before, after) {
		t.Error("the folder was changed")
	}
	if code, _, errs := runVerify(t, "--data", t.TempDir()); code != exitNotFound {
		t.Errorf("an empty folder: exit %d %s", code, errs)
	}

	blocks, err := filepath.Glob(filepath.Join(v.dir, "jetstream/*/streams", jetstream.StreamJournal, "msgs/*.blk"))
	if err != nil || len(blocks) == 0 {
		t.Fatal(blocks, err)
	}
	block, err := os.ReadFile(blocks[0])
	if err != nil {
		t.Fatal(err)
	}
	block[len(block)/2] ^= 1
	if err := os.WriteFile(blocks[0], block, 0o600); err != nil {
		t.Fatal(err)
	}
	code, report, errs = runVerify(t, "--data", v.dir)
	if code != exitInvariant || len(report.Violations) == 0 || report.Violations[0].Invariant != "journal" || report.Violations[0].Record == 0 {
		t.Fatalf("a flipped byte: exit %d, %+v %s", code, report.Violations, errs)
	}
}

func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	if err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		files[path] = string(data)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return files
}

func equalFiles(a, b map[string]string) bool {
	if len(a) != len(b) {
		return false
	}
	for path, data := range a {
		if other, ok := b[path]; !ok || other != data {
			return false
		}
	}
	return true
}

// Proves that what a filler writes is a yard at rest that a real node could have left: every invariant holds, with a checkpoint and without.
func TestFillerWritesATrueYard(t *testing.T) {
	for _, checkpoint := range []bool{false, true} {
		store := verifiable(t, fillPlan{Orders: 2000, Buckets: 1000, Checkpoint: checkpoint, Tail: 300})
		v, err := verifyOnce(context.Background(), store, verifyOptions{})
		if err != nil || !v.Settled || len(v.Violations) > 0 || v.Entities < 3000 {
			t.Errorf("checkpoint %v: %v %+v", checkpoint, err, v)
		}
	}
}

// heldYard is a yard of one bucket with one hold.
func heldYard(t *testing.T, madeAt, endsAt int64) (yard *memory.Store, partition int) {
	t.Helper()
	yard = memory.New()
	partition, _ = forge(t, yard, messages.BucketRef("A", "SITE-0"), 0, madeAt,
		&messages.StockReceived{Quantity: 5}, &messages.StockReserved{ReservationId: "cart", Quantity: 1, ExpiresAtMs: endsAt})
	return yard, partition
}

// Proves that a backup is not condemned for what happened to nobody: a hold that ended after the backup was taken is in order where no node serves, and
// broken where one does.
func TestVerifyJudgesHoldsOnlyWhereServed(t *testing.T) {
	v := startVerifyServer(t)
	now := time.Now().UnixMilli()
	yard, _ := heldYard(t, now-2*3_600_000, now-3_600_000)
	pour(t, v.store, recordsOf(yard))
	if code, report, errs := runVerify(t, "--server", v.server.ClientURL()); code != exitOK || !report.Settled {
		t.Errorf("nobody serves: exit %d, %+v %s", code, report.Violations, errs)
	}
	door, err := micro.AddService(v.conn, micro.Config{Name: ingress.ServiceStock, Version: "0.1.0"})
	if err != nil {
		t.Fatal(err)
	}
	defer door.Stop() //nolint:errcheck // the connection ends
	code, report, errs := runVerify(t, "--server", v.server.ClientURL())
	if code != exitInvariant || len(report.Violations) != 1 || report.Violations[0].Invariant != "I7" {
		t.Errorf("somebody serves: exit %d, %+v %s", code, report.Violations, errs)
	}
}

// Proves that a backup that is checked days later is at rest: a bucket would ask the order about a claim that old, and nobody is there to. So claims are
// compared, and one that no order counts on is found.
func TestVerifyComparesOldClaims(t *testing.T) {
	v := startVerifyServer(t)
	yard := memory.New()
	forge(t, yard, messages.BucketRef("A", "SITE-0"), 0, time.Now().UnixMilli()-3*inventory.CheckAfterMs,
		&messages.StockReceived{Quantity: 5}, &messages.StockReserved{ReservationId: "o.1/0", Quantity: 1, OrderId: "o", Firm: true})
	pour(t, v.store, recordsOf(yard))
	code, report, errs := runVerify(t, "--server", v.server.ClientURL())
	if code != exitInvariant || !report.Settled || len(report.Violations) != 1 || report.Violations[0].Invariant != "I3" {
		t.Errorf("exit %d, %+v %s", code, report, errs)
	}
}

// slow is a store whose journal takes a while to be read.
type slow struct {
	persistence.Store
	partition int
	pass      func()
}

func (s *slow) Read(ctx context.Context, partition int, after uint64, fn func(position uint64, record []byte) error) error {
	err := s.Store.Read(ctx, partition, after, fn)
	if err == nil && partition == s.partition { // not when only the first record was looked at
		s.pass()
	}
	return err
}

// Proves that a hold which ends while its partition is read is not overdue: that it was ended stands behind what was read.
func TestVerifyOfASlowStore(t *testing.T) {
	const ends = int64(1) << 42
	yard, partition := heldYard(t, ends-600_000, ends)
	if _, err := cluster.Partitions(t.Context(), yard, verifyPartitions); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		begun   int64 // before the hold's end
		overdue bool
	}{{500, false}, {-5_000, true}} {
		var now atomic.Int64
		now.Store(ends - c.begun)
		store := &slow{Store: yard, partition: partition, pass: func() { now.Add(3_000) }}
		v, err := verifyBy(t.Context(), store, verifyOptions{now: now.Load})
		if err != nil || len(v.Violations) > 0 != c.overdue {
			t.Errorf("begun %d ms before the end: %v %+v", c.begun, err, v.Violations)
		}
	}
}
