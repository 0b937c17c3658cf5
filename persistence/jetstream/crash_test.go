package jetstream_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"orderyard/persistence"
	"orderyard/persistence/jetstream"
	"orderyard/persistence/jetstream/embedded"
)

// TestMain lets the test binary be the process that is killed.
func TestMain(m *testing.M) {
	if dir := os.Getenv("ORDERYARD_TEST_APPEND"); dir != "" {
		if err := appendForever(dir); err != nil {
			fmt.Println("failed:", err)
		}
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// appendForever takes partition 0 over, appends until it is killed and prints every payload that was acknowledged.
func appendForever(dir string) error {
	ctx := context.Background()
	srv, err := embedded.Start(embedded.Options{Dir: dir, Port: embedded.InProcessOnly, SyncAlways: true})
	if err != nil {
		return err
	}
	nc, err := srv.Connect()
	if err != nil {
		return err
	}
	s, err := jetstream.Open(ctx, nc, jetstream.Options{Sync: jetstream.SyncAlways})
	if err != nil {
		return err
	}
	l := persistence.OpenLog(s, 0, persistence.LogOptions{Node: "child", Incarnation: fmt.Sprint(os.Getpid())})
	if err := errors.Join(l.Recover(ctx, persistence.Manifest{}, nil), l.Takeover(ctx, nil)); err != nil {
		return err
	}
	for i := 0; ; i++ {
		payload := fmt.Sprintf("%d.%d", l.Epoch(), i)
		if _, err := l.Append(ctx, []byte(payload)); err != nil {
			return err
		}
		fmt.Println("acked", payload)
	}
}

// Proves that kill -9 of the process with the server in it loses nothing that was acknowledged, several times over on one directory, and that the
// next process takes over and goes on.
func TestKilled(t *testing.T) {
	dir := t.TempDir()
	var acked []string
	for round := range 5 {
		child := exec.Command(os.Args[0])
		child.Env = append(os.Environ(), "ORDERYARD_TEST_APPEND="+dir)
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for n := 0; lines.Scan(); n++ {
			payload, ok := strings.CutPrefix(lines.Text(), "acked ")
			if !ok {
				t.Fatalf("round %d: the child says %q", round, lines.Text())
			}
			acked = append(acked, payload)
			if n == 100+round*37 {
				child.Process.Kill() // and read what it had printed by then
			}
		}
		child.Wait()
	}
	s, _ := open(t, serve(t, dir, true))
	l := persistence.OpenLog(s, 0, persistence.LogOptions{Node: "parent"})
	next := 0
	err := l.Recover(t.Context(), persistence.Manifest{}, func(_ uint64, payload []byte) error {
		if next < len(acked) && acked[next] == string(payload) {
			next++
		}
		return nil
	})
	if err != nil || next < len(acked) || l.Epoch() != 5 {
		t.Fatalf("%d of %d acknowledged payloads in place, epoch %d, %v", next, len(acked), l.Epoch(), err)
	}
	if err := l.Takeover(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
}

// Proves F10: a flipped bit, a cut or a hole in the file of the journal's stream is refused with a position, or did no harm at all; nothing
// shortened is served as if whole. The server itself starts without complaint.
func TestDamagedFile(t *testing.T) {
	dir := t.TempDir()
	srv := serve(t, dir, false)
	s, nc := open(t, srv)
	l := persistence.OpenLog(s, 0, persistence.LogOptions{Node: "a"})
	if err := errors.Join(l.Recover(t.Context(), persistence.Manifest{}, nil), l.Takeover(t.Context(), nil)); err != nil {
		t.Fatal(err)
	}
	const n = 400
	for i := range n {
		if _, err := l.Append(t.Context(), fmt.Appendf(nil, "payload %d", i)); err != nil {
			t.Fatal(err)
		}
	}
	head := l.Manifest()
	nc.Close()
	srv.Shutdown()
	blocks, _ := filepath.Glob(filepath.Join(dir, "jetstream/*/streams", jetstream.StreamJournal, "msgs/*.blk"))
	if len(blocks) != 1 {
		t.Fatalf("block files: %v", blocks)
	}
	whole, err := os.ReadFile(blocks[0])
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name   string
		damage func(b []byte) []byte
	}{
		{"flip early", func(b []byte) []byte { b[200] ^= 1; return b }},
		{"flip in the middle", func(b []byte) []byte { b[len(b)/2] ^= 1; return b }},
		{"flip late", func(b []byte) []byte { b[len(b)-40] ^= 1; return b }},
		{"cut in the middle", func(b []byte) []byte { return b[:len(b)/2] }},
		{"cut the last byte", func(b []byte) []byte { return b[:len(b)-1] }},
		{"zeros in the middle", func(b []byte) []byte { clear(b[len(b)/2 : len(b)/2+500]); return b }},
	}
	for _, tt := range tests {
		for _, state := range []string{"with the server's index", "without"} {
			t.Run(tt.name+" "+state, func(t *testing.T) {
				copied := t.TempDir()
				if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
					t.Fatal(err)
				}
				rel, _ := filepath.Rel(dir, blocks[0])
				if err := os.WriteFile(filepath.Join(copied, rel), tt.damage(append([]byte{}, whole...)), 0o600); err != nil {
					t.Fatal(err)
				}
				if state == "without" {
					os.Remove(filepath.Join(copied, filepath.Dir(rel), "index.db"))
				}
				s, _ := open(t, serve(t, copied, false))
				ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
				defer cancel()
				r := persistence.OpenLog(s, 0, persistence.LogOptions{
					Node: "b", HighWater: persistence.Mark{Position: head.Position, Number: head.Number}, BehindFor: 10 * time.Millisecond,
				})
				commits := 0
				err := r.Recover(ctx, persistence.Manifest{}, func(uint64, []byte) error { commits++; return nil })
				var corrupt *persistence.CorruptError
				if !errors.As(err, &corrupt) {
					t.Fatalf("served %d of %d commits: %v", commits, n, err)
				}
				t.Logf("after %d of %d commits: %v", commits, n, err)
			})
		}
	}
}
