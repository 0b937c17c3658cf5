package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/nats-io/nats.go"
	"github.com/spf13/cobra"

	"orderyard/cmd/orderyard/child"
	"orderyard/cmd/orderyard/figures"
	"orderyard/configs"
	"orderyard/messages"
	"orderyard/persistence/jetstream/embedded"
)

// TestMain lets this binary be the node that a benchmark starts, for a benchmark starts its own program, and a benchmark that is killed.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && slices.Contains([]string{"dev", "node", "bench"}, os.Args[1]) {
		main()
		return
	}
	os.Exit(m.Run())
}

// runBench runs one benchmark for a moment and gives its report. The folder is one that PostgreSQL's own user can pass through.
func runBench(t *testing.T, ctx context.Context, args ...string) (*figures.Report, int, string) {
	t.Helper()
	var out, errs bytes.Buffer
	a := newApp(strings.NewReader(""), &out, &errs, func(string) string { return "" })
	code := a.execute(ctx, append([]string{"bench"}, append(args, "-o", "json")...))
	for end := time.Now().Add(10 * time.Second); len(children(t)) > 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("processes are left behind: %v", children(t))
		}
	}
	var r figures.Report
	if out.Len() > 0 {
		if err := json.Unmarshal(out.Bytes(), &r); err != nil {
			t.Fatalf("%v in %s\n%s", err, out.String(), errs.String())
		}
	}
	return &r, code, errs.String()
}

// children are the processes that this one has started and that still run.
func children(t *testing.T) (found []string) {
	t.Helper()
	lists, err := filepath.Glob("/proc/self/task/*/children")
	if err != nil {
		t.Fatal(err)
	}
	for _, list := range lists {
		text, err := os.ReadFile(list)
		if err == nil { // a thread may have ended
			found = append(found, strings.Fields(string(text))...)
		}
	}
	return found
}

// TestBenchmarks proves that each benchmark measures every side in every round, finds its invariants whole and leaves no process and no
// folder behind, by running each for a fifth of a second. The figures mean nothing. A side whose database is not installed is left out.
func TestBenchmarks(t *testing.T) {
	for _, c := range []struct {
		name  string
		args  []string
		ours  int // rows
		goals int // with every peer
	}{
		{"reserve", []string{"--inflight", "4", "--depth", "3"}, 2, 6},
		{"flow", []string{"--inflight", "4", "--crowd", "8"}, 2, 2},
		{"sync", []string{"--inflight", "16"}, 5, 3},
		{"query", []string{"--inflight", "4"}, 1, 1},
		{"open", []string{"--inflight", "4"}, 4, 1},
		{"crash", []string{"--inflight", "4", "--rate", "100"}, 2, 4},
		{"orders", []string{"--inflight", "16", "--cost"}, 2, 2},
		{"hot", []string{"--inflight", "16"}, 2, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			data := t.TempDir()
			if err := os.Chmod(filepath.Dir(data), 0o711); err != nil { // PostgreSQL's user passes through
				t.Fatal(err)
			}
			r, code, errs := runBench(t, t.Context(), append([]string{c.name, "--rounds", "2", "--seconds", "0.2", "--data", data}, c.args...)...)
			if code != exitOK || len(r.Benches) != 1 {
				t.Fatalf("exit %d\n%s", code, errs)
			}
			b := r.Benches[0]
			ours := 0
			for _, row := range b.Rows {
				if row.Ours {
					ours++
				}
				if len(row.Rounds) != 2 || row.Lowest <= 0 || row.Unit == "" {
					t.Errorf("%q was not measured in each round: %v", row.Name, row.Rounds)
				}
			}
			if ours != c.ours || len(b.Notes) == 0 {
				t.Errorf("%d rows of ours and %d notes, want %d and some", ours, len(b.Notes), c.ours)
			}
			if left, _ := os.ReadDir(data); len(left) > 0 {
				t.Errorf("the benchmark left %v", left)
			}
			for _, skip := range b.Skips {
				if strings.Contains(skip, "apt-get install") {
					t.Skip(skip)
				}
			}
			if len(b.Goals) != c.goals {
				t.Errorf("%d goals, want %d: %+v", len(b.Goals), c.goals, b.Goals)
			}
		})
	}
}

// TestMissingPeerIsTold proves that a benchmark without its database still measures ours, names what to install and compares nothing.
func TestMissingPeerIsTold(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	r, code, errs := runBench(t, t.Context(), "query", "--rounds", "1", "--seconds", "0.1", "--inflight", "2", "--data", t.TempDir())
	if code != exitOK || len(r.Benches) != 1 {
		t.Fatalf("exit %d\n%s", code, errs)
	}
	b := r.Benches[0]
	if len(b.Rows) != 1 || len(b.Goals) != 0 || !slices.ContainsFunc(b.Skips, func(s string) bool { return strings.Contains(s, "apt-get install redis-server") }) {
		t.Errorf("got %+v", b)
	}
}

// TestInterruptedBenchmark proves that Ctrl-C ends a benchmark's databases and nodes and leaves a report that says so: the run is cancelled as
// soon as it measures.
func TestInterruptedBenchmark(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	time.AfterFunc(1500*time.Millisecond, cancel) // somewhere in the middle; anywhere else must do as well
	data, report := t.TempDir(), t.TempDir()
	began := time.Now()
	_, code, errs := runBench(t, ctx, "query", "--rounds", "1", "--seconds", "60", "--inflight", "4", "--data", data, "--report", report)
	if code != exitFailed || time.Since(began) > 50*time.Second {
		t.Errorf("exit %d after %v\n%s", code, time.Since(began), errs)
	}
	if left, _ := os.ReadDir(data); len(left) > 0 {
		t.Errorf("the benchmark left %v", left)
	}
	text, err := os.ReadFile(filepath.Join(report, "report.md"))
	if err != nil || !strings.Contains(string(text), "**No result:**") {
		t.Errorf("%v: %s", err, text)
	}
}

// TestKilledBenchmark proves that a benchmark's nodes end with it, also when it is killed and can end nothing itself.
func TestKilledBenchmark(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	const nodes = 2
	data := t.TempDir()
	said := filepath.Join(data, "said") // a pipe of ours would break with the benchmark, and that could end the nodes
	bench, err := child.Start(child.Options{Argv: []string{
		"/bin/sh", "-c", `exec "$@" >"$0" 2>&1`, said,
		self, "bench", "cluster", "--nodes", strconv.Itoa(nodes), "--seconds", "60", "--inflight", "1", "--partitions", "2", "--data", data,
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(bench.Kill)
	for end := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		text, _ := os.ReadFile(said) // it may not be there yet
		if strings.Contains(string(text), "round 1") {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("the benchmark does not begin: %s", text)
		}
	}
	pids := bench.Children()
	if len(pids) != 1+nodes {
		t.Errorf("the nodes of both sides are %v", pids)
	}
	bench.Kill()
	for end := time.Now().Add(10 * time.Second); slices.ContainsFunc(pids, alive); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			for _, pid := range pids {
				_ = syscall.Kill(pid, syscall.SIGKILL) // it may have ended
			}
			t.Fatalf("of the nodes %v some still live", pids)
		}
	}
}

// alive tells whether a process runs; one that has ended and was not waited for does not.
func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, state, _ := strings.Cut(string(stat), ") ")
	return err == nil && !strings.HasPrefix(state, "Z")
}

// TestBenchUsage proves that a senseless flag is told before anything is started.
func TestBenchUsage(t *testing.T) {
	for _, args := range [][]string{
		{"all", "--rounds", "0"}, {"reserve", "--depth", "1"}, {"open", "--percent", "0"}, {"open", "--rate=-1"}, {"crash", "--nodes", "1"},
		{"flow", "--crowd", "0"}, {"cluster", "--nodes", "1"}, {"query", "--seconds", "0"},
	} {
		if _, code, errs := runBench(t, t.Context(), args...); code != exitUsage {
			t.Errorf("%v: exit %d\n%s", args, code, errs)
		}
	}
}

// TestRefusedOrdersCount proves that an open loop does not flatter a node that refuses or forgets: such an order counts as a minute, once, even
// when its event comes later.
func TestRefusedOrdersCount(t *testing.T) {
	h := func() *hdrhistogram.Histogram { return newSide("").latency }
	r := &openRound{asked: map[string]sentOrder{}, open: map[string]time.Time{}, accepted: h(), placed: h(), late: h()}
	due := time.Now()
	for _, id := range []string{"a", "b"} {
		r.asked["inbox."+id], r.open[id] = sentOrder{id, due}, due
	}
	r.answered(&nats.Msg{Subject: "inbox.a", Data: []byte(`{"ok":false,"error":{"code":"limit","message":"full","retryable":true}}`)})
	r.arrived("a", due.Add(time.Millisecond))
	r.answered(&nats.Msg{Subject: "inbox.b", Data: []byte(`{"ok":true}`)})
	r.arrived("b", due.Add(3*time.Millisecond))
	if r.failed != 1 || r.accepted.TotalCount() != 2 || r.placed.TotalCount() != 2 || len(r.open)+len(r.asked) != 0 {
		t.Errorf("%d failed, %d accepted, %d answered, %d open", r.failed, r.accepted.TotalCount(), r.placed.TotalCount(), len(r.open))
	}
	if longest := time.Duration(r.accepted.Max()) * time.Microsecond; longest < latencyMax*99/100 {
		t.Errorf("a refused order counts as %v", longest)
	}
	if shortest := r.accepted.Min(); shortest < 2900 || shortest > 3100 {
		t.Errorf("an accepted one as %d µs", shortest)
	}
}

// TestSteadyRate proves that the rate of an open loop is that of its sending, however long the last answers take: against a door that answers late, twenty
// orders in a fifth of a second are a hundred a second.
func TestSteadyRate(t *testing.T) {
	server, err := embedded.Start(embedded.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Shutdown()
	shop := &benchShop{}
	defer shop.close()
	if err := shop.open(server.ClientURL(), 1, 1); err != nil {
		t.Fatal(err)
	}
	door, err := nats.Connect(server.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	defer door.Close()
	if _, err := door.Subscribe(messages.PlaceSubject(benchChannel), func(m *nats.Msg) {
		time.AfterFunc(time.Second, func() {
			_ = m.Respond([]byte(`{"ok":false,"error":{"code":"limit","message":"full","retryable":true}}`)) // nobody may ask any more
		})
	}); err != nil {
		t.Fatal(err)
	}
	if err := door.Flush(); err != nil {
		t.Fatal(err)
	}
	o := newOpenBench(shop)
	if err := o.sent.measure(func() (int64, error) { return o.round(t.Context(), 100, 200*time.Millisecond) }); err != nil {
		t.Fatal(err)
	}
	if got := o.sent.median(); got < 50 || got > 101 || o.sent.done != 20 || o.failed != 20 {
		t.Errorf("%d orders at %.1f per second, %d failed", o.sent.done, got, o.failed)
	}
}

// TestCrashSetup proves that the setup tells how many partitions each side has: a node alone has those of dev, whatever is asked for the cluster.
func TestCrashSetup(t *testing.T) {
	f := &crashFlags{benchFlags: benchFlags{seconds: 1, rounds: 3, inflight: 4, partitions: 12}, rate: 500, nodes: 3}
	alone := fmt.Sprintf("%d partitions", configs.Dev().Partitions)
	if got := f.setup(); !strings.Contains(got, "12 partitions in the cluster") || !strings.Contains(got, alone) {
		t.Error(got)
	}
	f.nodes = 0
	if got := f.setup(); strings.Contains(got, "12 partitions") || !strings.Contains(got, alone) {
		t.Error(got)
	}
}

// TestLostReservationsVoidTheFigures proves that a crash which lost what was acknowledged, or kept what nobody asked for, is found.
func TestLostReservationsVoidTheFigures(t *testing.T) {
	for _, c := range []struct {
		kept, acknowledged, unknown int64
		fine                        bool
	}{{10, 10, 0, true}, {11, 10, 2, true}, {9, 10, 2, false}, {13, 10, 2, false}} {
		if err := checkKept("x", c.kept, c.acknowledged, c.unknown); (err == nil) != c.fine {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

// TestVoidFiguresAreNotWritten proves that of a benchmark which found a broken invariant after it had measured neither a figure nor a verdict is printed or
// written, only what was tried and why there is no result.
func TestVoidFiguresAreNotWritten(t *testing.T) {
	for _, output := range []string{outputTable, outputJSON} {
		var out, errs bytes.Buffer
		a := newApp(strings.NewReader(""), &out, &errs, func(string) string { return "" })
		a.output = output
		f := &benchFlags{}
		job := a.benchCommand(f, &cobra.Command{Use: "broken"}, 1, 1, func(context.Context) (figures.Bench, error) {
			b := figures.Bench{ID: "B0", Title: "Broken", Setup: "one round", Skips: []string{"Left out: a peer."}, Notes: []string{"9,876,543 orders, all whole."}}
			b.Rows = []figures.Row{figures.NewRow("orders", "/s", []float64{9876543}, nil)}
			b.Goals = []figures.Goal{figures.AtLeast("orders", "/s", []float64{9876543}, 1)}
			return b, exitWith(exitInvariant, errors.New("a unit is sold twice"))
		})
		f.seconds, f.data, f.report = 0.1, t.TempDir(), t.TempDir()
		if err := a.measure(t.Context(), f, job); exitOf(err) != exitInvariant {
			t.Errorf("exit %d: %v", exitOf(err), err)
		}
		written := out.String()
		for _, name := range []string{"report.md", "report.json"} {
			text, err := os.ReadFile(filepath.Join(f.report, name))
			if err != nil || !strings.Contains(string(text), "sold twice") || !strings.Contains(string(text), "Left out") {
				t.Errorf("%s: %v\n%s", name, err, text)
			}
			written += string(text)
		}
		for _, figure := range []string{"9,876,543", "9876543", "met"} {
			if strings.Contains(written, figure) {
				t.Errorf("%q of a void run is printed:\n%s", figure, written)
			}
		}
		if pictures, _ := filepath.Glob(filepath.Join(f.report, "*.svg")); len(pictures) > 0 {
			t.Errorf("pictures of a void run: %v", pictures)
		}
	}
}

// TestRoundsStayApart proves that quantiles of a round are its own, so that pairs can be compared, while the row holds all rounds.
func TestRoundsStayApart(t *testing.T) {
	s := newOurs("x")
	for round := range 2 {
		if err := s.measure(func() (int64, error) {
			for range 100 {
				record(s.latency, time.Duration(1+9*round)*time.Millisecond)
			}
			return 100, nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	got := fmt.Sprintf("%.0f %.0f %d %v", s.p50s[0], s.p50s[1], s.row().Latency.Count, s.row().Ours)
	if got != "1 10 200 true" {
		t.Errorf("got %s", got)
	}
	if late := newSide("y"); true {
		record(late.latency, time.Hour)
		late.fold()
		if late.row().Latency.Max < 59_000 {
			t.Errorf("an hour is recorded as %v ms", late.row().Latency.Max)
		}
	}
}

// TestNearest proves that the peer's routing takes the nearest of the sites it was given.
func TestNearest(t *testing.T) {
	id, lat, lon := benchSite(4)
	if got := nearest([]string{"SITE-0", "SITE-9", id, "SITE-3"}, lat+0.1, lon); got != id {
		t.Errorf("got %s", got)
	}
	if got := nearest([]string{"SITE-0", "SITE-9"}, lat, lon); got != "SITE-0" {
		t.Errorf("without it got %s", got)
	}
}
