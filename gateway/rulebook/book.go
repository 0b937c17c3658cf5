package rulebook

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	js "github.com/nats-io/nats.go/jetstream"

	oyjs "orderyard/persistence/jetstream"
)

// Options are the dials of a Book.
type Options struct {
	Replicas int          // of a bucket that is made here: 1 (default) or 3. One that exists keeps its own
	Clock    func() int64 // Unix milliseconds; nil = the machine's
	Existing bool         // for those who only read: nothing is made, and where there is no bucket they get ErrNone
}

// ErrNone says that there is no bucket: no node has ever started here, so no rules were ever published.
var ErrNone = errors.New("rules: none were ever published here")

// Book is the versions and the history of the cluster's rule sets. It keeps nothing in memory and may be used concurrently.
type Book struct {
	stream js.Stream
	kv     js.KeyValue
	clock  func() int64
}

// Open makes the bucket when it is missing and refuses one that would forget. The connection stays the caller's.
func Open(ctx context.Context, nc *nats.Conn, o Options) (*Book, error) {
	if o.Replicas == 0 {
		o.Replicas = 1
	}
	if o.Clock == nil {
		o.Clock = func() int64 { return time.Now().UnixMilli() }
	}
	j, err := js.New(nc)
	if err != nil {
		return nil, fmt.Errorf("open bucket %s: %w", Bucket, err)
	}
	b := &Book{clock: o.Clock}
	config := bucketConfig(o.Replicas)
	err = oyjs.Patiently(ctx, func(ctx context.Context) (err error) {
		b.stream, err = j.Stream(ctx, config.Name)
		if errors.Is(err, js.ErrStreamNotFound) && o.Existing {
			return ErrNone
		}
		if errors.Is(err, js.ErrStreamNotFound) {
			b.stream, err = j.CreateStream(ctx, config)
			if errors.Is(err, js.ErrStreamNameAlreadyInUse) {
				b.stream, err = j.Stream(ctx, config.Name)
			}
		}
		return err
	})
	if err == nil {
		b.kv, err = oyjs.KeyValue(ctx, j, Bucket)
	}
	if err != nil {
		return nil, fmt.Errorf("open bucket %s: %w", Bucket, err)
	}
	if reason := unfit(b.stream.CachedInfo().Config); reason != "" {
		return nil, fmt.Errorf("bucket %s is not fit to remember: %s", Bucket, reason)
	}
	return b, nil
}

func bucketConfig(replicas int) js.StreamConfig {
	return js.StreamConfig{
		Name: "KV_" + Bucket, Subjects: []string{"$KV." + Bucket + ".>"}, Replicas: replicas,
		Storage: js.FileStorage, Retention: js.LimitsPolicy, Discard: js.DiscardNew,
		MaxMsgsPerSubject: activationsMax, MaxMsgs: -1, MaxBytes: -1, MaxMsgSize: -1, MaxConsumers: -1,
		Duplicates: duplicateWindow, AllowRollup: true, DenyDelete: true,
		AllowDirect: false, // any replica would answer, also one that lags
	}
}

// unfit says why a bucket that exists would lose a version; "" = it does not.
func unfit(c js.StreamConfig) string {
	switch {
	case c.Storage != js.FileStorage:
		return "it keeps its values in memory"
	case c.PersistMode == js.AsyncPersistMode:
		return "its persist mode is async: it acknowledges before the disk has the record"
	case c.MaxAge > 0:
		return fmt.Sprintf("it forgets values after %s (max_age)", c.MaxAge)
	case c.MaxMsgs > 0 || c.MaxBytes > 0:
		return "it has a limit of messages or bytes (max_msgs, max_bytes)"
	case c.AllowDirect:
		return "it allows direct gets, which a lagging replica may answer (allow_direct)"
	}
	return ""
}

// read reads one key from the bucket's leader. What somebody deleted by hand is not found, but has a revision.
func (b *Book) read(ctx context.Context, key string) (value []byte, revision uint64, found bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, callWithin)
	defer cancel()
	m, err := b.stream.GetLastMsgForSubject(ctx, "$KV."+Bucket+"."+key)
	if errors.Is(err, js.ErrMsgNotFound) {
		return nil, 0, false, nil
	}
	if err != nil {
		return nil, 0, false, fmt.Errorf("read %s of %s: %w", key, Bucket, err)
	}
	return m.Data, m.Sequence, m.Header.Get("KV-Operation") == "", nil
}

// Active gives what is in force, and its revision in the store; found is false while nodes route by the built-in rules.
func (b *Book) Active(ctx context.Context) (a Activation, revision uint64, found bool, err error) {
	value, revision, found, err := b.read(ctx, keyActive)
	if err != nil || !found {
		return a, revision, false, err
	}
	a, err = decode[Activation](keyActive, value)
	return a, revision, err == nil, err
}

// Version gives one version; found is false when there is none of that number.
func (b *Book) Version(ctx context.Context, number int64) (v Version, found bool, err error) {
	key := versionKey(number)
	value, _, found, err := b.read(ctx, key)
	if err != nil || !found {
		return v, false, err
	}
	v, err = decode[Version](key, value)
	return v, err == nil, err
}

// last gives the newest version; its number is 0 when there is none. Versions are written in the order of their numbers, each onto the
// absence of itself, so the last one written is the newest.
func (b *Book) last(ctx context.Context) (Version, error) {
	value, _, found, err := b.read(ctx, keyVersion+"*")
	if err != nil || !found {
		return Version{}, err
	}
	return decode[Version](keyVersion+"*", value)
}
