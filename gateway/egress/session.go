package egress

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
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

// session is one connection's worth of publishing.
type session struct {
	e          *Egress
	nc         *nats.Conn
	fail       context.CancelCauseFunc
	inbox      string // "<inbox>." + lane + "." + number
	publishers []*publisher
}

// pubAck is the stream's answer to a publish.
type pubAck struct {
	Stream string `json:"stream"`
	Error  *struct {
		Description string `json:"description"`
	} `json:"error"`
}

// acknowledged takes the stream's answers, on one goroutine.
func (s *session) acknowledged(m *nats.Msg) {
	laneText, numberText, _ := strings.Cut(m.Subject[len(s.inbox):], ".")
	i, err := strconv.Atoi(laneText)
	number, err2 := strconv.ParseUint(numberText, 10, 64)
	if err != nil || err2 != nil || i < 0 || i >= len(s.publishers) {
		return // not ours
	}
	if err := checkAck(m); err != nil {
		s.publishers[i].refused.Store(true)
		s.fail(err)
		return
	}
	s.publishers[i].acknowledge(number)
}

func checkAck(m *nats.Msg) error {
	if len(m.Data) == 0 {
		return &refusedError{"no stream listens (" + m.Header.Get("Status") + ")"}
	}
	var ack pubAck
	if err := json.Unmarshal(m.Data, &ack); err != nil {
		return &refusedError{"its answer cannot be read: " + err.Error()}
	}
	if ack.Error != nil {
		return &refusedError{ack.Error.Description}
	}
	if ack.Stream != messages.StreamEvents {
		return &refusedError{fmt.Sprintf("stream %q answered", ack.Stream)}
	}
	return nil
}

// watch ends the session when its connection ends or an acknowledgement is overdue.
func (s *session) watch(ctx context.Context, closed <-chan nats.Status) {
	ticker := time.NewTicker(s.e.o.AckWait / 8)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-closed:
			s.fail(errEnded)
			return
		case now := <-ticker.C:
			for _, p := range s.publishers {
				if p.overdue(now.Add(-s.e.o.AckWait)) {
					p.refused.Store(true) // nobody knows whether it is stored, nor what behind it is
					s.fail(&refusedError{"no acknowledgement in time"})
					return
				}
			}
		}
	}
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
