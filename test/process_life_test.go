package test

import (
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"orderyard/gateway/wire"
	"orderyard/messages"
)

// TestSecondProcessRefused proves that one folder has one owner, by starting a second process on it; and that Ctrl-C, pressed under
// load, ends the first with exit 0 and loses nothing of what it acknowledged, by starting the next and asking for it.
func TestSecondProcessRefused(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("there is no Ctrl-C to send to another process")
	}
	h := open(t, t.TempDir())
	nc := h.connect()
	applySite(t, nc, site(0, nil))
	setStock(t, nc, "A", "den", 1_000_000)
	first := place(t, nc, order("first", 1, "A"))
	reaches(t, nc, first, "released")

	code, out, errs := run(t, "dev", "--data", h.dir, "--nats-port", "0", "--http", "127.0.0.1:0", "--no-demo", "--no-fleet")
	if want := fmt.Sprintf("in use by process %d", h.cmd.Process.Pid); code != 1 || !strings.Contains(errs, want) || strings.Contains(out, "ready") {
		t.Errorf("the second process: exit %d, %q %q, want exit 1 and %q", code, out, errs, want)
	}
	if !h.alive() {
		t.Fatal("the second process ended the first")
	}
	place(t, nc, order("second", 1, "A"))

	taken := placeUntilGone(h, 200)
	if code := h.interrupt(); code != 0 {
		t.Errorf("Ctrl-C ends with exit %d", code)
	}
	if said := h.stdout.String(); !strings.Contains(said, "Stopping") {
		t.Errorf("said %q", said)
	}
	acknowledged := taken()
	h = h.again()
	nc = h.connect()
	t.Logf("stopped under load with %d orders acknowledged; ready again in %v", len(acknowledged), h.ready.Round(time.Millisecond))
	for _, id := range append(acknowledged, first, "web-second") {
		if a, err := ask[wire.OrderAnswer](nc, messages.OrderSubject("get"), wire.GetOrderRequest{OrderID: id}, ""); err != nil || a.failure != nil {
			t.Fatalf("order %s was acknowledged and is gone: %v %s", id, err, a.raw)
		}
	}
	rest(t, nc, time.Minute)
	if b := bucket(t, nc, "A", "den"); b.Allocated < int64(len(acknowledged)+2) || b.Reserved != 0 {
		t.Errorf("%+v for %d acknowledged orders", b, len(acknowledged)+2)
	}
	h.verify()
}

// placeUntilGone places orders from several clients until the house is gone, and returns once `enough` were acknowledged. The function
// it gives waits for the clients and names the orders.
func placeUntilGone(h *house, enough int) func() []string {
	var (
		mu    sync.Mutex
		wait  sync.WaitGroup
		taken []string
	)
	reached := make(chan struct{})
	for i := range 16 {
		nc := h.connect()
		wait.Go(func() {
			for n := 0; ; n++ {
				o := order(fmt.Sprintf("load-%d-%d", i, n), 1, "A")
				a, err := ask[wire.OrderReceipt](nc, messages.PlaceSubject("web"), o, "")
				if err != nil {
					return
				}
				if a.failure != nil {
					continue
				}
				mu.Lock()
				if taken = append(taken, a.doc.OrderID); len(taken) == enough {
					close(reached)
				}
				mu.Unlock()
			}
		})
	}
	select {
	case <-reached:
	case <-time.After(answerIn):
	}
	return func() []string {
		wait.Wait()
		return taken
	}
}
