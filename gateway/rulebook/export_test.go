package rulebook

import (
	"context"

	js "github.com/nats-io/nats.go/jetstream"
)

// Stored is a version as it lies in the bucket.
func Stored(number int64, text string) []byte {
	return encode(Version{Number: number, Text: text, Sum: sumOf(text, ""), ID: "x"})
}

// Mute makes the store swallow the answers of the next writes: done says which of them are done all the same. After is called behind each.
func (b *Book) Mute(after func(), done ...bool) { b.kv = &mute{b.kv, after, done} }

type mute struct {
	js.KeyValue
	after func()
	done  []bool
}

func (m *mute) Update(ctx context.Context, key string, value []byte, revision uint64) (uint64, error) {
	if len(m.done) == 0 {
		return m.KeyValue.Update(ctx, key, value, revision)
	}
	done := m.done[0]
	m.done = m.done[1:]
	if done {
		if _, err := m.KeyValue.Update(ctx, key, value, revision); err != nil {
			return 0, err
		}
	}
	m.after()
	return 0, context.DeadlineExceeded
}
