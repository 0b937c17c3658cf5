package test

import (
	"bytes"
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"orderyard/gateway/wire"
	"orderyard/messages"
)

// TestSameOrderFiveTimes proves that an order is one order however often and through whichever door it comes: five times in parallel
// by request, twice by the intake, all of it again after kill -9. Repeats say so and repeat the first answer; another body under the
// same id is a conflict, at both doors.
func TestSameOrderFiveTimes(t *testing.T) {
	t.Parallel()
	h := open(t, t.TempDir())
	nc := h.connect()
	applySite(t, nc, site(0, nil))
	setStock(t, nc, "ONCE", "den", 100)
	o := order("one", 3, "ONCE")
	first := sendEverywhere(t, h, o)
	fresh := 0
	for _, a := range first {
		if !a.replayed {
			fresh++
		}
		if !bytes.Equal(a.raw, first[0].raw) {
			t.Errorf("two answers to one order: %s and %s", first[0].raw, a.raw)
		}
	}
	if fresh > 1 { // none, when the intake was faster
		t.Errorf("%d of 5 answers do not say that they are repeats", fresh)
	}
	h.kill()
	h = h.again()
	nc = h.connect()
	for _, a := range sendEverywhere(t, h, o) {
		if !a.replayed || !bytes.Equal(a.raw, first[0].raw) {
			t.Errorf("after the restart: replayed %v, %s, want a repeat of %s", a.replayed, a.raw, first[0].raw)
		}
	}
	other := o
	other.Lines = []wire.Line{o.Lines[0]}
	other.Lines[0].Quantity = 4
	for _, key := range []string{"", "a-key-of-its-own"} {
		a, err := insist[wire.OrderReceipt](nc, messages.PlaceSubject("web"), other, key)
		if err != nil || a.failure.GetCode() != messages.CodeConflict || a.failure.Retryable {
			t.Errorf("another body, key %q: %v %s, want a conflict", key, err, a.raw)
		}
	}
	body := toIntake(t, nc, other)
	letter := letters(t, nc, 1)[0]
	if !bytes.Equal(letter.Data(), body) || letter.Headers().Get(messages.HeaderCode) != messages.CodeConflict {
		t.Errorf("dead letter %v %s", letter.Headers(), letter.Data())
	}
	oneOrder(t, nc, first[0].doc.OrderID, 3)
	h.verify()
}

// sendEverywhere sends the order five times by request and twice by the intake, all at once, and waits until all seven are done with.
func sendEverywhere(t *testing.T, h *house, o wire.Order) []answer[wire.OrderReceipt] {
	t.Helper()
	nc := h.connect()
	conns := connections(h, 5)
	answers := make([]answer[wire.OrderReceipt], 5)
	errs := make([]error, 7)
	together(7, func(i int) {
		if i < 5 {
			answers[i], errs[i] = insist[wire.OrderReceipt](conns[i], messages.PlaceSubject("web"), o, "")
			if f := answers[i].failure; f != nil {
				errs[i] = f
			}
			return
		}
		errs[i] = publishIntake(conns[i-5], o)
	})
	for i, err := range errs {
		if err != nil {
			t.Fatalf("sender %d: %v", i, err)
		}
	}
	intakeEmpty(t, nc)
	return answers
}

func publishIntake(nc *nats.Conn, o wire.Order) error {
	body, err := wire.Encode(o)
	if err != nil {
		return err
	}
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), answerIn)
	defer cancel()
	_, err = js.Publish(ctx, messages.IntakeSubject(o.Channel), body)
	return err
}

func toIntake(t testing.TB, nc *nats.Conn, o wire.Order) []byte {
	t.Helper()
	body, err := wire.Encode(o)
	if err == nil {
		err = publishIntake(nc, o)
	}
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// intakeEmpty waits until every message of the durable door has been dealt with.
func intakeEmpty(t testing.TB, nc *nats.Conn) {
	t.Helper()
	eventually(t, answerIn, func() string {
		if n := stream(t, nc, messages.StreamIntake).State.Msgs; n > 0 {
			return fmt.Sprintf("%d messages wait in the intake", n)
		}
		return ""
	})
}

func stream(t testing.TB, nc *nats.Conn, name string) *jetstream.StreamInfo {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), answerIn)
	defer cancel()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	s, err := js.Stream(ctx, name)
	if err != nil {
		t.Fatalf("stream %s: %v", name, err)
	}
	return s.CachedInfo()
}

// follow hands every message of a stream's subject to f, from the first on, until f says that it has seen enough.
func follow(t testing.TB, nc *nats.Conn, name, subject string, within time.Duration, f func(jetstream.Msg) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	consumer, err := js.OrderedConsumer(ctx, name, jetstream.OrderedConsumerConfig{FilterSubjects: []string{subject}})
	if err != nil {
		t.Fatalf("follow %s: %v", subject, err)
	}
	messages, err := consumer.Messages()
	if err != nil {
		t.Fatalf("follow %s: %v", subject, err)
	}
	defer messages.Stop()
	for {
		m, err := messages.Next(jetstream.NextContext(ctx))
		if err != nil {
			t.Fatalf("follow %s: %v", subject, err)
		}
		if f(m) {
			return
		}
	}
}

// letters waits for the first n dead letters of the intake.
func letters(t testing.TB, nc *nats.Conn, n int) []jetstream.Msg {
	t.Helper()
	var list []jetstream.Msg
	follow(t, nc, messages.StreamDead, messages.DeadSubject("intake"), answerIn, func(m jetstream.Msg) bool {
		list = append(list, m)
		return len(list) == n
	})
	return list
}

// oneOrder checks from every side that the order is there once.
func oneOrder(t *testing.T, nc *nats.Conn, id string, units int64) {
	t.Helper()
	view := reaches(t, nc, id, "released")
	if len(view.Fulfillments) != 1 || view.Lines[0].Quantity != units {
		t.Errorf("order %+v", view)
	}
	if list := rows(t, nc, wire.ListFilter{}); len(list) != 1 {
		t.Errorf("%d orders listed", len(list))
	}
	if b := bucket(t, nc, "ONCE", "den"); b.Allocated != units || b.Reserved != 0 {
		t.Errorf("stock %+v, want %d allocated", b, units)
	}
	ids := map[string]bool{}
	eventually(t, answerIn, func() string {
		events := stream(t, nc, messages.StreamEvents)
		if events.State.Msgs == 0 {
			return "no event came"
		}
		seen := uint64(0)
		follow(t, nc, messages.StreamEvents, messages.SubjectEvents+">", answerIn, func(m jetstream.Msg) bool {
			if m.Subject() == messages.EventSubject("order", "placed", "web") {
				ids[m.Headers().Get("ce-id")] = true
			}
			meta, err := m.Metadata()
			if err == nil {
				seen = meta.Sequence.Stream
			}
			return seen >= events.State.LastSeq
		})
		if len(ids) == 0 {
			return "the order's placement was not told"
		}
		return ""
	})
	if len(ids) != 1 {
		t.Errorf("the placement was told as %v", ids)
	}
}

// TestListsAreBookedOnce proves that a list which is sent again is not booked again, in whatever shape it comes: in another order, in part, and one
// entry alone; also after kill -9. Another quantity for a bucket is a conflict. What counts is what is on hand.
func TestListsAreBookedOnce(t *testing.T) {
	t.Parallel()
	h := open(t, t.TempDir())
	nc := h.connect()
	applySite(t, nc, site(0, nil))
	entry := func(sku string, quantity int64) wire.ReceiveStockRequest {
		return wire.ReceiveStockRequest{SKU: sku, Site: "den", Quantity: quantity}
	}
	a, b, c, d := entry("LIST-A", 5), entry("LIST-B", 7), entry("LIST-C", 11), entry("LIST-D", 13)
	receive := func(doc any) answer[wire.StockListAnswer] {
		got, err := insist[wire.StockListAnswer](nc, messages.StockSubject("receive"), doc, "delivery")
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	shapes := []any{
		[]wire.ReceiveStockRequest{a, b, c}, []wire.ReceiveStockRequest{c, b, a}, []wire.ReceiveStockRequest{b, c}, []wire.ReceiveStockRequest{d, b}, b,
	}
	for round := range 2 {
		for i, doc := range shapes {
			if got := receive(doc); got.failure != nil {
				t.Fatalf("round %d, shape %d: %s", round, i, got.raw)
			}
		}
		if got := receive([]wire.ReceiveStockRequest{entry("LIST-A", 6), b}); got.doc.Results[0].Failure().GetCode() != messages.CodeConflict || !got.doc.Results[1].Replayed {
			t.Errorf("round %d, another quantity: %s", round, got.raw)
		}
		for _, want := range []wire.ReceiveStockRequest{a, b, c, d} {
			if got := bucket(t, nc, want.SKU, "den"); got.OnHand != want.Quantity {
				t.Errorf("round %d: %d of %s on hand, want %d", round, got.OnHand, want.SKU, want.Quantity)
			}
		}
		h.kill()
		h = h.again()
		nc = h.connect()
	}
	h.verify()
}
