package bus

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"orderyard/cluster"
	"orderyard/messages"
)

// AskError is what the asked process said instead of an answer, or after a part of one.
type AskError struct{ Incarnation, What, Text string }

func (e *AskError) Error() string {
	return fmt.Sprintf("%s answers %s: %s", e.Incarnation, e.What, e.Text)
}

// Ask sends one process a question and hands over the parts of its answer, in order, on the caller's goroutine; what part takes long for
// slows the sender down. An error of part ends the ask and is returned. The answer was whole only when Ask returns nil; parts of a broken one
// have been handed over all the same. ErrNobody, ErrBusy and ErrBroken say what they say; *AskError is the other side's own; the
// rest is ctx, which bounds everything. body is at most PartBytesMax.
func (b *Bus) Ask(ctx context.Context, incarnation, what string, body []byte, part func([]byte) error) error {
	if err := b.ask(ctx, incarnation, what, body, part); err != nil {
		return fmt.Errorf("ask %s for %s: %w", incarnation, what, err)
	}
	return nil
}

func (b *Bus) ask(ctx context.Context, incarnation, what string, body []byte, part func([]byte) error) error {
	if len(body) > PartBytesMax {
		return ErrTooLarge
	}
	sub, err := b.nc.SubscribeSync(b.nc.NewInbox())
	if err != nil {
		return err
	}
	// The answering side keeps what is under way within one window; the end of subscription tells it that nobody wants more.
	defer func() { _ = sub.Unsubscribe() }()
	if err := sub.SetPendingLimits(2*windowParts, 2*windowParts*PartBytesMax); err != nil {
		return err
	}
	m := &nats.Msg{Subject: messages.NodeSubject(incarnation, what), Reply: sub.Subject, Data: body}
	if deadline, ok := ctx.Deadline(); ok {
		left := max(time.Until(deadline).Milliseconds(), 1)
		m.Header = nats.Header{messages.HeaderDeadlineMs: []string{strconv.FormatInt(left, 10)}}
	}
	if err := b.nc.PublishMsg(m); err != nil {
		return err
	}
	last := "" // where the newest part wants to be acknowledged
	defer func() {
		if last != "" { // with a window under way the other side sends nothing more, and would not notice that nobody listens
			_ = b.nc.Publish(last, []byte(gotEnough))
		}
	}()
	for number := uint64(1); ; number++ {
		m, err := b.next(ctx, sub, incarnation)
		if err != nil {
			return err
		}
		if end := m.Header.Get(headerEnd); end != "" {
			last = ""
			return ended(m, end, number-1, incarnation, what)
		}
		last = m.Reply
		n, err := strconv.ParseUint(m.Reply[strings.LastIndexByte(m.Reply, '.')+1:], 10, 64)
		if err != nil || n != number {
			return ErrBroken
		}
		if err := part(m.Data); err != nil {
			return err
		}
		if number%ackEvery == 0 {
			if err := b.nc.Publish(m.Reply, nil); err != nil {
				return err
			}
		}
	}
}

// next waits for the next message of an answer. After a while of silence it looks whether the other side still lives: a process that ended in
// the middle of an answer says nothing.
func (b *Bus) next(ctx context.Context, sub *nats.Subscription, incarnation string) (*nats.Msg, error) {
	for {
		wait, cancel := context.WithTimeout(ctx, quietFor)
		m, err := sub.NextMsgWithContext(wait)
		cancel()
		switch {
		case err == nil:
			return m, nil
		case errors.Is(err, nats.ErrNoResponders):
			return nil, ErrNobody
		case errors.Is(err, nats.ErrSlowConsumer):
			return nil, ErrBroken
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case !errors.Is(err, context.DeadlineExceeded):
			return nil, err
		case b.Ping(context.WithoutCancel(ctx), incarnation) == cluster.Gone:
			return nil, ErrNobody
		}
	}
}

// ended reads the last message of an answer.
func ended(m *nats.Msg, end string, got uint64, incarnation, what string) error {
	switch end {
	case endOK:
		if m.Header.Get(headerParts) != strconv.FormatUint(got, 10) {
			return ErrBroken
		}
		return nil
	case endBusy:
		return ErrBusy
	}
	return &AskError{Incarnation: incarnation, What: what, Text: string(m.Data)}
}
