package ingress

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"orderyard/messages"
)

// deadLetters keeps what could not be understood, with the reason and the original bytes.
type deadLetters struct {
	nc      *nats.Conn
	js      jetstream.JetStream
	metrics *metrics
	now     func() time.Time

	mu     sync.Mutex
	tokens float64
	rate   float64
	filled time.Time
}

func newDeadLetters(nc *nats.Conn, js jetstream.JetStream, m *metrics, l Limits, now func() time.Time) *deadLetters {
	return &deadLetters{nc: nc, js: js, metrics: m, now: now, rate: float64(l.DeadPerSecond), tokens: float64(l.DeadPerSecond), filled: now()}
}

// shelve keeps an undecodable request without waiting. The sender has its answer, so these letters are for whoever looks for a
// cause: a flood of garbage is sampled, and the metrics count the rest.
func (d *deadLetters) shelve(door, subject string, body []byte, f *messages.Failure) {
	outcome := "kept"
	if !d.take() || d.nc.PublishMsg(d.letter(door, subject, body, f)) != nil {
		outcome = "dropped"
	}
	d.metrics.dead.WithLabelValues(door, outcome).Inc()
}

// keep stores a letter and returns when the stream has it.
func (d *deadLetters) keep(ctx context.Context, door, subject string, body []byte, f *messages.Failure) error {
	_, err := d.js.PublishMsg(ctx, d.letter(door, subject, body, f), jetstream.WithExpectStream(messages.StreamDead))
	outcome := "kept"
	if err != nil {
		outcome = "dropped"
		err = fmt.Errorf("keep dead letter: %w", err)
	}
	d.metrics.dead.WithLabelValues(door, outcome).Inc()
	return err
}

const (
	// letterHeadRoom is left of the server's largest payload for a letter's headers.
	letterHeadRoom = 8 << 10
	// letterMax bounds what is kept of one: the largest request there is fits, a flood of larger ones does not fill the disk.
	letterMax = 1 << 20
)

func (d *deadLetters) letter(door, subject string, body []byte, f *messages.Failure) *nats.Msg {
	m := &nats.Msg{Subject: messages.DeadSubject(door), Data: body, Header: nats.Header{}}
	m.Header.Set(messages.HeaderReason, headerText(f.GetMessage()))
	m.Header.Set(messages.HeaderCode, f.GetCode())
	m.Header.Set(messages.HeaderField, headerText(f.GetField()))
	m.Header.Set(messages.HeaderSubject, headerText(subject))
	if most := min(int(d.nc.MaxPayload())-letterHeadRoom, letterMax); most > 0 && len(body) > most {
		m.Data = body[:most]
		m.Header.Set(messages.HeaderBytes, strconv.Itoa(len(body)))
	}
	return m
}

// headerText keeps a header one bounded line.
func headerText(s string) string {
	const most = 1000
	if len(s) > most {
		s = s[:most]
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
}

// take is a token bucket one second deep.
func (d *deadLetters) take() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.now()
	d.tokens = min(d.rate, d.tokens+d.rate*max(now.Sub(d.filled).Seconds(), 0))
	d.filled = now
	if d.tokens < 1 {
		return false
	}
	d.tokens--
	return true
}
