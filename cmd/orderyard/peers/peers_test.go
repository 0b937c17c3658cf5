package peers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const patience = 2 * time.Minute

func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// skipMissing leaves a test out on a machine without the peer.
func skipMissing(t *testing.T, err error) {
	t.Helper()
	if errors.Is(err, ErrMissing) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func startPostgres(t *testing.T) *Postgres {
	t.Helper()
	dir, err := os.MkdirTemp("", "orderyard-peers-") // not t.TempDir: only its owner can pass through it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	p, err := StartPostgres(within(t), filepath.Join(dir, "postgres"), 16)
	skipMissing(t, err)
	t.Cleanup(p.Stop)
	return p
}

// race lets clients reserve until each was refused, and gives how many were granted.
func race(t *testing.T, clients int, reserve func(client int, id string) error) int64 {
	t.Helper()
	var granted atomic.Int64
	var wait sync.WaitGroup
	for c := range clients {
		wait.Go(func() {
			for i := range 200 { // far more than there is
				if err := reserve(c, fmt.Sprintf("r%d-%d", c, i)); err != nil {
					return
				}
				granted.Add(1)
			}
		})
	}
	wait.Wait()
	return granted.Load()
}

// TestPostgresSellsNoUnitTwice proves that the peer does the same work as Orderyard: of 50 units eight clients get exactly 50, and that the check
// finds one unit that nobody was granted.
func TestPostgresSellsNoUnitTwice(t *testing.T) {
	p, ctx := startPostgres(t), within(t)
	h, err := p.Hot(ctx, 8, 50, []string{"HOT"})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	if err := h.ReserveMany(ctx, 0, "HOT", "many", 10); err != nil {
		t.Fatal(err)
	}
	if n := race(t, 8, func(c int, id string) error { return h.Reserve(ctx, c, "HOT", id) }); n != 40 {
		t.Errorf("%d of 40 units were sold", n)
	}
	if err := h.Check(ctx, 50); err != nil {
		t.Error(err)
	}
	if err := h.Check(ctx, 49); err == nil {
		t.Error("a unit that nobody was granted is not found")
	}
	if said := Versions()["PostgreSQL"]; !strings.Contains(said, "PostgreSQL") {
		t.Errorf("the version is %q", said)
	}
}

// TestPostgresCrash proves that a crash leaves no process behind and loses no acknowledged reservation, and that the first one after it is timed
// by the server's own recovery.
func TestPostgresCrash(t *testing.T) {
	p, ctx := startPostgres(t), within(t)
	h, err := p.Hot(ctx, 2, 1000, []string{"A", "B"})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	for i := range 20 {
		if err := h.Reserve(ctx, i%2, "A", fmt.Sprint("before", i)); err != nil {
			t.Fatal(err)
		}
	}
	helpers := p.server.Children()
	p.Crash()
	if len(helpers) < 3 || slices.ContainsFunc(helpers, alive) {
		t.Errorf("of the helpers %v some still live", helpers)
	}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	if err := h.FirstReserve(ctx, "B", "first"); err != nil {
		t.Fatal(err)
	}
	if err := h.Reconnect(ctx); err != nil {
		t.Fatal(err)
	}
	if n, err := h.Kept(ctx); err != nil || n != 21 {
		t.Errorf("%d of 21 reservations are kept: %v", n, err)
	}
}

// TestPostgresFlow proves that an order goes all the way in its own transactions and that its units are allocated at the chosen site.
func TestPostgresFlow(t *testing.T) {
	p, ctx := startPostgres(t), within(t)
	f, err := p.Flow(ctx, 2, []string{"S1", "S2"}, []string{"A", "B", "C"}, 10)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	o := FlowOrder{ID: "o1", Body: []byte(`{"channel": "web"}`), Lines: []FlowLine{{"C", 2}, {"A", 1}, {"B", 3}}}
	last := func(sites []string) string { return sites[len(sites)-1] }
	if err := f.Place(ctx, 0, o, last); err != nil {
		t.Fatal(err)
	}
	if err := f.Check(ctx, 1); err != nil {
		t.Error(err)
	}
	if err := f.Check(ctx, 2); err == nil {
		t.Error("an order that was never placed is not missed")
	}
	var site string
	if err := f.conns[0].QueryRow(ctx, "SELECT string_agg(DISTINCT site, ',') FROM flow_stock WHERE allocated > 0").Scan(&site); err != nil || site != "S2" {
		t.Errorf("allocated at %q: %v", site, err)
	}
	o.ID, o.Lines = "o2", []FlowLine{{"A", 11}}
	if err := f.Place(ctx, 1, o, last); !errors.Is(err, errSoldOut) {
		t.Errorf("11 units of 10: %v", err)
	}
}

// TestRedis proves that the script sells exactly what is there, that the check finds a missing unit, and that an answer about buckets is
// computed as Orderyard's is.
func TestRedis(t *testing.T) {
	ctx := within(t)
	r, err := StartRedis(ctx, filepath.Join(t.TempDir(), "redis"), 8)
	skipMissing(t, err)
	t.Cleanup(r.Stop)
	if err := r.Hot(ctx, 50); err != nil {
		t.Fatal(err)
	}
	if err := r.ReserveMany(ctx, 0, "many", 10); err != nil {
		t.Fatal(err)
	}
	if n := race(t, 8, func(c int, id string) error { return r.Reserve(ctx, c, id) }); n != 40 {
		t.Errorf("%d of 40 units were sold", n)
	}
	if err := r.CheckHot(ctx, 50, 50); err != nil {
		t.Error(err)
	}
	if err := r.CheckHot(ctx, 50, 51); err == nil {
		t.Error("a granted unit that was not sold is not missed")
	}
	if err := r.Count(ctx, map[string][]int64{"A@S": {100, 1, 2, 3, 4}, "B@S": {7, 0, 0, 0, 0}}); err != nil {
		t.Fatal(err)
	}
	atp, err := r.Availability(ctx, 1, []string{"B@S", "A@S"})
	if err != nil || !slices.Equal(atp, []int64{7, 90}) {
		t.Errorf("got %v, %v", atp, err)
	}
	if _, err := r.Availability(ctx, 1, []string{"C@S"}); err == nil {
		t.Error("a bucket that is not there has an answer")
	}
	if said := Versions()["Redis"]; !strings.Contains(said, "v=") {
		t.Errorf("the version is %q", said)
	}
}

// TestFindTakesTheNewest proves that of several installed versions the newest is measured.
func TestFindTakesTheNewest(t *testing.T) {
	paths := []string{"/usr/lib/postgresql/9/bin/postgres", "/usr/lib/postgresql/16/bin/postgres", "/usr/lib/postgresql/15/bin/postgres"}
	slices.SortFunc(paths, func(a, b string) int { return versionIn(b) - versionIn(a) })
	if versionIn(paths[0]) != 16 {
		t.Errorf("got %v", paths)
	}
}

// TestClosedFolderIsNamed proves that a folder which PostgreSQL's user cannot pass through is told by name, not by initdb's riddle.
func TestClosedFolderIsNamed(t *testing.T) {
	closed := t.TempDir()
	if err := os.Chmod(closed, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := passable(closed); err == nil || !strings.Contains(err.Error(), closed) {
		t.Errorf("got %v", err)
	}
}
