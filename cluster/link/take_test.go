package link

import (
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"pgregory.net/rapid"

	"google.golang.org/protobuf/proto"

	"orderyard/messages"
)

// TestEncoding proves that the generated code reads what is written by hand, by random requests and replies.
func TestEncoding(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var b []byte
		want := &messages.LinkBatch{From: "A", To: "B", FromAddr: "a:1", Number: rapid.Uint64().Draw(t, "number"), Seen: rapid.Uint64().Draw(t, "seen")}
		word := rapid.StringMatching("[a-z]{0,30}")
		for range rapid.IntRange(0, 8).Draw(t, "items") {
			var err error
			call := rapid.Uint64().Draw(t, "call")
			if rapid.Bool().Draw(t, "reply") {
				r := &messages.LinkReply{Call: call, Reply: &messages.Reply{Body: &messages.Reply_Order{Order: &messages.OrderReply{Message: word.Draw(t, "text")}}}}
				want.Replies = append(want.Replies, r)
				size := len(b) + replySize(r.Reply)
				if b, err = appendReply(b, call, r.Reply); len(b) > size {
					t.Fatalf("%d bytes, at most %d were promised", len(b), size)
				}
			} else {
				req := messages.Request{
					To: messages.BucketRef(word.Draw(t, "sku"), "den"), Command: &messages.HoldOrder{Note: word.Draw(t, "note")}, CommandID: word.Draw(t, "id"),
					From: messages.OrderRef(word.Draw(t, "from")),
				}
				data, _ := req.Command.MarshalVT()
				left := rapid.Int64Min(0).Draw(t, "left")
				want.Requests = append(want.Requests, &messages.LinkRequest{
					Call: call, Kind: 2, Id: req.To.ID, Command: messages.CommandType(req.Command), Data: data, CommandId: req.CommandID, FromKind: 1,
					FromId: req.From.ID, RemainingMs: left,
				})
				size := len(b) + requestSize(&req)
				if b, err = appendRequest(b, call, &req, messages.CommandType(req.Command), left); len(b) > size {
					t.Fatalf("%d bytes, at most %d were promised", len(b), size)
				}
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		b = appendHead(b, &messages.LinkBatch{From: "A", To: "B", FromAddr: "a:1", Number: want.Number, Seen: want.Seen})
		var got messages.LinkBatch
		if err := got.UnmarshalVT(b); err != nil || !proto.Equal(&got, want) {
			t.Fatalf("got %v, %v; want %v", &got, err, want)
		}
	})
}

// crafted sends bytes from a neighbor A of another version to B and gives B's five answers by call.
func crafted(t *testing.T, data []byte) map[uint64]*messages.Reply {
	t.Helper()
	w := newWorld(t)
	b := w.node("B", quick(), false)
	heard := make(chan *messages.Link, 10)
	neighbor := &wire{w: w, addr: "A:1"}
	if err := neighbor.Start(func(l *messages.Link) { heard <- l }, nil); err != nil {
		t.Fatal(err)
	}
	b.links.take(data, true)
	answers := map[uint64]*messages.Reply{}
	for len(answers) < 5 { // they may come in several batches
		select {
		case l := <-heard:
			var batch messages.LinkBatch
			if err := batch.UnmarshalVT(l.Batch); err != nil {
				t.Fatal(err)
			}
			for _, r := range batch.Replies {
				answers[r.Call] = r.Reply
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("no more answers than %v", answers)
		}
	}
	return answers
}

// TestNeighborOfAnotherVersion proves that a command, a kind and fields of a later version are answered clearly and leave the rest of
// the batch alone, by a batch that holds all of them.
func TestNeighborOfAnotherVersion(t *testing.T) {
	batch := &messages.LinkBatch{From: "A", To: "B", FromAddr: "A:1", Number: 1, Requests: []*messages.LinkRequest{
		{Call: 1, Kind: 1, Id: "web-1", Command: 6},
		{Call: 2, Kind: 1, Id: "web-1", Command: 60_000, Data: []byte("later")},
		{Call: 3, Kind: 77, Id: "web-1", Command: 6},
		{Call: 4, Kind: 1, Id: "web-1", Command: 6, Data: []byte{0xff}},
		{Kind: 1, Id: "web-1", Command: 60_000},
		{Call: 5, Kind: 1, Id: "web-1", Command: 6},
	}}
	data, err := batch.MarshalVT()
	if err != nil {
		t.Fatal(err)
	}
	data = protowire.AppendTag(data, 800, protowire.BytesType)
	data = protowire.AppendString(data, "later")
	got := crafted(t, data)
	for call, code := range map[uint64]string{1: "", 2: messages.CodeUnavailable, 3: messages.CodeUnavailable, 4: messages.CodeInternal, 5: ""} {
		if f := got[call].GetFailure(); f.GetCode() != code {
			t.Errorf("call %d: got %v, want %q", call, got[call], code)
		}
	}
	if f := got[2].GetFailure(); !f.GetRetryable() || f.GetMessage() == "" {
		t.Errorf("got %v", f)
	}
}

// TestBrokenBatches proves that no bytes bring the node down, by random ones and by batches cut short.
func TestBrokenBatches(t *testing.T) {
	w := newWorld(t)
	b := w.node("B", quick(), false)
	batch := &messages.LinkBatch{
		From: "A", To: "B", FromAddr: "A:1", Number: 1, Requests: []*messages.LinkRequest{{Call: 1, Kind: 1, Id: "web-1", Command: 1, Data: []byte{1, 2, 3}}},
		Replies: []*messages.LinkReply{{Call: 1 << 40, Reply: &messages.Reply{}}, {Call: 3}},
	}
	data, err := batch.MarshalVT()
	if err != nil {
		t.Fatal(err)
	}
	for i := range data {
		b.links.take(data[:i], true)
	}
	rapid.Check(t, func(t *rapid.T) { b.links.take(rapid.SliceOf(rapid.Byte()).Draw(t, "bytes"), true) })
}

// TestLateBatch proves that a batch which others have overtaken is ignored, and that the gap it leaves answers the flights, by taking in
// numbers out of order.
func TestLateBatch(t *testing.T) {
	w := newWorld(t)
	a, b := w.node("A", quick(), false), w.node("B", quick(), false)
	w.owned(b, a, b)
	b.on(func(messages.Request) {})
	got := make(chan messages.Request, 10)
	a.on(func(req messages.Request) { got <- req })
	answer := a.raw(b, messages.Request{To: messages.OrderRef("1"), Command: &messages.GetOrder{}})
	w.eventually("sent", func() bool { return a.links.Stats().Items == 1 })
	send := func(number uint64, id string) {
		data, _ := (&messages.LinkBatch{
			From: "B", To: "A", FromAddr: b.wire.addr, Number: number, Requests: []*messages.LinkRequest{{Kind: 1, Id: id, Command: 6}},
		}).MarshalVT()
		a.links.take(data, true)
	}
	send(2, "second")
	w.refused(answer, messages.CodeMoved)
	send(1, "first")
	send(2, "second again")
	send(3, "third")
	if x, y := <-got, <-got; x.To.ID != "second" || y.To.ID != "third" || len(got) != 0 {
		t.Errorf("got %v, %v", x.To, y.To)
	}
	if s := a.links.Stats(); s.Late != 2 || s.Gaps != 1 {
		t.Errorf("stats %+v", s)
	}
}

// TestFlights proves that a call is found by its number exactly once, and never by the number of another, against a plain map.
func TestFlights(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var table flights
		model := map[uint64]string{}
		var old []uint64
		serial := uint64(0)
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				serial++
				id := rapid.StringMatching("[a-z]{5}").Draw(t, "id")
				f := flight{commandID: id}
				if rapid.Bool().Draw(t, "task") {
					f.from = messages.OrderRef("x")
				}
				call, ok := table.add(serial, f)
				if !ok || model[call] != "" {
					t.Fatalf("call %d: %v", call, ok)
				}
				model[call] = id
				old = append(old, call)
			},
			"take": func(t *rapid.T) {
				call := uint64(0)
				if len(old) > 0 {
					call = rapid.SampledFrom(old).Draw(t, "call")
				}
				f, ok := table.take(call)
				if want, known := model[call]; known != ok || f.commandID != want {
					t.Fatalf("call %d: %v, %v; want %q", call, f.commandID, ok, want)
				}
				delete(model, call)
			},
			"takeIf": func(t *rapid.T) {
				letter := rapid.ByteRange('a', 'z').Draw(t, "letter")
				for _, f := range table.takeIf(func(f *flight) bool { return f.commandID[0] <= letter }) {
					if model[f.call] != f.commandID || f.commandID[0] > letter {
						t.Fatalf("took %v", f)
					}
					delete(model, f.call)
				}
			},
			"": func(t *rapid.T) {
				if table.clients+table.tasks != len(model) {
					t.Fatalf("%d + %d calls, want %d", table.clients, table.tasks, len(model))
				}
			},
		})
	})
}
