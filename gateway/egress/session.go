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
	inbox string // "<inbox>." + publisher + "." + number

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

// pubAck is the stream's answer to a publish.
type pubAck struct {
	Stream string `json:"stream"`
	Place  uint64 `json:"seq"` // where it lies; of a repeat: where it lay already
	Repeat bool   `json:"duplicate"`
	Error  *struct {
		Description string `json:"description"`
	} `json:"error"`
}

// acknowledged takes the stream's answers, on one goroutine.
func (s *session) acknowledged(m *nats.Msg) {
	whoText, numberText, _ := strings.Cut(m.Subject[len(s.inbox):], ".")
	who, err := strconv.ParseUint(whoText, 10, 64)
	number, err2 := strconv.ParseUint(numberText, 10, 64)
	if err != nil || err2 != nil {
		return // not ours
	}
	p := s.publisher(who)
	if p == nil {
		return // its lane has left
	}
	answer, err := readAck(m)
	if err != nil {
		s.refuse(p, err)
		return
	}
	if !p.acknowledge(number, answer) {
		s.refuse(p, &refusedError{"an event lies in the stream before one that it follows"})
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

// ackedBytes is how the answer begins that nearly all are: an error comes first in one that has it. What says more than a place is read with care.
var ackedBytes = []byte(`{"stream":"` + messages.StreamEvents + `","seq":`)

// readAck says where in the stream a message lies; the error is a refusal.
func readAck(m *nats.Msg) (Ack, error) {
	if len(m.Data) == 0 {
		return Ack{}, &refusedError{"no stream listens (" + m.Header.Get("Status") + ")"}
	}
	if rest, ok := bytes.CutPrefix(m.Data, ackedBytes); ok {
		if digits, ok := bytes.CutSuffix(rest, []byte("}")); ok {
			if place, err := strconv.ParseUint(string(digits), 10, 64); err == nil {
				return Ack{Place: place}, nil
			}
		}
	}
	var ack pubAck
	if err := json.Unmarshal(m.Data, &ack); err != nil {
		return Ack{}, &refusedError{"its answer cannot be read: " + err.Error()}
	}
	if ack.Error != nil {
		return Ack{}, &refusedError{ack.Error.Description}
	}
	if ack.Stream != messages.StreamEvents {
		return Ack{}, &refusedError{fmt.Sprintf("stream %q answered", ack.Stream)}
	}
	return Ack{ack.Place, ack.Repeat}, nil
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
	id, kind, at, about, msgID []string // what the header's values are
}

func newMessage(origin string) *message {
	m := &message{id: make([]string, 1), kind: make([]string, 1), at: make([]string, 1), about: make([]string, 1), msgID: make([]string, 1)}
	m.Header = nats.Header{
		"ce-specversion": {"1.0"}, "ce-source": {origin}, "content-type": {"application/json"},
		"ce-id": m.id, "ce-type": m.kind, "ce-time": m.at, "ce-subject": m.about, nats.MsgIdHdr: m.msgID,
	}
	return m
}
