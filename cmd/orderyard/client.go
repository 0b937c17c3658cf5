package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/oklog/ulid/v2"

	"orderyard/gateway/wire"
	"orderyard/messages"
)

// client asks one Orderyard over NATS. It is used by one goroutine.
type client struct {
	conn    *nats.Conn
	server  string
	timeout time.Duration
	again   func(commandID string) string // how a person repeats a command of unknown outcome; nil = not at all
}

// answer is what came back: the bytes as they came, for programs, and whether they repeat an earlier answer.
type answer struct {
	body     []byte
	replayed bool
}

// retryPauseMin is the pause before a retry when the answer names none.
const retryPauseMin = 20 * time.Millisecond

func (a *app) connect(options ...nats.Option) (*client, error) {
	identity, err := a.identityOptions()
	if err != nil {
		return nil, err
	}
	identity = append(identity, nats.Name("orderyard "+version()), nats.Timeout(a.timeout), nats.NoReconnect())
	if !validAddress(a.server) {
		return nil, usage("the server must be nats://host:port or tls://host:port, not %s; within a user or a password %% : / @ and , are written as "+
			"%%25 %%3A %%2F %%40 and %%2C", withoutUser(a.server))
	}
	conn, err := nats.Connect(a.server, append(identity, options...)...)
	if err != nil {
		return nil, unreachable(a.server, err)
	}
	c := &client{conn: conn, server: a.server, timeout: a.timeout}
	if a.keyed {
		c.again = a.again
	}
	return c, nil
}

func (c *client) close() { c.conn.Close() }

// validAddress: what is no address is not even tried, for the error would quote it with the password in it.
func validAddress(servers string) bool {
	for server := range strings.SplitSeq(servers, ",") {
		if server = strings.TrimSpace(server); !strings.Contains(server, "://") {
			server = "nats://" + server
		}
		if u, err := url.Parse(server); err != nil || strings.Contains(u.Path, "@") {
			return false
		}
	}
	return true
}

// withoutUser is an address without user and password, also when it is several, or too broken to be one.
func withoutUser(server string) string {
	if i := strings.LastIndexByte(server, '@'); i >= 0 {
		return "nats://…@" + server[i+1:]
	}
	return server
}

// unreachable says that nobody is there and what to do about it. The server's password, if its address holds one, is not shown.
func unreachable(server string, cause error) error {
	err := fmt.Errorf("no Orderyard answers at %s: start one with `orderyard dev`, or name another with --server or ORDERYARD_SERVER", withoutUser(server))
	if cause != nil && !errors.Is(cause, nats.ErrNoServers) && !errors.Is(cause, nats.ErrNoResponders) {
		err = fmt.Errorf("%w (%v)", err, cause)
	}
	return exitWith(exitUnavailable, err)
}

// ask sends request as JSON; see send.
func (c *client) ask(ctx context.Context, subject, commandID string, request any) (answer, error) {
	body, err := wire.Encode(request)
	if err != nil {
		return answer{}, fmt.Errorf("write the request: %w", err)
	}
	return c.send(ctx, subject, commandID, body)
}

// send asks and waits. A retryable refusal is retried with the same command id while the time lasts. The answer's body is returned
// also when it is a refusal, together with the refusal as a *messages.Failure. No answer in time leaves the outcome unknown: the error
// says how to ask again safely.
func (c *client) send(ctx context.Context, subject, commandID string, body []byte) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	message := nats.NewMsg(subject)
	message.Data = body
	if commandID != "" {
		message.Header.Set(messages.HeaderCommandID, commandID)
	}
	for {
		deadline, _ := ctx.Deadline()
		message.Header.Set(messages.HeaderDeadlineMs, patience(time.Until(deadline)))
		reply, err := c.conn.RequestMsgWithContext(ctx, message)
		if err != nil {
			return answer{}, c.silence(ctx, err, commandID)
		}
		got := answer{reply.Data, reply.Header.Get(messages.HeaderReplayed) == "true"}
		failure := failureOf(reply)
		if failure == nil {
			return got, nil
		}
		pause := max(time.Duration(failure.GetRetryAfterMs())*time.Millisecond, retryPauseMin)
		if failure.GetCode() == messages.CodeTimeout && commandID != "" {
			return got, fmt.Errorf("%w%s", failure, c.repeatably(commandID))
		}
		if !failure.GetRetryable() || time.Until(deadline) < pause {
			return got, failure
		}
		select {
		case <-ctx.Done():
			return got, failure
		case <-time.After(pause):
		}
	}
}

// patience is how long the node may work on the answer: a little less than we wait, so that its own `timeout` still reaches us.
func patience(left time.Duration) string {
	return strconv.FormatInt(max((left-min(left/4, 300*time.Millisecond)).Milliseconds(), 1), 10)
}

// failureOf reads the head of an answer; nil when it is ok.
func failureOf(reply *nats.Msg) *messages.Failure {
	var head wire.Head
	if err := json.Unmarshal(reply.Data, &head); err != nil {
		if told := reply.Header.Get("Nats-Service-Error"); told != "" {
			return messages.Fail(messages.CodeInternal, "", "%s", told)
		}
		return messages.Fail(messages.CodeInternal, "", "the answer cannot be read: %v", err)
	}
	return head.Failure()
}

// silence explains why no answer came.
func (c *client) silence(ctx context.Context, err error, commandID string) error {
	switch {
	case errors.Is(err, nats.ErrNoResponders), errors.Is(err, nats.ErrConnectionClosed):
		return unreachable(c.server, err)
	case errors.Is(err, nats.ErrReconnectBufExceeded), errors.Is(err, nats.ErrDisconnected): // how a client that would come back says that nobody is there
		return unreachable(c.server, nil)
	case errors.Is(err, nats.ErrMaxPayload):
		return fmt.Errorf("the request is larger than the server takes (%d bytes)", c.conn.MaxPayload())
	case errors.Is(ctx.Err(), context.Canceled):
		return exitWith(exitFailed, errors.New("interrupted; the outcome is unknown"+c.repeatably(commandID)))
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, nats.ErrTimeout):
		if commandID == "" {
			return exitWith(exitUnavailable, fmt.Errorf("no answer within %v; asking again is safe", c.timeout))
		}
		return exitWith(exitUnavailable, fmt.Errorf("no answer within %v, so the outcome is unknown%s", c.timeout, c.repeatably(commandID)))
	}
	return exitWith(exitUnavailable, fmt.Errorf("ask %s: %w", c.server, err))
}

// repeatably says, behind an unknown outcome, with what the command may be repeated.
func (c *client) repeatably(commandID string) string {
	if c.again == nil || commandID == "" {
		return ""
	}
	return "; asking again with " + c.again(commandID) + " is safe"
}

// again is what makes a repeated command line the same command: the key, and the times that this line has computed from the clock. A long list
// has gone in several requests, each with an id made of the key, which is what counts then.
func (a *app) again(commandID string) string {
	if a.commandID != "" {
		commandID = a.commandID
	}
	return strings.Join(append(slices.Clone(a.moments), "--command-id "+commandID), " ")
}

// newCommandID is the person's own key, or a fresh one.
func (a *app) newCommandID() string {
	if a.commandID != "" {
		return a.commandID
	}
	return ulid.Make().String()
}

// listCommandID is the key of a list that goes in several requests: of each, partID makes its own.
func (a *app) listCommandID() string {
	a.commandID = a.newCommandID()
	return a.commandID
}

// partID: one id is one request, so the further parts of a long list get ids of their own, the same ones again next time.
func partID(commandID string, part int) string {
	if part == 0 {
		return commandID
	}
	return fmt.Sprintf("%s-%d", commandID, part)
}

// call connects, asks once, prints the answer's JSON when that is wanted, and decodes it into out otherwise. It reports done when
// there is nothing left to show.
func call[T any](ctx context.Context, a *app, subject, commandID string, request any) (out T, got answer, done bool, err error) {
	c, err := a.connect()
	if err != nil {
		return out, got, true, err
	}
	defer c.close()
	got, err = c.ask(ctx, subject, commandID, request)
	out, done, err = show[T](a, got, err)
	return out, got, done, err
}

// show decides between the two kinds of output, for an answer and the refusal that may be in it.
func show[T any](a *app, got answer, failed error) (out T, done bool, err error) {
	if a.output == outputJSON && got.body != nil {
		return out, true, errors.Join(a.printJSON(got.body), failed)
	}
	if failed != nil {
		return out, true, failed
	}
	if err := wire.DecodeAnswer(got.body, &out); err != nil {
		return out, true, fmt.Errorf("read the answer: %w", err)
	}
	if got.replayed {
		fmt.Fprintln(a.err, "This repeats the first answer: the command was carried out before.")
	}
	return out, false, nil
}
