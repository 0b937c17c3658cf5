package ingress

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"orderyard/messages"
)

func (h *house) pending() uint64 {
	h.t.Helper()
	s, err := h.js.Stream(context.Background(), messages.StreamIntake)
	if err != nil {
		h.t.Fatal(err)
	}
	return s.CachedInfo().State.Msgs
}

func (h *house) drop(channel, body string) {
	h.t.Helper()
	if _, err := h.js.Publish(context.Background(), messages.IntakeSubject(channel), []byte(body)); err != nil {
		h.t.Fatal(err)
	}
}

// TestIntakeAcksWhatIsDurable proves that an intake message stays in its queue until the actor has answered ok, and goes then.
func TestIntakeAcksWhatIsDurable(t *testing.T) {
	h := openHouse(t, Limits{})
	release := make(chan struct{})
	h.actors.set(func(r messages.Request) *messages.Reply { <-release; return placed(r) })
	h.drop("web", goodOrder)
	eventually(t, "the actor is asked", func() bool { return len(h.actors.requests()) == 1 })
	if r := h.actors.requests()[0]; r.CommandID != "place/web-1" || r.To != messages.OrderRef("web-1") {
		t.Errorf("sent %+v: the two doors must use one key", r)
	}
	time.Sleep(50 * time.Millisecond)
	if n := h.pending(); n != 1 {
		t.Fatalf("%d messages before the order is durable, want 1", n)
	}
	close(release)
	eventually(t, "acknowledged", func() bool { return h.pending() == 0 })
}

// TestIntakeRetries proves that a failure that passes brings the message back until the order is placed, and makes no dead letter.
func TestIntakeRetries(t *testing.T) {
	h := openHouse(t, Limits{})
	var tries atomic.Int32
	h.actors.set(func(r messages.Request) *messages.Reply {
		if tries.Add(1) < 3 {
			return messages.Refuse(messages.Retry(messages.CodeUnavailable, 10, "moving"))
		}
		return placed(r)
	})
	h.drop("web", goodOrder)
	eventually(t, "placed", func() bool { return tries.Load() == 3 && h.pending() == 0 })
	if letters := h.letters(doorIntake); len(letters) > 0 {
		t.Errorf("dead letters %v", letters)
	}
}

// TestIntakeNobodyAnswers proves that a message whose actor never answers is given back by the door, before the stream would.
func TestIntakeNobodyAnswers(t *testing.T) {
	h := openHouse(t, Limits{IntakeWait: time.Second})
	var tries atomic.Int32
	h.actors.set(func(r messages.Request) *messages.Reply {
		if tries.Add(1) == 1 {
			return nil
		}
		return placed(r)
	})
	h.drop("web", goodOrder)
	eventually(t, "placed at the second try", func() bool { return tries.Load() == 2 && h.pending() == 0 })
}

// TestIntakeDeadLetters proves that what can never be placed is laid aside with reason, code, field and its bytes, that only then
// it leaves the queue, and that it holds up nothing behind it.
func TestIntakeDeadLetters(t *testing.T) {
	h := openHouse(t, Limits{})
	h.actors.set(func(r messages.Request) *messages.Reply {
		if r.To.ID == "web-2" {
			return messages.Refuse(messages.Fail(messages.CodeConflict, "", "another order has this id"))
		}
		return placed(r)
	})
	conflict := strings.Replace(goodOrder, `"external_id":"1"`, `"external_id":"2"`, 1)
	for _, c := range []struct{ channel, body string }{
		{"web", goodOrder[:30]}, {"web", "\xff"}, {"web", conflict}, {"app", goodOrder},
		{"web", strings.Replace(goodOrder, `"quantity":2`, `"quantity":-2`, 1)}, {"web", goodOrder},
	} {
		h.drop(c.channel, c.body)
	}
	eventually(t, "queue empty", func() bool { return h.pending() == 0 })
	found := make(map[string]*jetstream.RawStreamMsg)
	for _, l := range h.letters(doorIntake) {
		found[string(l.Data)+" "+l.Header.Get(messages.HeaderSubject)] = l
	}
	for _, c := range []struct{ body, channel, code, field string }{
		{goodOrder[:30], "web", messages.CodeInvalid, "external_id"},
		{"\xff", "web", messages.CodeInvalid, "body"},
		{conflict, "web", messages.CodeConflict, ""},
		{goodOrder, "app", messages.CodeInvalid, "channel"},
		{strings.Replace(goodOrder, `"quantity":2`, `"quantity":-2`, 1), "web", messages.CodeInvalid, "lines[0].quantity"},
	} {
		l := found[c.body+" "+messages.IntakeSubject(c.channel)]
		if l == nil {
			t.Errorf("no letter for %.40q of %s", c.body, c.channel)
		} else if l.Header.Get(messages.HeaderCode) != c.code || l.Header.Get(messages.HeaderField) != c.field || l.Header.Get(messages.HeaderReason) == "" {
			t.Errorf("letter for %.40q: %v", c.body, l.Header)
		}
	}
	if len(found) != 5 {
		t.Errorf("%d letters, want 5", len(found))
	}
}

// TestIntakeWithoutDeadStream proves that garbage stays in its queue while the dead-letter stream cannot take it.
func TestIntakeWithoutDeadStream(t *testing.T) {
	h := openHouse(t, Limits{})
	if err := h.js.DeleteStream(context.Background(), messages.StreamDead); err != nil {
		t.Fatal(err)
	}
	h.drop("web", "garbage")
	time.Sleep(300 * time.Millisecond)
	if n := h.pending(); n != 1 {
		t.Fatalf("%d messages, want the one that could not be laid aside", n)
	}
	if err := Setup(context.Background(), h.js, smallStreams); err != nil {
		t.Fatal(err)
	}
	eventually(t, "laid aside", func() bool { return h.pending() == 0 && len(h.letters(doorIntake)) == 1 })
}

// TestDeadLettersAreSampled proves that a flood of garbage on a request door fills the dead-letter stream no faster than its rate.
func TestDeadLettersAreSampled(t *testing.T) {
	h := openHouse(t, Limits{DeadPerSecond: 5})
	for range 50 {
		h.wantError(h.ask(messages.StockSubject("set"), "{"), messages.CodeInvalid, "body")
	}
	eventually(t, "the letters are kept", func() bool { return len(h.letters(doorStock)) >= 5 })
	if n := len(h.letters(doorStock)); n > 10 {
		t.Errorf("%d letters of 50, want about 5", n)
	}
}

// TestSetupTwice proves that every node may set the streams up, that new options take effect, and that the event feed is relaxed.
func TestSetupTwice(t *testing.T) {
	h := openHouse(t, Limits{})
	ctx := context.Background()
	o := smallStreams
	o.EventsAge = time.Hour
	for range 2 {
		if err := Setup(ctx, h.js, o); err != nil {
			t.Fatal(err)
		}
	}
	s, err := h.js.Stream(ctx, messages.StreamEvents)
	if err != nil {
		t.Fatal(err)
	}
	if cfg := s.CachedInfo().Config; cfg.MaxAge != time.Hour || cfg.PersistMode != jetstream.AsyncPersistMode {
		t.Errorf("events stream %+v", cfg)
	}
}
