package bus

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"orderyard/cluster"
	"orderyard/messages"
	"orderyard/persistence/jetstream/embedded"
)

// yard is a NATS server and how to get buses on it.
type yard struct {
	*testing.T
	server *embedded.Server
}

func newYard(t *testing.T) *yard {
	t.Helper()
	server, err := embedded.Start(embedded.Options{Dir: t.TempDir(), Port: embedded.InProcessOnly})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Shutdown)
	return &yard{t, server}
}

// open gives a bus on a connection of its own.
func (y *yard) open(self string) (*Bus, *nats.Conn) {
	y.Helper()
	nc, err := y.server.Connect()
	if err != nil {
		y.Fatal(err)
	}
	y.Cleanup(nc.Close)
	b, err := Open(nc, self)
	if err != nil {
		y.Fatal(err)
	}
	y.Cleanup(b.Close)
	return b, nc
}

// known waits until the server has taken what a connection said before: subscriptions count from here.
func (y *yard) known(nc *nats.Conn) {
	y.Helper()
	if err := nc.FlushTimeout(5 * time.Second); err != nil {
		y.Fatal(err)
	}
}

func (y *yard) ctx() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	y.Cleanup(cancel)
	return ctx
}

func (y *yard) must(err error) {
	y.Helper()
	if err != nil {
		y.Fatal(err)
	}
}

// eventually waits for a condition.
func (y *yard) eventually(what string, ok func() bool) {
	y.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			y.Fatalf("never: %s", what)
		}
	}
}

// What one node publishes every other hears, in order, and not itself; what is told to one only that one hears: two nodes speak in turns.
func TestPublishAndTell(t *testing.T) {
	y := newYard(t)
	a, _ := y.open("a")
	b, bc := y.open("b")
	heard := make(chan string, 100)
	y.must(a.Subscribe("view", func([]byte) { t.Error("a hears itself") }))
	y.must(b.Subscribe("view", func(data []byte) { heard <- "all:" + string(data) }))
	y.must(b.Hear("link", func(data []byte) { heard <- "one:" + string(data) }))
	y.known(bc)
	want := []string{"all:1", "all:2", "all:3"}
	for _, data := range []string{"1", "2", "3"} {
		y.must(a.Publish("view", []byte(data)))
	}
	y.must(a.Tell("b", "link", []byte("x")))
	y.must(a.Tell("nobody", "link", []byte("y")))
	var got []string
	for range 4 {
		got = append(got, <-heard)
	}
	if i := slices.Index(got, "one:x"); i < 0 || !slices.Equal(slices.Delete(got, i, i+1), want) {
		t.Fatalf("heard %v, want %v and one:x", got, want)
	}
	if a.Publish("view", make([]byte, PartBytesMax+1)) == nil || a.Tell("b", "link", make([]byte, PartBytesMax+1)) == nil {
		t.Fatal("a message above the limit was sent")
	}
}

// An answer far larger than the window arrives whole and in order, while the sender is never more than a window ahead of an asker that
// takes its time: every part carries its number, and the sender notes how far the asker was.
func TestAskManyParts(t *testing.T) {
	y := newYard(t)
	a, _ := y.open("a")
	b, bc := y.open("b")
	const parts = 10 * windowParts
	var taken atomic.Int64
	y.must(b.Serve("everything", func(_ context.Context, body []byte, send func([]byte) error) error {
		for i := range uint64(parts) {
			part := append(binary.BigEndian.AppendUint64(nil, i), bytes.Repeat(body, 100_000)...)
			if err := send(part); err != nil {
				return err
			}
			if ahead := int64(i+1) - taken.Load(); ahead > windowParts+1 { // the asker counts after it has taken
				t.Errorf("%d parts ahead of the asker", ahead)
			}
		}
		return nil
	}))
	y.known(bc)
	var next uint64
	err := a.Ask(y.ctx(), "b", "everything", []byte("xyz"), func(part []byte) error {
		if got := binary.BigEndian.Uint64(part); got != next || len(part) != 8+300_000 {
			t.Fatalf("part %d of %d bytes comes as number %d", got, len(part), next)
		}
		if next%7 == 0 {
			time.Sleep(time.Millisecond) // slower than the sender now and then
		}
		next++
		taken.Add(1)
		return nil
	})
	if err != nil || next != parts {
		t.Fatalf("%d of %d parts, error %v", next, parts, err)
	}
}

// Every way in which an ask has no answer has an error of its own: nobody there, no ear for the word, the handler's words, the asker's own
// error, its deadline, a part and a body above the limit.
func TestAskFails(t *testing.T) {
	y := newYard(t)
	a, _ := y.open("a")
	b, bc := y.open("b")
	y.must(b.Serve("refuse", func(_ context.Context, _ []byte, send func([]byte) error) error {
		if err := send([]byte("half")); err != nil {
			return err
		}
		return errors.New("no more\nof it")
	}))
	y.must(b.Serve("busy", func(context.Context, []byte, func([]byte) error) error { return ErrBusy }))
	y.must(b.Serve("large", func(_ context.Context, _ []byte, send func([]byte) error) error {
		return send(make([]byte, PartBytesMax+1))
	}))
	y.must(b.Serve("one", func(_ context.Context, _ []byte, send func([]byte) error) error { return send(nil) }))
	y.must(b.Serve("sleep", func(ctx context.Context, _ []byte, _ func([]byte) error) error { <-ctx.Done(); return ctx.Err() }))
	y.known(bc)
	count := 0
	ask := func(to, what string, body []byte) error {
		return a.Ask(y.ctx(), to, what, body, func([]byte) error { count++; return nil })
	}
	if err := ask("nobody", "refuse", nil); !errors.Is(err, ErrNobody) {
		t.Errorf("nobody: %v", err)
	}
	if err := ask("b", "unheard", nil); !errors.Is(err, ErrNobody) {
		t.Errorf("no such word: %v", err)
	}
	var said *AskError
	if err := ask("b", "refuse", nil); !errors.As(err, &said) || said.Text != "no more\nof it" || said.Incarnation != "b" || count != 1 {
		t.Errorf("refused: %v after %d parts", err, count)
	}
	if err := ask("b", "busy", nil); !errors.Is(err, ErrBusy) {
		t.Errorf("busy: %v", err)
	}
	if err := ask("b", "large", nil); !errors.As(err, &said) || !strings.Contains(said.Text, "larger") {
		t.Errorf("large part: %v", err)
	}
	if err := ask("b", "one", make([]byte, PartBytesMax+1)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("large body: %v", err)
	}
	mine := errors.New("enough")
	if err := a.Ask(y.ctx(), "b", "one", nil, func([]byte) error { return mine }); !errors.Is(err, mine) {
		t.Errorf("own error: %v", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Millisecond)
	defer cancel()
	if err := a.Ask(ctx, "b", "sleep", nil, nil); err == nil {
		t.Error("a sleeper answers")
	}
}

// A process answers so many asks of a word at once and refuses more, another word is not held up, and when they end there is room again.
func TestServeIsLimited(t *testing.T) {
	y := newYard(t)
	a, _ := y.open("a")
	b, bc := y.open("b")
	var busy atomic.Int64
	leave := make(chan struct{})
	y.must(b.Serve("hold", func(context.Context, []byte, func([]byte) error) error { busy.Add(1); <-leave; return nil }))
	y.must(b.Serve("quick", func(context.Context, []byte, func([]byte) error) error { return nil }))
	y.known(bc)
	done := make(chan error, ServeMax)
	for range ServeMax {
		go func() { done <- a.Ask(y.ctx(), "b", "hold", nil, nil) }()
	}
	y.eventually("all are being answered", func() bool { return busy.Load() == ServeMax })
	if err := a.Ask(y.ctx(), "b", "hold", nil, nil); !errors.Is(err, ErrBusy) {
		t.Fatalf("one more: %v", err)
	}
	y.must(a.Ask(y.ctx(), "b", "quick", nil, nil))
	close(leave)
	for range ServeMax {
		y.must(<-done)
	}
	y.must(a.Ask(y.ctx(), "b", "hold", nil, nil))
}

// A handler learns that nobody wants its answer: its context ends when the asker gives up, at the asker's deadline, and when the bus closes.
func TestHandlerLearnsOfTheEnd(t *testing.T) {
	y := newYard(t)
	a, _ := y.open("a")
	b, bc := y.open("b")
	ended := make(chan error, 1)
	y.must(b.Serve("stream", func(_ context.Context, _ []byte, send func([]byte) error) error {
		for {
			if err := send([]byte("part")); err != nil {
				ended <- err
				return err
			}
		}
	}))
	began := make(chan struct{}, 1)
	y.must(b.Serve("wait", func(ctx context.Context, _ []byte, _ func([]byte) error) error {
		began <- struct{}{}
		<-ctx.Done()
		ended <- context.Cause(ctx)
		return nil
	}))
	y.known(bc)
	enough := errors.New("enough")
	if err := a.Ask(y.ctx(), "b", "stream", nil, func([]byte) error { return enough }); !errors.Is(err, enough) {
		t.Fatal(err)
	}
	if err := <-ended; !errors.Is(err, errAskerGone) {
		t.Errorf("asker gave up: %v", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	_ = a.Ask(ctx, "b", "wait", nil, nil)
	<-began
	if err := <-ended; !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("deadline: %v", err)
	}
	go func() { _ = a.Ask(y.ctx(), "b", "wait", nil, nil) }()
	<-began
	b.Close()
	if err := <-ended; !errors.Is(err, errClosed) {
		t.Errorf("bus closed: %v", err)
	}
	if err := b.Serve("late", nil); !errors.Is(err, errClosed) {
		t.Errorf("serve after close: %v", err)
	}
}

// An asker does not wait for a process that ended in the middle of its answer: after a second of silence it finds nobody there.
func TestAskedProcessEnds(t *testing.T) {
	y := newYard(t)
	a, _ := y.open("a")
	b, bc := y.open("b")
	leave := make(chan struct{})
	defer close(leave)
	y.must(b.Serve("half", func(_ context.Context, _ []byte, send func([]byte) error) error {
		err := send([]byte("part"))
		<-leave
		return err
	}))
	y.known(bc)
	err := a.Ask(y.ctx(), "b", "half", nil, func([]byte) error { bc.Close(); return nil })
	if !errors.Is(err, ErrNobody) {
		t.Fatal(err)
	}
}

// Parts lost on the way are noticed, in the middle and at the end: somebody answers by hand and leaves parts out.
func TestLostPartsAreNoticed(t *testing.T) {
	y := newYard(t)
	a, _ := y.open("a")
	_, nc := y.open("b")
	part := func(to, number string) *nats.Msg { return &nats.Msg{Subject: to, Reply: "got.1." + number} }
	end := func(to, parts string) *nats.Msg {
		return &nats.Msg{Subject: to, Header: nats.Header{headerEnd: []string{endOK}, headerParts: []string{parts}}}
	}
	for what, answer := range map[string]func(to string) []*nats.Msg{
		"middle": func(to string) []*nats.Msg { return []*nats.Msg{part(to, "1"), part(to, "3"), end(to, "3")} },
		"last":   func(to string) []*nats.Msg { return []*nats.Msg{part(to, "1"), end(to, "2")} },
	} {
		_, err := nc.Subscribe(messages.NodeSubject("b", what), func(m *nats.Msg) {
			for _, one := range answer(m.Reply) {
				_ = nc.PublishMsg(one)
			}
		})
		y.must(err)
		y.known(nc)
		if err := a.Ask(y.ctx(), "b", what, nil, func([]byte) error { return nil }); !errors.Is(err, ErrBroken) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// A ping tells a living process, one that has ended and one that does not answer apart: the last is a subscription that stays quiet.
func TestPing(t *testing.T) {
	y := newYard(t)
	a, _ := y.open("a")
	_, bc := y.open("b")
	c, _ := y.open("c")
	_, err := bc.SubscribeSync(messages.NodeSubject("mute", wordPing))
	y.must(err)
	y.known(bc)
	for incarnation, want := range map[string]cluster.Liveness{"a": cluster.Alive, "b": cluster.Alive, "c": cluster.Alive, "mute": cluster.Silent, "never": cluster.Gone} {
		if got := a.Ping(y.ctxFor(want), incarnation); got != want {
			t.Errorf("%s is %s, want %s", incarnation, got, want)
		}
	}
	c.Close()
	c.Close()
	if got := a.Ping(y.ctx(), "c"); got != cluster.Gone {
		t.Errorf("a closed bus is %s", got)
	}
	bc.Close()
	// A ping that reaches the server together with the end of the connection is lost: hence the usual short wait, and again.
	y.eventually("a closed connection is gone", func() bool { return a.Ping(context.Background(), "b") == cluster.Gone })
}

// ctxFor lets a ping that must be answered wait as long as it takes, and one that must not wait its usual time.
func (y *yard) ctxFor(want cluster.Liveness) context.Context {
	if want == cluster.Silent {
		return context.Background()
	}
	return y.ctx()
}
