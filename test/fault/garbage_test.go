//go:build fault && linux

package fault

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	js "github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nats.go/micro"

	"orderyard/gateway/wire"
	"orderyard/messages"
	"orderyard/test/fault/client"
	"orderyard/test/fault/world"
)

// rubbishes make a request that no sender should send out of one that is well-formed. None of what they make may be taken for a request.
var rubbishes = []struct {
	name string
	make func(rng *rand.Rand, good string) []byte
}{
	{"noise", func(rng *rand.Rand, _ string) []byte {
		b := make([]byte, 1+rng.IntN(2000))
		for i := range b {
			b[i] = byte(rng.Uint32())
		}
		b[0] = 0xfe // no document begins so
		return b
	}},
	{"truncated", func(rng *rand.Rand, good string) []byte { return []byte(good[:1+rng.IntN(len(good)-1)]) }},
	{"oversize", func(rng *rand.Rand, good string) []byte {
		return []byte(`{"order_id":"` + strings.Repeat("x", 1_100_000+rng.IntN(1000)) + `"}`)
	}},
	{"NaN", func(rng *rand.Rand, good string) []byte {
		return []byte(`{"quantity":` + []string{"NaN", "-Infinity", "Infinity", "1e999", "0x10", "+1", "1_000", "--1", "01"}[rng.IntN(9)] + `}`)
	}},
	{"bad UTF-8", func(rng *rand.Rand, good string) []byte {
		at := strings.IndexByte(good, ':') + 2
		return slices.Concat([]byte(good[:at]), []byte{0xc3, 0x28, 0xff}, []byte(good[at:]))
	}},
	{"unknown version", func(rng *rand.Rand, good string) []byte {
		return []byte(fmt.Sprintf(`{"api_version":"v%d","specversion":%d}`, 2+rng.IntN(90), rng.Uint32()))
	}},
	{"deep nesting", func(rng *rand.Rand, good string) []byte {
		n := 17 + rng.IntN(30_000)
		open, shut := "[", "]"
		if rng.IntN(2) == 0 {
			open, shut = `{"a":`, "}"
		}
		return []byte(strings.Repeat(open, n) + "1" + strings.Repeat(shut, n))
	}},
	{"another thing", func(rng *rand.Rand, good string) []byte {
		return []byte([]string{`"order"`, `12`, `true`, `[[]]`, `{}{}`, `{"":{"":1}}`, `[null,null]`, "\xef\xbb\xbf{}", `{"order_id":{"order_id":1}}`}[rng.IntN(9)])
	}},
	{"given twice", func(rng *rand.Rand, good string) []byte {
		return []byte(`{"order_id":"a","order_id":"b","sku":"a","sku":"b","id":"a","id":"b"}`)
	}},
}

const goodOrder = `{"channel":"web","external_id":"g","currency":"USD","ship_to":{"postal_code":"80202","country":"US"},` +
	`"lines":[{"id":"1","sku":"GOOD","quantity":2,"unit_price":5}]}`

// doors finds every subject that answers requests, as the services themselves tell.
func (s *scene) doors() (list []string) {
	s.Helper()
	inbox, err := s.ask.Conn().SubscribeSync(nats.NewInbox())
	s.must("subscribe", err)
	defer inbox.Unsubscribe() //nolint:errcheck // the test's own
	s.must("ask the services", s.ask.Conn().PublishRequest("$SRV.INFO", inbox.Subject, nil))
	seen := map[string]bool{}
	for m, err := inbox.NextMsg(2 * time.Second); err == nil; m, err = inbox.NextMsg(300 * time.Millisecond) {
		var info micro.Info
		s.must("read a service's word", json.Unmarshal(m.Data, &info))
		for _, e := range info.Endpoints {
			place := "den" // a site, or a channel
			if strings.HasPrefix(e.Subject, messages.PlaceSubject("")) {
				place = "web"
			}
			seen[strings.ReplaceAll(e.Subject, "*", place)] = true
		}
	}
	for subject := range seen {
		list = append(list, subject)
	}
	slices.Sort(list)
	return list
}

// litter counts what was thrown and what became of it.
type litter struct {
	asked, kept, letters, inner, lines atomic.Int64

	mu    sync.Mutex
	wrong []string
}

// letter takes a dead letter of the intake as it is written: the stream forgets old ones when many large ones come.
func (l *litter) letter(m *nats.Msg) {
	l.letters.Add(1)
	for _, name := range []string{messages.HeaderReason, messages.HeaderCode, messages.HeaderField, messages.HeaderSubject} {
		if m.Header.Get(name) == "" {
			l.blame("a dead letter has no %s: %v", name, m.Header)
		}
	}
}

func (l *litter) blame(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.wrong) < 20 {
		l.wrong = append(l.wrong, fmt.Sprintf(format, args...))
	}
}

// requests throws at every door in turn: each piece must be answered `invalid`, naming a field.
func (l *litter) requests(ctx context.Context, ask *client.Client, doors []string, rng *rand.Rand) {
	for n := 0; ctx.Err() == nil; n++ {
		subject, what := doors[n%len(doors)], rubbishes[rng.IntN(len(rubbishes))]
		body := what.make(rng, goodOrder)
		m := &nats.Msg{Subject: subject, Data: body, Header: nats.Header{}}
		if rng.IntN(8) == 0 { // headers that say nothing, too
			m.Header.Set(messages.HeaderDeadlineMs, []string{"NaN", "-1", "", "99999999999999999999", "soon\x7f"}[rng.IntN(5)])
			m.Header.Set(messages.HeaderCommandID, strings.Repeat("é", 1+rng.IntN(300)))
		}
		inner, cancel := context.WithTimeout(ctx, 5*time.Second)
		reply, err := ask.Conn().RequestMsgWithContext(inner, m)
		cancel()
		if ctx.Err() != nil {
			return
		}
		l.asked.Add(1)
		var head wire.Head
		switch {
		case err != nil:
			l.blame("%s to %s: %v", what.name, subject, err)
		case wire.DecodeAnswer(reply.Data, &head) != nil || head.Failure() == nil:
			l.blame("%s to %s is answered %.200s (%.80q)", what.name, subject, reply.Data, body)
		case head.Failure().Code == messages.CodeLimit: // shed, like any other
		case head.Failure().Code != messages.CodeInvalid || head.Failure().Field == "" || head.Failure().Message == "":
			l.blame("%s to %s is answered %.200s (%.80q)", what.name, subject, reply.Data, body)
		}
	}
}

// intake throws where nobody waits for an answer: each piece must be among the dead letters.
func (l *litter) intake(ctx context.Context, j js.JetStream, rng *rand.Rand) {
	for ctx.Err() == nil {
		_, err := j.Publish(ctx, messages.IntakeSubject("web"), rubbishes[rng.IntN(len(rubbishes))].make(rng, goodOrder))
		if err == nil {
			l.kept.Add(1)
		} else if ctx.Err() == nil {
			l.blame("the intake does not take: %v", err)
		}
		time.Sleep(20 * time.Millisecond) // the pace
	}
}

// inside throws at the subjects on which nodes speak with each other.
func (l *litter) inside(ctx context.Context, nc *nats.Conn, incarnations []string, rng *rand.Rand) {
	words := []string{"ping", "got.1.1", "got.x", "warm", "dead", "clock", "drain.x", "rules", "view", "skus", "orders", "prices", "demand", "link", "nothing"}
	for ctx.Err() == nil {
		subject := messages.NodesSubject([]string{"changed", "view", "prices", "nothing"}[rng.IntN(4)])
		if rng.IntN(2) == 0 {
			subject = messages.NodeSubject(incarnations[rng.IntN(len(incarnations))], words[rng.IntN(len(words))])
		}
		m := &nats.Msg{Subject: subject, Data: rubbishes[rng.IntN(len(rubbishes))].make(rng, goodOrder), Header: nats.Header{}}
		if len(m.Data) > 64<<10 {
			m.Data = m.Data[:64<<10]
		}
		if rng.IntN(2) == 0 {
			m.Reply = nats.NewInbox()
		}
		for _, name := range []string{"Oy-From", "Oy-Bucket", "Oy-Key", "Oy-Revision", "Oy-Part", messages.HeaderDeadlineMs} {
			if rng.IntN(2) == 0 {
				m.Header.Set(name, []string{"", "x", "-1", "OY_OWNERS", "NaN", incarnations[0]}[rng.IntN(6)])
			}
		}
		if rng.IntN(4) == 0 { // as well-formed as an announcement, with nothing in it
			m.Subject, m.Header = messages.NodesSubject("changed"), nats.Header{
				"Oy-Bucket": {[]string{"OY_OWNERS", "OY_SESSIONS"}[rng.IntN(2)]}, "Oy-Key": {[]string{fmt.Sprint(rng.IntN(32)), incarnations[0]}[rng.IntN(2)]},
				"Oy-Revision": {fmt.Sprint(rng.Uint64() >> rng.IntN(64))},
			}
			m.Data = m.Data[:rng.IntN(len(m.Data)+1)]
		}
		if nc.PublishMsg(m) == nil {
			l.inner.Add(1)
		}
		time.Sleep(5 * time.Millisecond) // the pace
	}
}

// wires throws at a port: noise, half a handshake, an endless head, and silence.
func (l *litter) wires(ctx context.Context, network, addr string, rng *rand.Rand) {
	for ctx.Err() == nil {
		c, err := net.DialTimeout(network, addr, time.Second)
		if err != nil {
			l.blame("%s %s: %v", network, addr, err)
			return
		}
		_ = c.SetDeadline(time.Now().Add(time.Duration(50+rng.IntN(400)) * time.Millisecond))
		b := make([]byte, 1+rng.IntN(60_000))
		for i := range b {
			b[i] = byte(rng.Uint32())
		}
		switch rng.IntN(6) {
		case 0:
			copy(b, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
		case 1:
			copy(b, "GET /metrics HTTP/1.1\r\nHost: x\r\nX: ")
			b = append(b, bytes.Repeat([]byte("y"), 1<<20)...)
		case 2:
			b = []byte("POST /readyz HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n")
		case 3:
			b[0] = byte(rng.IntN(16)) // the kind of a gossip message
		case 4:
			b = b[:1] // and no more
		}
		_, _ = c.Write(b)             // the other end may have closed it
		_, _ = io.Copy(io.Discard, c) // until it closes, or the time is over
		_ = c.Close()
		l.lines.Add(1)
	}
}

// TestF15Garbage proves that nothing that comes in can hurt: every door, the intake, the subjects and ports of the nodes among themselves and
// the HTTP door are littered under load. Each request is answered `invalid` with a field, each message of the intake lies among the dead letters with its
// reason, good traffic goes on, and the processes are the same, and as large, as before.
func TestF15Garbage(t *testing.T) {
	row := results.Row("F15", "garbage at every door, at the intake, at the nodes' own subjects and ports, at HTTP", "answered `invalid` or in the dead letters; good traffic ≥ 95 %; memory bounded")
	s := setUp(t, row, world.Options{Nodes: 3}, cast{})
	_, err := s.w.Balance(balanceIn, s.names()...)
	s.must("balance", err)
	doors, incarnations := s.doors(), s.incarnations()
	s.require(len(doors) >= 30, "only %d doors were found: %v", len(doors), doors)
	j, err := js.New(s.ask.Conn())
	s.must("JetStream", err)
	before, l := s.usages(), &litter{}
	letters, err := s.ask.Conn().Subscribe(messages.DeadSubject("intake"), l.letter)
	s.must("listen to the dead letters", err)
	defer letters.Unsubscribe() //nolint:errcheck // the test's own
	s.must("listen to the dead letters", letters.SetPendingLimits(-1, -1))
	began := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), time.Duration(sized(60, 8))*time.Second)
	defer cancel()
	var wait sync.WaitGroup
	seed := uint64(began.UnixNano())
	t.Logf("seed %d", seed)
	throw := func(n uint64, f func(rng *rand.Rand)) { wait.Go(func() { f(rand.New(rand.NewPCG(seed, n))) }) }
	for i := range 3 {
		ask := s.dial("litter")
		throw(uint64(i), func(rng *rand.Rand) { l.requests(ctx, ask, doors, rng) })
	}
	nc := s.dial("litter inside").Conn()
	throw(10, func(rng *rand.Rand) { l.intake(ctx, j, rng) })
	throw(11, func(rng *rand.Rand) { l.inside(ctx, nc, incarnations, rng) })
	for i, n := range s.w.Nodes {
		for k, addr := range n.Ports() {
			throw(uint64(100+10*i+k), func(rng *rand.Rand) { l.wires(ctx, "tcp", addr, rng) })
		}
		throw(uint64(190+i), func(rng *rand.Rand) { l.wires(ctx, "udp", n.Ports()[0], rng) })
	}
	wait.Wait()
	ended := time.Now()
	s.answered(began, ended)
	s.until(30*time.Second, "the intake's garbage is among the dead letters", func() error {
		if n := l.letters.Load(); n < l.kept.Load() {
			return fmt.Errorf("%d of %d", n, l.kept.Load())
		}
		return nil
	})
	for _, wrong := range l.wrong {
		s.require(false, "%s", wrong)
	}
	s.sameSize(before)
	row.Lead("%d requests of garbage at %d doors, %d in the intake, %d among the nodes, %d connections", l.asked.Load(), len(doors), l.kept.Load(), l.inner.Load(), l.lines.Load())
	s.audit()
}

// incarnations of the nodes.
func (s *scene) incarnations() (list []string) {
	s.Helper()
	status, err := s.w.Status()
	s.must("status", err)
	for _, n := range status.Nodes {
		list = append(list, n.Incarnation)
	}
	return list
}

func (s *scene) usages() map[string]world.Usage {
	s.Helper()
	all := map[string]world.Usage{}
	for _, n := range s.w.Nodes {
		u, err := n.Usage()
		s.must("usage", err)
		all[n.Name] = u
	}
	return all
}

// sameSize compares the nodes with what they were: a connection that ended leaves nothing.
func (s *scene) sameSize(before map[string]world.Usage) {
	s.Helper()
	for _, n := range s.w.Nodes {
		s.require(n.Alive(), "%s has ended", n.Name)
		s.until(30*time.Second, n.Name+" is as small as before", func() error {
			u, err := n.Usage()
			grown := u.ResidentBytes - before[n.Name].ResidentBytes
			if err == nil && (u.Goroutines > before[n.Name].Goroutines+goroutinesMore || u.Files > before[n.Name].Files+filesMore || grown > memoryGrowthMax) {
				err = fmt.Errorf("it had %+v, it has %+v", before[n.Name], u)
			}
			return err
		})
		u, err := n.Usage()
		s.must("usage", err)
		s.row.Say("%s: %+d MiB, %+d goroutines, %+d files", n.Name, (u.ResidentBytes-before[n.Name].ResidentBytes)>>20, u.Goroutines-before[n.Name].Goroutines, u.Files-before[n.Name].Files)
	}
}
