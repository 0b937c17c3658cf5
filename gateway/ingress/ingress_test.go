package ingress

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"

	"orderyard/actors"
	"orderyard/gateway/wire"
	"orderyard/messages"
	"orderyard/persistence/jetstream/embedded"
	"orderyard/routing"
)

// fakeActors records what it is sent. answer makes the reply; nil = never answer; it runs on a goroutine of its own unless
// inline says otherwise.
type fakeActors struct {
	mu     sync.Mutex
	seen   []messages.Request
	answer func(messages.Request) *messages.Reply
	inline bool
	quick  bool // answer at once and record nothing
}

func (a *fakeActors) Send(r messages.Request) {
	if a.quick {
		r.Done(placed(r))
		return
	}
	a.mu.Lock()
	a.seen = append(a.seen, r)
	answer := a.answer
	a.mu.Unlock()
	if answer == nil {
		return
	}
	if a.inline {
		r.Done(answer(r))
		return
	}
	go func() {
		if reply := answer(r); reply != nil {
			r.Done(reply)
		}
	}()
}

func (a *fakeActors) set(answer func(messages.Request) *messages.Reply) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.answer = answer
}

func (a *fakeActors) requests() []messages.Request {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]messages.Request(nil), a.seen...)
}

// fakeDirectory knows two sites and one SKU; a list of the channels "far" and "odd" fails, and one of "slow" waits for hold.
type fakeDirectory struct{ hold chan struct{} }

func (d *fakeDirectory) ListOrders(ctx context.Context, f wire.ListFilter) ([]*messages.OrderSummary, string, error) {
	_, limited := ctx.Deadline()
	switch {
	case f.Channel == "far":
		return nil, "", fmt.Errorf("list: %w", messages.Retry(messages.CodeUnavailable, 500, "node n2 does not answer"))
	case f.Channel == "slow":
		select {
		case <-d.hold:
		case <-ctx.Done():
		}
	case f.Channel == "odd" || !limited:
		return nil, "", errors.New("odd")
	}
	return []*messages.OrderSummary{{OrderId: "web-1", Channel: "web", Status: "placed", Units: 2}}, "next", nil
}

func (d *fakeDirectory) Buckets(sku string) []string {
	if sku == "A" {
		return []string{"den", "nyc"}
	}
	return nil
}

func (d *fakeDirectory) Available(sku, site string, tell func(string, int64)) {
	for i, id := range d.Buckets(sku) {
		if site == "" || site == id {
			tell(id, int64(3*i))
		}
	}
}

func (d *fakeDirectory) Sites() []string { return []string{"den", "nyc"} }

func (d *fakeDirectory) Prepare(p *messages.PlaceOrder) error {
	p.Fingerprint = 7
	for i, l := range p.GetOrder().GetLines() {
		if l.GetSku() == "UNKNOWN" {
			p.UnknownSkuLines = append(p.UnknownSkuLines, uint32(i))
		}
	}
	return nil
}

// fakePlanner sends everything to Denver.
type fakePlanner struct{}

func (fakePlanner) Want(context.Context, *messages.OrderView, uint32, string) (*routing.Flip, *messages.Failure) {
	return &routing.Flip{Site: "den", Won: true}, nil
}

func (fakePlanner) Plans(o *messages.Order) []*messages.Plan {
	plan := &messages.Plan{PlanNo: 1, Assignments: []*messages.Assignment{{Site: "den"}}}
	for i, l := range o.GetLines() {
		plan.Assignments[0].Lines = append(plan.Assignments[0].Lines, &messages.LineQuantity{Line: uint32(i), Quantity: l.GetQuantity()})
	}
	return []*messages.Plan{plan}
}

// house is a NATS server with the doors open and fakes behind them.
type house struct {
	t         testing.TB
	connect   func() *nats.Conn
	nc        *nats.Conn // the client's
	js        jetstream.JetStream
	server    *nats.Conn // the doors'
	in        *Ingress
	actors    *fakeActors
	directory *fakeDirectory
}

func openHouse(t testing.TB, limits Limits) *house {
	t.Helper()
	return openHouseWith(t, func(o *Options) { o.Limits = limits })
}

// openHouseWith lets the caller change what the doors are opened with.
func openHouseWith(t testing.TB, change func(*Options)) *house {
	t.Helper()
	return openHouseOn(t, embedded.Options{}, change)
}

// openHouseOn lets the caller choose the server, too.
func openHouseOn(t testing.TB, server embedded.Options, change func(*Options)) *house {
	t.Helper()
	// The server leaves goroutines of its own behind for a moment; what is checked is that none of ours stays.
	t.Cleanup(func() {
		goleak.VerifyNone(t, goleak.IgnoreCurrent(), goleak.IgnoreAnyFunction("github.com/nats-io/nats-server/v2/server.(*Server).startGoRoutine.func1"))
	})
	server.Dir, server.Port = t.TempDir(), embedded.InProcessOnly
	srv, err := embedded.Start(server)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(srv.Shutdown)
	h := &house{t: t, actors: &fakeActors{answer: placed}, directory: &fakeDirectory{hold: make(chan struct{})}}
	h.connect = func() *nats.Conn {
		nc, err := srv.Connect()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(nc.Close)
		return nc
	}
	h.nc, h.server = h.connect(), h.connect()
	if h.js, err = jetstream.New(h.nc); err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	if err := Setup(ctx, h.js, smallStreams); err != nil {
		t.Fatal(err)
	}
	o := Options{Actors: h.actors, Directory: h.directory, Planner: fakePlanner{}, Faults: actors.Faults}
	change(&o)
	h.in, err = Start(ctx, h.server, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
		defer cancel()
		if err := h.in.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	return h
}

var smallStreams = StreamOptions{IntakeBytes: 16 << 20, EventsBytes: 16 << 20, DeadBytes: 16 << 20}

// placed answers everything ok, in the words of its kind.
func placed(r messages.Request) *messages.Reply {
	switch r.To.Kind {
	case messages.KindOrder:
		return &messages.Reply{Body: &messages.Reply_Order{Order: &messages.OrderReply{OrderId: r.To.ID, Status: "placed", Version: 2}}}
	case messages.KindBucket:
		sku, site, _ := messages.SplitBucket(r.To.ID)
		return &messages.Reply{Body: &messages.Reply_Stock{Stock: &messages.StockReply{Atp: 5, Bucket: &messages.BucketView{Sku: sku, Site: site, OnHand: 5, Atp: 5}}}}
	}
	doc := &messages.SiteDoc{Id: r.To.ID, Capacity: &messages.SiteCapacity{PerHour: 1, PerDay: 2, OpenMax: 3}}
	return &messages.Reply{Body: &messages.Reply_Site{Site: &messages.SiteReply{Site: &messages.SiteView{Doc: doc}}}}
}

// answer is any answer, loosely read.
type answer struct {
	OK    bool        `json:"ok"`
	Error *wire.Error `json:"error"`
	raw   []byte
	msg   *nats.Msg
}

func (h *house) ask(subject, body string, headers ...string) answer {
	h.t.Helper()
	m := nats.NewMsg(subject)
	m.Data = []byte(body)
	for i := 0; i+1 < len(headers); i += 2 {
		m.Header.Set(headers[i], headers[i+1])
	}
	r, err := h.nc.RequestMsg(m, 5*time.Second)
	if err != nil {
		h.t.Fatalf("%s: %v", subject, err)
	}
	a := answer{raw: r.Data, msg: r}
	if err := json.Unmarshal(r.Data, &a); err != nil {
		h.t.Fatalf("%s: answer %s: %v", subject, r.Data, err)
	}
	return a
}

func (h *house) wantError(a answer, code, field string) {
	h.t.Helper()
	if a.OK || a.Error == nil || a.Error.Code != code || a.Error.Field != field {
		h.t.Fatalf("answer %s, want %s of %q", a.raw, code, field)
	}
}

// eventually waits for a condition.
func eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !cond(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not in time: %s", what)
		}
	}
}

// letters reads the dead letters of a door.
func (h *house) letters(door string) []*jetstream.RawStreamMsg {
	h.t.Helper()
	s, err := h.js.Stream(context.Background(), messages.StreamDead)
	if err != nil {
		h.t.Fatal(err)
	}
	info, err := s.Info(context.Background())
	if err != nil {
		h.t.Fatal(err)
	}
	var found []*jetstream.RawStreamMsg
	for seq := info.State.FirstSeq; seq != 0 && seq <= info.State.LastSeq; seq++ {
		m, err := s.GetMsg(context.Background(), seq)
		if err != nil {
			h.t.Fatal(err)
		}
		if m.Subject == messages.DeadSubject(door) {
			found = append(found, m)
		}
	}
	return found
}

const goodOrder = `{"channel":"web","external_id":"1","currency":"USD","ship_to":{"country":"US","postal_code":"80202"},"lines":[{"id":"1","sku":"A","quantity":2,"unit_price":5}]}`
