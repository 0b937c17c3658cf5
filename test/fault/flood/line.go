package flood

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strconv"
	"sync"
	"time"
)

// line is a connection to a NATS server with one subscription for all answers. An answer's subject ends with the number of its request.
type line struct {
	c     net.Conn
	r     *bufio.Reader
	inbox string

	mu  sync.Mutex
	out []byte
	err error
}

const (
	dialWithin  = 5 * time.Second
	writeWithin = 5 * time.Second
	readBytes   = 1 << 20
)

// dial connects to the first server of a comma list that answers.
func dial(servers string, inbox string) (*line, error) {
	first, _, _ := bytes.Cut([]byte(servers), []byte(","))
	u, err := url.Parse(string(first))
	if err != nil {
		return nil, fmt.Errorf("server %q: %w", servers, err)
	}
	c, err := net.DialTimeout("tcp", u.Host, dialWithin)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	l := &line{c: c, r: bufio.NewReaderSize(c, readBytes), inbox: "_flood." + inbox + "."}
	if _, err := l.r.ReadSlice('\n'); err != nil { // INFO
		return nil, errors.Join(fmt.Errorf("greet: %w", err), c.Close())
	}
	l.out = append(l.out, `CONNECT {"verbose":false,"pedantic":false,"headers":true,"no_responders":true,"name":"flood","lang":"go","version":"1"}`+"\r\nSUB "+l.inbox+"* 1\r\nPING\r\n"...)
	return l, l.flush()
}

func (l *line) close() error { return l.c.Close() }

// put queues a request. commandID may be empty.
func (l *line) put(subject string, number int, commandID string, body []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if commandID == "" {
		l.out = append(l.out, "PUB "...)
	} else {
		l.out = append(l.out, "HPUB "...)
	}
	l.out = append(append(l.out, subject...), ' ')
	l.out = append(l.out, l.inbox...)
	l.out = append(strconv.AppendInt(l.out, int64(number), 10), ' ')
	if commandID != "" {
		const head, tail = "NATS/1.0\r\nOy-Command-Id: ", "\r\n\r\n"
		n := len(head) + len(commandID) + len(tail)
		l.out = append(strconv.AppendInt(l.out, int64(n), 10), ' ')
		l.out = append(strconv.AppendInt(l.out, int64(n+len(body)), 10), "\r\n"+head...)
		l.out = append(append(l.out, commandID...), tail...)
	} else {
		l.out = append(strconv.AppendInt(l.out, int64(len(body)), 10), "\r\n"...)
	}
	l.out = append(append(l.out, body...), "\r\n"...)
}

// flush sends what is queued.
func (l *line) flush() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil || len(l.out) == 0 {
		return l.err
	}
	_ = l.c.SetWriteDeadline(time.Now().Add(writeWithin)) // a closed connection says so below
	_, l.err = l.c.Write(l.out)
	l.out = l.out[:0]
	return l.err
}

// answer is what came back for a request. An empty body: nobody listens. The body is good until the next.
type answer struct {
	number int
	body   []byte
	at     time.Time
}

// read hands over every answer until the line ends.
func (l *line) read(take func(answer)) error {
	for {
		head, err := l.r.ReadSlice('\n')
		if err != nil {
			return err
		}
		switch {
		case bytes.HasPrefix(head, []byte("MSG ")), bytes.HasPrefix(head, []byte("HMSG ")):
			if err := l.message(head, take); err != nil {
				return err
			}
		case bytes.HasPrefix(head, []byte("PING")):
			l.mu.Lock()
			l.out = append(l.out, "PONG\r\n"...)
			l.mu.Unlock()
			if err := l.flush(); err != nil {
				return err
			}
		case bytes.HasPrefix(head, []byte("-ERR")):
			return fmt.Errorf("the server says %s", bytes.TrimSpace(head))
		}
	}
}

// message reads "[H]MSG subject sid [header bytes] bytes" and what follows.
func (l *line) message(head []byte, take func(answer)) error {
	fields := bytes.Fields(head)
	if len(fields) < 4 || !bytes.HasPrefix(fields[1], []byte(l.inbox)) {
		return fmt.Errorf("odd line %q", head)
	}
	number, err := strconv.Atoi(string(fields[1][len(l.inbox):]))
	if err != nil {
		return fmt.Errorf("odd subject %q", fields[1])
	}
	size, err := strconv.Atoi(string(fields[len(fields)-1]))
	if err != nil {
		return fmt.Errorf("odd size %q", head)
	}
	skip := 0
	if head[0] == 'H' {
		if skip, err = strconv.Atoi(string(fields[3])); err != nil {
			return fmt.Errorf("odd size %q", head)
		}
	}
	if size+2 > readBytes {
		return fmt.Errorf("an answer of %d bytes", size)
	}
	body, err := l.r.Peek(size + 2)
	if err != nil {
		return err
	}
	take(answer{number: number, body: body[skip:size], at: time.Now()})
	_, err = l.r.Discard(size + 2)
	return err
}

// ended says that a line's end is one that was to be expected.
func ended(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed)
}

// Words for answers beside the codes of the contract.
const (
	ok     = "ok"
	nobody = "(nobody)"
)

// code names an answer without decoding it: answers begin with their verdict.
func code(body []byte) string {
	if bytes.HasPrefix(body, []byte(`{"ok":true`)) {
		return ok
	}
	if len(body) == 0 {
		return nobody
	}
	return string(between(body, `"code":"`, '"'))
}

// retryAfter is the time to come back that an answer names, 0 = none.
func retryAfter(body []byte) time.Duration {
	ms, _ := strconv.Atoi(string(between(body, `"retry_after_ms":`, '}'))) // none: zero
	return time.Duration(ms) * time.Millisecond
}

func between(body []byte, before string, end byte) []byte {
	_, rest, found := bytes.Cut(body, []byte(before))
	if !found {
		return nil
	}
	if i := bytes.IndexByte(rest, end); i >= 0 {
		return rest[:i]
	}
	return rest
}
