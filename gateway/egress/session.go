package egress

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/nats-io/nats.go"

	"orderyard/messages"
)

// errEnded ends a session whose connection is gone: what was lost is the end of what was sent.
var errEnded = errors.New("the connection ended")

// refusedError ends a session because the server did not store a message: later ones may have been stored before it.
type refusedError struct{ reason string }

func (e *refusedError) Error() string { return "the event stream refused a message: " + e.reason }

// session is one connection's worth of publishing. Lanes join and leave while it runs.
type session struct {
	e     *Egress
	nc    *nats.Conn
	ctx   context.Context
	fail  context.CancelCauseFunc
	inbox string // "<inbox>." + publisher + "." + batch and so on

	mu         sync.RWMutex
	joined     uint64
	publishers map[uint64]*publisher
}

func newSession(e *Egress, nc *nats.Conn, ctx context.Context, fail context.CancelCauseFunc) *session {
	return &session{e: e, nc: nc, ctx: ctx, fail: fail, inbox: nc.NewInbox() + ".", publishers: make(map[uint64]*publisher)}
}

// join gives a lane its publisher. Numbers are never used again, so that a late answer finds nobody instead of somebody else.
func (s *session) join(l *lane) *publisher {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.joined++
	p := newPublisher(s, l, s.joined)
	s.publishers[s.joined] = p
	return p
}

func (s *session) leave(p *publisher) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.publishers, p.number)
}

func (s *session) publisher(number uint64) *publisher {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.publishers[number]
}

// answer is what the stream says of a batch: it has all up to a number; last = and the batch is over.
type answer struct {
	number uint64
	last   bool
}

// streamAnswer is every answer there is. One without an error, a type or a batch is no answer to a batch.
type streamAnswer struct {
	Type   string `json:"type"` // ack: it has all up to Seq · gap: something before it is missing · err: it does not take Seq
	Seq    uint64 `json:"seq"`
	Stream string `json:"stream"` // of the last answer
	Batch  string `json:"batch"`
	Count  uint64 `json:"count"` // of the events in the batch
	Error  *struct {
		Description string `json:"description"`
	} `json:"error"`
}

// acknowledged takes the stream's answers, on one goroutine. They come to <inbox>.<publisher>.<batch>.…
func (s *session) acknowledged(m *nats.Msg) {
	whoText, rest, _ := strings.Cut(m.Subject[len(s.inbox):], ".")
	batch, _, _ := strings.Cut(rest, ".")
	who, err := strconv.ParseUint(whoText, 10, 64)
	if err != nil {
		return // not ours
	}
	p := s.publisher(who)
	if p == nil {
		return // its lane has left
	}
	a, err := readAnswer(m)
	if err == nil {
		err = p.answered(batch, a)
	}
	if err != nil {
		s.refuse(p, err)
	}
}

// refuse ends the session, for the sake of the order. A lane that is leaving anyway does not cost the others theirs.
func (s *session) refuse(p *publisher, err error) {
	p.refused.Store(true)
	p.wake()
	if p.lane.ctx.Err() == nil {
		s.fail(err)
	}
}

// ackedBytes is how the answer begins that nearly all are.
var ackedBytes = []byte(`{"type":"ack","seq":`)

// readAnswer reads an answer; the error is a refusal.
func readAnswer(m *nats.Msg) (answer, error) {
	if len(m.Data) == 0 {
		return answer{}, &refusedError{"no stream listens (" + m.Header.Get("Status") + ")"}
	}
	if rest, ok := bytes.CutPrefix(m.Data, ackedBytes); ok {
		if digits, _, ok := bytes.Cut(rest, []byte(",")); ok {
			if number, err := strconv.ParseUint(string(digits), 10, 64); err == nil {
				return answer{number: number}, nil
			}
		}
	}
	var a streamAnswer
	if err := json.Unmarshal(m.Data, &a); err != nil {
		return answer{}, &refusedError{"its answer cannot be read: " + err.Error()}
	}
	switch {
	case a.Error != nil:
		return answer{}, &refusedError{a.Error.Description}
	case a.Type == "ack":
		return answer{number: a.Seq}, nil
	case a.Type == "gap":
		return answer{}, &refusedError{"an event before it has not arrived"}
	case a.Stream != messages.StreamEvents:
		return answer{}, &refusedError{fmt.Sprintf("stream %q answered", a.Stream)}
	case a.Batch == "":
		return answer{}, &refusedError{"it does not know batches: a NATS server before 2.14?"}
	}
	return answer{number: a.Count, last: true}, nil
}

// abandon sees to it that every batch of a session which a refusal has ended is ended: the server would count those that nobody ends for ten seconds
// more. Lanes end theirs before they leave.
func (s *session) abandon() {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, p := range s.publishers {
		p.end()
	}
	_ = s.nc.FlushTimeout(flushFor) // without it they are ended by themselves
}

// sign asks the server for a sign of life, for the lanes' sake. It gives the time at which the server lived for sure.
func (s *session) sign() (at time.Time, ok bool) {
	at = time.Now()
	if s.ctx.Err() != nil || s.nc.FlushTimeout(flushFor) != nil {
		return at, false
	}
	return at, s.e.o.Healthy == nil || s.e.o.Healthy()
}

// confirm makes lasting what was acknowledged to the lanes of this session long enough ago.
func (s *session) confirm() {
	var lanes []*lane
	s.mu.RLock()
	for _, p := range s.publishers {
		if !p.lane.lasting.whole() {
			lanes = append(lanes, p.lane)
		}
	}
	s.mu.RUnlock()
	if len(lanes) == 0 {
		return
	}
	if at, ok := s.sign(); ok {
		for _, l := range lanes {
			l.lasting.lived(at, s.e.o.LastingAfter)
		}
	}
}

// makeLasting waits until what was acknowledged to a lane that leaves is lasting, if the session lasts that long.
func (s *session) makeLasting(l *lane) {
	if l.lasting.whole() {
		return
	}
	sleep(s.ctx, s.e.o.LastingAfter)
	if at, ok := s.sign(); ok {
		l.lasting.lived(at, s.e.o.LastingAfter)
	}
}

// watch returns when the session has ended. It ends it when its connection does or an acknowledgement is overdue.
func (s *session) watch(closed <-chan nats.Status) {
	ticker := time.NewTicker(s.e.o.AckWait / 8)
	defer ticker.Stop()
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-closed:
			s.fail(errEnded)
		case now := <-ticker.C:
			for _, p := range s.overdue(now.Add(-s.e.o.AckWait)) {
				// Nobody knows whether it is stored, nor what behind it is.
				s.refuse(p, &refusedError{"no acknowledgement in time"})
			}
		}
	}
}

func (s *session) overdue(before time.Time) []*publisher {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var late []*publisher
	for _, p := range s.publishers {
		if p.overdue(before) {
			late = append(late, p)
		}
	}
	return late
}

// outgoing is one public event on its way; its buffers are used again for the next.
type outgoing struct {
	family, event string
	key           string // last token of the subject: channel or site
	id            string // ce-id
	about         string // ce-subject
	atMs          int64
	data          []byte
}

// message fills the publisher's one message. The client copies headers and data before PublishMsg returns.
type message struct {
	nats.Msg
	id, kind, at, about []string // what the header's values are
}

func newMessage(origin string) *message {
	m := &message{id: make([]string, 1), kind: make([]string, 1), at: make([]string, 1), about: make([]string, 1)}
	m.Header = nats.Header{
		"ce-specversion": {"1.0"}, "ce-source": {origin}, "content-type": {"application/json"},
		"ce-id": m.id, "ce-type": m.kind, "ce-time": m.at, "ce-subject": m.about,
	}
	return m
}
