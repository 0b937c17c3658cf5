package gossip

import (
	"bytes"
	"context"
	"log"
	"log/slog"
	"sync"
	"time"
)

// memberlistLog gives memberlist's lines to slog. Its errors are warnings here, since it mends them itself and nobody need act; the rest is
// for debugging. What it says of every try to reach a dead member is heard once in a while only.
type memberlistLog struct {
	log  *slog.Logger
	said *said
}

// gistBytes of a line tell what it is about; names and addresses come behind.
const gistBytes = 24

func newMemberlistLog(l *slog.Logger) *log.Logger {
	return log.New(memberlistLog{l.With("from", "memberlist"), newSaid()}, "", 0)
}

func (m memberlistLog) Write(line []byte) (int, error) {
	_, text, found := bytes.Cut(line, []byte("memberlist: "))
	if !found {
		text = line
	}
	level, said := slog.LevelDebug, string(bytes.TrimSpace(text))
	if bytes.HasPrefix(line, []byte("[ERR]")) || bytes.HasPrefix(line, []byte("[WARN]")) {
		level = slog.LevelWarn
		if m.said.again(said[:min(len(said), gistBytes)], time.Now()) {
			level = slog.LevelDebug
		}
	}
	m.log.Log(context.Background(), level, "memberlist says", "text", said)
	return len(line), nil
}

// said remembers when a sentence was heard. There are few: they are constants, or cut before what varies.
type said struct {
	mu   sync.Mutex
	when map[string]time.Time
}

// sayEvery is how often the same may be said.
const sayEvery = 10 * time.Second

func newSaid() *said { return &said{when: map[string]time.Time{}} }

// again says whether the sentence was heard just now.
func (s *said) again(sentence string, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.Sub(s.when[sentence]) < sayEvery {
		return true
	}
	s.when[sentence] = now
	return false
}

// quiet lets protoactor speak only when something is wrong, and not as loud as it would: a lost connection is an error to it, and
// everyday life to a cluster. Every try to reach a dead peer says the same again, so one sentence is heard once in a while only.
type quiet struct {
	slog.Handler
	said *said
}

func newQuiet(h slog.Handler) quiet { return quiet{h, newSaid()} }

func (q quiet) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn && q.Handler.Enabled(ctx, slog.LevelWarn)
}

func (q quiet) Handle(ctx context.Context, r slog.Record) error {
	if q.said.again(r.Message, r.Time) {
		return nil
	}
	r.Level = slog.LevelWarn
	return q.Handler.Handle(ctx, r)
}

func (q quiet) WithAttrs(attrs []slog.Attr) slog.Handler {
	return quiet{q.Handler.WithAttrs(attrs), q.said}
}

func (q quiet) WithGroup(name string) slog.Handler { return quiet{q.Handler.WithGroup(name), q.said} }
