package client

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"orderyard/gateway/wire"
	"orderyard/messages"
)

// What may become of an attempt besides an answer; they stand where an error code stands and are no words of the contract.
const (
	Silence = "(silence)" // no answer in time: the outcome is unknown
	Nobody  = "(nobody)"  // nobody listens to the subject
	Offline = "(offline)" // there is no connection to NATS
	Garbled = "(garbled)" // an answer that is no document
)

// Client is one connection.
type Client struct {
	nc *nats.Conn
	// Attempt bounds one try. Patience bounds Insist as a whole.
	Attempt, Patience time.Duration
	// Tally counts every attempt; nil = nobody counts. Clients may share one.
	Tally *Tally
}

// Dial connects to one server of the comma list and goes on trying for as long as the client lives.
func Dial(urls, name string) (*Client, error) {
	quiet := func(*nats.Conn, *nats.Subscription, error) {} // a connection that breaks is often the point
	nc, err := nats.Connect(urls, nats.Name(name), nats.MaxReconnects(-1), nats.ReconnectWait(20*time.Millisecond),
		nats.ReconnectJitter(5*time.Millisecond, 0), nats.ReconnectBufSize(-1), nats.Timeout(time.Second), nats.PingInterval(time.Second),
		nats.MaxPingsOutstanding(3), nats.RetryOnFailedConnect(true), nats.ErrorHandler(quiet))
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", urls, err)
	}
	return &Client{nc: nc, Attempt: 2 * time.Second, Patience: 60 * time.Second}, nil
}

// Conn gives the connection, for whoever needs more than requests.
func (c *Client) Conn() *nats.Conn { return c.nc }

// Close ends the connection; attempts under way end as Offline.
func (c *Client) Close() { c.nc.Close() }

// Outcome is what became of one request.
type Outcome struct {
	Code      string // "" = ok, a code of the contract, or one of the words above
	Failure   *messages.Failure
	Retryable bool // also for the words above: the same command id may be sent again
	Replayed  bool
	Body      []byte
	Tries     int
	Sent      time.Time // of the first attempt
	Took      time.Duration
}

// OK says that the answer was yes.
func (o *Outcome) OK() bool { return o.Code == "" }

// Known says that an actor decided: the outcome is certain. A retryable refusal is none.
func (o *Outcome) Known() bool { return !o.Retryable && o.Code != Garbled }

// Read decodes the answer.
func (o *Outcome) Read(doc any) error { return wire.DecodeAnswer(o.Body, doc) }

func (o *Outcome) String() string {
	if o.Failure != nil {
		return o.Failure.Error()
	}
	if o.Code != "" {
		return o.Code
	}
	return string(o.Body)
}

// Encode writes a document of the suite; one that cannot be written is a mistake in the suite.
func Encode(doc any) []byte {
	body, err := wire.Encode(doc)
	if err != nil {
		panic(err)
	}
	return body
}

// Once makes one attempt.
func (c *Client) Once(ctx context.Context, subject string, body []byte, commandID string) Outcome {
	began := time.Now()
	m := nats.NewMsg(subject)
	m.Data = body
	if commandID != "" {
		m.Header.Set(messages.HeaderCommandID, commandID)
	}
	// The node answers `timeout` by itself a little before we stop listening. The deadline is a moment, not a duration: a request that lay
	// in the buffer of a paused node is not for that node to begin with when it wakes, after we have asked elsewhere.
	m.Header.Set(messages.HeaderDeadlineMs, strconv.FormatInt(began.Add(c.Attempt-c.Attempt/4).UnixMilli(), 10))
	o := Outcome{Sent: began, Tries: 1}
	inner, cancel := context.WithTimeout(ctx, c.Attempt)
	defer cancel()
	reply, err := c.nc.RequestMsgWithContext(inner, m)
	o.Took = time.Since(began)
	o.judge(reply, err)
	c.Tally.add(began, &o)
	return o
}

// judge reads an answer, or names its absence.
func (o *Outcome) judge(reply *nats.Msg, err error) {
	switch {
	case errors.Is(err, nats.ErrNoResponders):
		o.Code, o.Retryable = Nobody, true
		return
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled), errors.Is(err, nats.ErrTimeout):
		o.Code, o.Retryable = Silence, true
		return
	case err != nil:
		o.Code, o.Retryable = Offline, true
		return
	}
	o.Body, o.Replayed = reply.Data, reply.Header.Get(messages.HeaderReplayed) == "true"
	var head wire.Head
	if err := wire.DecodeAnswer(reply.Data, &head); err != nil {
		o.Code = Garbled
		return
	}
	if o.Failure = head.Failure(); o.Failure != nil {
		o.Code, o.Retryable = o.Failure.Code, o.Failure.Retryable
	}
}

// Insist repeats a request under the same command id until the outcome is known, the client's patience is over or ctx ends. What it
// gives is the last attempt's, with the time and the tries of all.
func (c *Client) Insist(ctx context.Context, subject string, body []byte, commandID string) Outcome {
	began := time.Now()
	for tries := 1; ; tries++ {
		o := c.Once(ctx, subject, body, commandID)
		o.Sent, o.Took, o.Tries = began, time.Since(began), tries
		if o.Known() || o.Code == Garbled || time.Since(began) > c.Patience || ctx.Err() != nil {
			return o
		}
		pause := time.Duration(min(max(o.Failure.GetRetryAfterMs(), 10), 250)) * time.Millisecond
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}

// Tally counts attempts by outcome, in slots of a tenth of a second, so that one can ask afterwards what happened when. The nil
// Tally counts nothing.
type Tally struct {
	mu    sync.Mutex
	slots map[int64]map[string]int
}

// NewTally makes an empty one.
func NewTally() *Tally { return &Tally{slots: map[int64]map[string]int{}} }

const slotMs = 100

func (t *Tally) add(sent time.Time, o *Outcome) {
	word := o.Code
	if word == "" {
		word = "ok"
	}
	if o.Failure != nil && !o.Retryable && retryableByName[word] {
		word += "!" // a code that promises another try, and a flag that denies it
	}
	t.Add(sent, word)
}

// Add counts one attempt that was sent at a time.
func (t *Tally) Add(sent time.Time, word string) {
	if t == nil {
		return
	}
	slot := sent.UnixMilli() / slotMs
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.slots[slot] == nil {
		t.slots[slot] = map[string]int{}
	}
	t.slots[slot][word]++
}

var retryableByName = map[string]bool{
	messages.CodeLimit: true, messages.CodeUnavailable: true, messages.CodeMoved: true, messages.CodeTimeout: true,
}

// Counts is attempts by outcome.
type Counts map[string]int

// Between counts the attempts that were sent from one moment to another.
func (t *Tally) Between(from, to time.Time) Counts {
	c := Counts{}
	t.mu.Lock()
	defer t.mu.Unlock()
	for slot, words := range t.slots {
		if slot >= from.UnixMilli()/slotMs && slot <= to.UnixMilli()/slotMs {
			for word, n := range words {
				c[word] += n
			}
		}
	}
	return c
}

// All is every attempt.
func (c Counts) All() (n int) {
	for _, k := range c {
		n += k
	}
	return n
}

// Unanswered is those to which nobody gave a word of the contract that settles the matter.
func (c Counts) Unanswered() (n int) {
	for word, k := range c {
		switch word {
		case Silence, Nobody, Offline, Garbled, messages.CodeLimit, messages.CodeUnavailable, messages.CodeMoved, messages.CodeTimeout:
			n += k
		}
	}
	return n
}

// Bad is those that no client may ever see: a fault of the house, an answer that is no document, a code that contradicts its flag.
func (c Counts) Bad() (n int) {
	for word, k := range c {
		if word == messages.CodeInternal || word == Garbled || word[len(word)-1] == '!' {
			n += k
		}
	}
	return n
}
