//go:build fault && linux

package fault

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"orderyard/cluster"
	"orderyard/messages"
	"orderyard/persistence/jetstream"
	"orderyard/test/fault/client"
	"orderyard/test/fault/history"
	"orderyard/test/fault/journal"
	"orderyard/test/fault/load"
	"orderyard/test/fault/probe"
	"orderyard/test/fault/report"
	"orderyard/test/fault/world"
)

var (
	reportDir = flag.String("report", "", "folder for faults.json, faults.md and pictures of impossible histories")
	results   *report.Report
)

func TestMain(m *testing.M) {
	flag.Parse()
	mode := "full"
	if testing.Short() {
		mode = "short"
	}
	results = report.New(mode)
	world.Main(m, func() {
		world.Clean()
		if err := results.Table(os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		if *reportDir != "" {
			if err := results.Write(*reportDir); err != nil {
				fmt.Fprintln(os.Stderr, err)
			}
		}
	})
}

// full is a row that the short run leaves out.
func full(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("not in the short run")
	}
}

// sized takes the first number in the full run, the second in the short one.
func sized(whole, short int) int {
	if testing.Short() {
		return short
	}
	return whole
}

// scene is a world with everything at work that a row needs: load, hot buckets under observation, a writer per partition.
type scene struct {
	*testing.T
	row     *report.Row
	w       *world.World
	ask     *client.Client // of the load and of questions; its tally counts every attempt
	load    *load.Load
	history *history.Clients
	probe   *probe.Probe
	began   time.Time
	clients []*client.Client

	step     int  // of a row whose faults come while something else goes on
	long     bool // so many orders wait that one of them extends its claim at every moment
	wounded  bool // nodes may say that a journal is damaged: that is what the row is about
	poisoned bool // entities may panic and stay unfinished: that is what the row is about
}

// cast says what is at work in a scene besides the world itself.
type cast struct {
	load    load.Options
	history history.Options
	probe   probe.Options
	quietly bool // no load, no writers, no history
}

const (
	watchedBuckets = 4
	checkWithin    = 2 * time.Minute // for one bucket's history
	restWithin     = 2 * time.Minute
	warmUp         = 3 * time.Second
)

// setUp opens the world and lets everybody work for a moment. What is wrong at the end of the test becomes part of the row.
func setUp(t *testing.T, row *report.Row, o world.Options, c cast) *scene {
	t.Helper()
	t.Cleanup(func() { row.Close(t.Failed(), t.Skipped()) })
	s := &scene{T: t, row: row, w: world.New(t, o), began: time.Now()}
	t.Cleanup(s.end)
	s.ask = s.dial("load")
	s.ask.Tally = client.NewTally()
	if c.quietly {
		return s
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c.load.Seed = uint64(time.Now().UnixNano())
	var err error
	if s.load, err = load.New(ctx, s.ask, c.load); err != nil {
		t.Fatal(err)
	}
	c.history.Seed, c.history.Buckets = c.load.Seed, watched(s.w.Partitions())
	if s.history, err = history.Start(ctx, s.dial("history"), c.history); err != nil {
		t.Fatal(err)
	}
	c.probe.Partitions, c.probe.Site = s.w.Partitions(), load.Sites[0].ID
	if s.probe, err = probe.Start(ctx, s.dial("probe"), c.probe); err != nil {
		t.Fatal(err)
	}
	s.load.Start()
	s.until(time.Minute, "the load gets going", func() error {
		if n := s.load.Acknowledged(); n < 50 {
			return fmt.Errorf("%d orders acknowledged", n)
		}
		return nil
	})
	if _, err := s.probe.Everywhere(time.Now(), time.Minute); err != nil {
		t.Fatal(err)
	}
	time.Sleep(warmUp) // the baseline of every comparison
	return s
}

// watched are buckets in different partitions.
func watched(partitions int) []history.Bucket {
	var list []history.Bucket
	taken := map[int]bool{}
	for i := 0; len(list) < min(watchedBuckets, partitions); i++ {
		b := history.Bucket{SKU: fmt.Sprintf("WATCHED-%d", i), Site: load.Sites[i%len(load.Sites)].ID}
		if p := cluster.PartitionOf(messages.BucketRef(b.SKU, b.Site), partitions); !taken[p] {
			taken[p] = true
			list = append(list, b)
		}
	}
	return list
}

// dial connects another client, which ends with the test.
func (s *scene) dial(name string) *client.Client {
	s.Helper()
	c, err := client.Dial(s.w.URL(), "fault "+name)
	if err != nil {
		s.Fatal(err)
	}
	s.clients = append(s.clients, c)
	return c
}

// end stops everybody, also after a failure in the middle.
func (s *scene) end() {
	if s.load != nil {
		go s.load.Close() // a client may be asking a world that is gone: closing the connections ends it
	}
	if s.history != nil {
		go s.history.Stop()
	}
	if s.probe != nil {
		s.probe.Stop()
	}
	for _, c := range s.clients {
		c.Close()
	}
}

// until waits for a condition.
func (s *scene) until(within time.Duration, what string, try func() error) time.Duration {
	s.Helper()
	began := time.Now()
	for {
		err := try()
		if err == nil {
			return time.Since(began)
		}
		if time.Since(began) > within {
			s.Fatalf("%s: not within %v: %v", what, within, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// must ends the test when a step of the row itself fails.
func (s *scene) must(what string, err error) {
	s.Helper()
	if err != nil {
		s.Fatalf("%s: %v", what, err)
	}
}

// require blames the row when a figure is not as it must be. The test goes on: one wrong figure hides no other.
func (s *scene) require(ok bool, format string, args ...any) {
	s.Helper()
	if !ok {
		s.row.Blame(format, args...)
		s.Errorf(format, args...)
	}
}

// names of all nodes that run.
func (s *scene) names() (list []string) {
	for _, n := range s.w.Nodes {
		if n.Process != nil && n.Alive() {
			list = append(list, n.Name)
		}
	}
	return list
}

// fenced adds up how often nodes lost a partition to another owner while they held it.
func (s *scene) fenced() float64 { return s.sum("orderyard_fenced_total") }

func (s *scene) sum(metric string) (total float64) {
	for _, n := range s.w.Nodes {
		if v := n.Metric(metric); n.Process != nil && v > 0 {
			total += v
		}
	}
	return total
}

// audit stops the load and checks everything that must hold after any fault. It is the end of every row.
func (s *scene) audit() {
	s.Helper()
	s.load.Stop()
	loaded := s.load.Between(s.began, time.Now())
	s.history.Stop()
	s.probe.Stop()
	ctx, cancel := context.WithTimeout(context.Background(), 2*restWithin)
	defer cancel()
	s.auditHistory()
	found := s.load.Audit(ctx, restWithin)
	for _, wrong := range found.Wrong {
		s.require(false, "%s", wrong)
	}
	if found.Untold > 0 {
		s.row.Say("%d acknowledged orders were never told to the public", found.Untold)
	}
	if err := s.probe.Audit(ctx); err != nil {
		s.require(false, "%v", err)
	}
	settle := restWithin
	if s.poisoned || s.long {
		settle = 10 * time.Second
	}
	verified, err := s.w.Verify(settle)
	switch {
	case errors.Is(err, world.ErrBusy) && (s.poisoned || s.long):
		s.row.Say("%v; the claims were compared through the doors only", err)
	case err != nil:
		s.require(false, "%v", err)
	}
	s.auditJournal(ctx)
	s.auditOutput()
	counts := s.ask.Tally.Between(s.began, time.Now())
	s.require(counts.Bad() == 0, "answers that no client may see: %v", counts)
	s.row.Say("%s; at rest after %v; %d entities and %d events verified", found.Summary(), found.Rest.Round(time.Millisecond), verified.Entities, verified.Events)
	s.row.Say("clients: %v; attempts %v", loaded, counts)
	s.Logf("%s", strings.Join(s.row.Measured, "\n"))
}

// auditHistory asks whether what the clients of the hot buckets saw is possible.
func (s *scene) auditHistory() bool {
	s.Helper()
	fine, operations, open, took := true, 0, 0, time.Duration(0)
	for _, v := range s.history.Check(checkWithin) {
		operations, open, took = operations+v.Operations, open+v.Open, took+v.Took
		if v.OK() {
			continue
		}
		fine = false
		file := filepath.Join(s.pictures(), fmt.Sprintf("%s-%s.html", s.row.ID, regexp.MustCompile(`\W`).ReplaceAllString(v.Bucket, "-")))
		if err := v.Draw(file, checkWithin); err != nil {
			file = err.Error()
		}
		s.require(false, "not linearizable: %v (see %s)", v, file)
		s.Logf("the end of the shortest part that is impossible:\n%s", strings.Join(v.Trouble(25, checkWithin), "\n"))
	}
	s.row.Say("linearizable: %d operations on %d hot buckets, %d without an outcome, checked in %v", operations, watchedBuckets, open, took.Round(time.Millisecond))
	return fine
}

// pictures is where pages of impossible histories go.
func (s *scene) pictures() string {
	if *reportDir == "" {
		return s.w.Dir // stays when the test fails
	}
	_ = os.MkdirAll(*reportDir, 0o755) // writing there will tell
	return *reportDir
}

// auditJournal reads every raw record: one line per partition, nothing of an old epoch.
func (s *scene) auditJournal(ctx context.Context) {
	s.Helper()
	line, err := s.line(ctx)
	if err != nil {
		s.require(false, "%v", err)
		return
	}
	s.row.Say("journal: %d records in %d lines, %d takeovers, highest epoch %d, no write of a former owner", line.Records, s.w.Partitions(), line.Takeovers, line.Epoch)
}

func (s *scene) line(ctx context.Context) (journal.Line, error) {
	store, err := jetstream.Open(ctx, s.ask.Conn(), jetstream.Options{})
	if err != nil {
		return journal.Line{}, err
	}
	return journal.CheckAll(ctx, store, s.w.Partitions())
}

// auditOutput looks through what the nodes said.
func (s *scene) auditOutput() {
	s.Helper()
	logs, err := filepath.Glob(filepath.Join(s.w.Dir, "node-*.log"))
	s.must("find the logs", err)
	for _, file := range logs {
		text, err := os.ReadFile(file)
		s.must("read the log", err)
		for _, word := range []string{"DATA RACE", "\npanic: ", "\nfatal error:", "entity panicked", "damaged"} {
			if strings.Contains(string(text), word) && !(s.poisoned && word == "entity panicked") && !(s.wounded && word == "damaged") {
				s.require(false, "%s says %q", filepath.Base(file), word)
			}
		}
	}
}

// spread is a list of times as median, 99th percentile and longest.
func spread(list []time.Duration) (p50, p99, longest time.Duration) {
	if len(list) == 0 {
		return 0, 0, 0
	}
	list = slices.Clone(list)
	slices.Sort(list)
	return load.Quantile(list, 0.5), load.Quantile(list, 0.99), list[len(list)-1]
}

func ms(d time.Duration) string { return fmt.Sprintf("%d ms", d.Milliseconds()) }
