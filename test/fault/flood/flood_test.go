package flood

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"orderyard/persistence/jetstream/embedded"
)

// shop is a NATS server and a service on it that answers as it is told.
func shop(t *testing.T, answer func(m *nats.Msg) string) string {
	t.Helper()
	srv, err := embedded.Start(embedded.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(srv.Shutdown)
	nc, err := nats.Connect(srv.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	if _, err := nc.Subscribe("shop", func(m *nats.Msg) {
		if text := answer(m); text != "" {
			_ = m.Respond([]byte(text)) // an answer that does not come is what a buyer must survive
		}
	}); err != nil {
		t.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	return srv.ClientURL()
}

const (
	yes  = `{"ok":true,"atp":1}`
	busy = `{"ok":false,"error":{"code":"limit","message":"m","retryable":true,"retry_after_ms":30}}`
	no   = `{"ok":false,"error":{"code":"declined","message":"m","retryable":false},"atp":0}`
)

// TestOpenLoop proves that an open loop sends at its rate whatever the answers, counts each answer as what it is, and measures from the time a
// request had to leave: a service that answers nothing for 300 ms is seen to be that late.
func TestOpenLoop(t *testing.T) {
	var mu sync.Mutex
	began, n := time.Now(), 0
	url := shop(t, func(m *nats.Msg) string {
		mu.Lock()
		defer mu.Unlock()
		if n++; n == 1 {
			began = time.Now()
			time.Sleep(300 * time.Millisecond) // everybody behind waits, too
		}
		if n%2 == 0 {
			return busy
		}
		return yes
	})
	r, err := Run(t.Context(), url, time.Second, Stream{Subject: "shop", PerSecond: 4000, Body: func(dst []byte, n int) []byte { return fmt.Append(dst, n) }})
	if err != nil {
		t.Fatal(err)
	}
	s := r.Streams[0]
	if s.Sent < 3200 || s.Sent > 4800 || s.Silent != 0 || s.OK+s.Codes["limit"] != s.Sent || s.OK-s.Codes["limit"] > 1 || n != s.Sent {
		t.Errorf("%d sent, %d served: %+v", s.Sent, n, s)
	}
	if p := time.Duration(s.Took.ValueAtQuantile(99)) * time.Microsecond; p < 200*time.Millisecond || s.RetryMin != 30*time.Millisecond {
		t.Errorf("p99 %v though the first answer came after %v; come back in %v", p, time.Since(began), s.RetryMin)
	}
}

// TestClosedLoop proves that a closed loop keeps its window and no more under way, and that who is refused waits.
func TestClosedLoop(t *testing.T) {
	var mu sync.Mutex
	open, most, n := 0, 0, 0
	release := make(chan *nats.Msg, 1000)
	url := shop(t, func(m *nats.Msg) string {
		mu.Lock()
		defer mu.Unlock()
		open++
		most, n = max(most, open), n+1
		release <- m
		return ""
	})
	go func() {
		for m := range release {
			time.Sleep(time.Millisecond) // the time of the work
			mu.Lock()
			open--
			text := yes
			if n%3 == 0 {
				text = busy
			}
			mu.Unlock()
			_ = m.Respond([]byte(text)) // the run may be over
		}
	}()
	r, err := Run(t.Context(), url, 500*time.Millisecond, Stream{Subject: "shop", Window: 20, Body: func(dst []byte, _ int) []byte { return dst }})
	if err != nil {
		t.Fatal(err)
	}
	if s := r.Streams[0]; most > 20 || s.OK < 50 || s.Silent != 0 {
		t.Errorf("%d at once: %+v", most, s)
	}
	nobodyThere, err := Run(t.Context(), url, 20*time.Millisecond, Stream{Subject: "elsewhere", PerSecond: 100, Body: func(dst []byte, _ int) []byte { return dst }})
	if s := nobodyThere.Streams[0]; err != nil || s.Codes[nobody] != s.Sent || s.Sent == 0 {
		t.Errorf("%v, %+v", err, s)
	}
}

// TestSale proves that buyers ask until they know, each under one command id: a shop that loses a third of what it hears and is busy for another
// third sells what it has, to as many buyers.
func TestSale(t *testing.T) {
	const stock, buyers = 50, 300
	var mu sync.Mutex
	known, n := map[string]string{}, 0
	url := shop(t, func(m *nats.Msg) string {
		mu.Lock()
		defer mu.Unlock()
		id := m.Header.Get("Oy-Command-Id")
		if id != "sale-"+string(m.Data) {
			return `{"ok":false,"error":{"code":"invalid"}}`
		}
		if n++; n%3 == 0 {
			return busy
		}
		if known[id] == "" {
			known[id] = no
			if len(known) <= stock {
				known[id] = yes
			}
		}
		if n%3 == 1 {
			return "" // decided, and the answer is lost
		}
		return known[id]
	})
	s := &Sale{
		Subject: "shop", Buyers: buyers, PerSecond: 2000, Attempt: 50 * time.Millisecond,
		Body: func(dst []byte, buyer int) []byte { return fmt.Append(dst, buyer) },
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	list, err := s.Run(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	won, tries := 0, 0
	for i := range list {
		if tries += list[i].Tries; list[i].Won() {
			won++
		} else if list[i].Code != "declined" {
			t.Fatalf("buyer %d: %+v", i, list[i])
		}
	}
	if sold, told := s.Progress(); won != stock || sold != stock || told != buyers || tries < buyers*3/2 {
		t.Errorf("%d of %d won, %d told, %d tries", won, stock, told, tries)
	}
}

// TestLate proves that the check of "first come, first served" finds a winner who began after somebody was told no, and blames nobody else:
// not who began before and was told later, nor who began after and lost.
func TestLate(t *testing.T) {
	list := []Purchase{
		{Began: 1, Told: 9, Code: ok}, {Began: 2, Told: 5, Code: "declined"}, {Began: 5, Told: 7, Code: ok}, {Began: 6, Told: 8, Code: "declined"},
	}
	if late, first := Late(list, "declined"); len(late) != 0 || first != 5 {
		t.Errorf("late %v, first no at %v", late, first)
	}
	list = append(list, Purchase{Began: 6, Told: 7, Code: ok})
	if late, _ := Late(list, "declined"); !slices.Equal(late, []int{4}) {
		t.Errorf("late %v", late)
	}
	if late, first := Late([]Purchase{{Began: 1, Told: 2, Code: ok}}, "declined"); late != nil || first >= 0 {
		t.Errorf("late %v though nobody was told no", late)
	}
}

// TestCode proves that answers are named by their beginning, as the doors write them.
func TestCode(t *testing.T) {
	for body, want := range map[string]string{yes: "ok", busy: "limit", no: "declined", "": nobody, "nonsense": ""} {
		if got := code([]byte(body)); got != want {
			t.Errorf("%s is %q, want %q", body, got, want)
		}
	}
	if got := retryAfter([]byte(busy)); got != 30*time.Millisecond || retryAfter([]byte(strings.Replace(busy, "30", "x", 1))) != 0 {
		t.Errorf("come back in %v", got)
	}
}
