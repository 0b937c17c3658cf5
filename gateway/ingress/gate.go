package ingress

import (
	"bytes"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"orderyard/gateway/admission"
	"orderyard/gateway/wire"
	"orderyard/messages"
)

// A request asks for room as one of a party: what brings new work by its channel or its door, what only looks by the kind. A channel's name has no
// dot. What finishes work that is already inside asks nobody and is never refused for the sake of new work: answers of sites,
// cancellations, holds and releases, confirmed or given up reservations, goods that came in, what operators do to sites.
const (
	inside       = ""
	byChannel    = "*"
	partyReserve = ".reserve"
	partyPlan    = ".plan"
	partyLook    = ".look"
	partyIntake  = ".intake"
)

// gate lets requests in at all doors of the node: what is behind them is the same. It gives the controller its lock and its clock.
type gate struct {
	began time.Time
	sheds *shedCounters

	mu sync.Mutex
	c  *admission.Controller // nil = only the fixed limits hold
}

func newGate(o *admission.Options, requestsMax int, m *metrics) *gate {
	g := &gate{began: time.Now(), sheds: newShedCounters(m)}
	if o == nil {
		return g
	}
	own := *o
	own.Max = max(1, requestsMax*3/4) // an eighth over it stays below newWorkMax
	g.c = admission.New(own)
	m.gate(g)
	return g
}

// ticket is what a request was let in with.
type ticket struct {
	came  time.Duration
	party admission.Party
	// free: it did not ask. telling: how long it takes says how the house does, for it ends with a commit.
	free, telling bool
}

func (g *gate) clock(at time.Time) time.Duration { return at.Sub(g.began) }

// admit lets one request in, or says when to come back.
func (g *gate) admit(party string, telling bool, at time.Time) (ticket, bool, time.Duration) {
	t := ticket{came: g.clock(at), free: party == inside, telling: telling}
	if g.c == nil {
		return t, true, 0
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if t.free {
		g.c.Inside(t.came, 1)
		return t, true, 0
	}
	v := g.c.Admit(t.came, party, 1)
	if !v.OK {
		g.sheds.count(v.Party, g.c.Name(v.Party))
	}
	t.party = v.Party
	return t, v.OK, v.RetryAfter
}

// enter lets one in that was pulled for the room there was.
func (g *gate) enter(party string, at time.Time) ticket {
	t := ticket{came: g.clock(at), telling: true}
	if g.c != nil {
		g.mu.Lock()
		defer g.mu.Unlock()
		t.party = g.c.Enter(t.came, party, 1)
	}
	return t
}

// more counts further commands of a request.
func (g *gate) more(t ticket, n int) {
	if g.c == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if t.free {
		g.c.Inside(t.came, n)
		return
	}
	g.c.More(t.party, n)
}

// leave gives room back. told says that the time since the request came is one that an actor needed.
func (g *gate) leave(t ticket, n int, told bool) {
	if g.c == nil || n == 0 {
		return
	}
	now := g.clock(time.Now())
	took := time.Duration(0)
	if told && t.telling {
		took = max(now-t.came, 1)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if t.free {
		g.c.InsideOver(n)
		return
	}
	g.c.Leave(now, t.party, n, took)
}

// room says how many of a party, at most so many, may be fetched now.
func (g *gate) room(party string, most int) int {
	if g.c == nil {
		return most
	}
	now := g.clock(time.Now())
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.c.Room(now, party, most)
}

func (g *gate) limit() float64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return float64(g.c.Limit())
}

func (g *gate) underWay() float64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return float64(g.c.UnderWay())
}

// shedCounters count refusals by party. The names that become labels are few, however many parties come and go.
type shedCounters struct {
	vec    *prometheus.CounterVec
	labels map[string]prometheus.Counter
	others prometheus.Counter
	places []place
}

type place struct {
	name    string
	counter prometheus.Counter
}

// shedLabelsMax is how many parties ever get a label of their own.
const shedLabelsMax = 64

func newShedCounters(m *metrics) *shedCounters {
	return &shedCounters{vec: m.shedByParty, labels: make(map[string]prometheus.Counter), others: m.shedByParty.WithLabelValues("(others)")}
}

// count is for whoever holds the gate's lock.
func (s *shedCounters) count(f admission.Party, name string) {
	for len(s.places) <= int(f) {
		s.places = append(s.places, place{counter: s.others})
	}
	p := &s.places[f]
	if p.name != name {
		p.name, p.counter = name, s.counter(name)
	}
	p.counter.Inc()
}

func (s *shedCounters) counter(name string) prometheus.Counter {
	c, known := s.labels[name]
	switch {
	case known:
	case len(s.labels) >= shedLabelsMax || messages.CheckToken(name) != nil && name[0] != '.':
		c = s.others
	default:
		c = s.vec.WithLabelValues(name)
		s.labels[name] = c
	}
	return c
}

// shedAnswer writes the one answer that must be cheap: nothing of it but a number is made anew.
type shedAnswer struct {
	body []byte // as written last
	head int    // what stays
	tail []byte
}

func newShedAnswer() *shedAnswer {
	const number = 987_654_321
	whole := wire.EncodeFailure(messages.Retry(messages.CodeLimit, number, "more is asked for than can be done, come back with the same command id"))
	head, tail, _ := bytes.Cut(whole, []byte(strconv.Itoa(number)))
	return &shedAnswer{body: bytes.Clone(head), head: len(head), tail: tail}
}

// write gives an answer that is good until the next.
func (s *shedAnswer) write(after time.Duration) []byte {
	s.body = strconv.AppendInt(s.body[:s.head], max(after.Milliseconds(), 1), 10)
	s.body = append(s.body, s.tail...)
	return s.body
}
