package jetstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/nats-io/nats.go"
	js "github.com/nats-io/nats.go/jetstream"

	"orderyard/persistence"
)

// Names of the streams and the bucket.
const (
	StreamJournal    = "OY_JOURNAL"
	StreamCheckpoint = "OY_CHECKPOINT"
	BucketMeta       = "OY_META"

	subjectJournal    = "oy.journal."
	subjectCheckpoint = "oy.checkpoint."
)

const (
	// headroom is what subject and headers add to a record.
	headroom = 512
	// duplicateWindow bounds the server's memory for message ids. No decision rests on them.
	duplicateWindow = 10 * time.Second
)

// Sync says what is known about the server's disk.
type Sync uint8

const (
	SyncUnknown Sync = iota
	SyncAlways       // an acknowledged append is on disk
	SyncRelaxed      // it will be, within the server's sync interval
)

// Options are the dials of a Store.
type Options struct {
	// Replicas of streams that are created here: 1 (default) or 3. Streams that exist keep theirs.
	Replicas int
	// Sync is the server's setting where the caller knows it (embedded.Server.SyncAlways). Else the server is asked; it answers only to
	// a connection of its system account.
	Sync Sync
	// Existing is for those who only read: they make nothing, for what they made would have their replicas for ever, and may read what could not be
	// written for long. Where there is no store they get ErrNoStore.
	Existing bool
}

// ErrNoStore says that a server has no store, or not the whole of one: no node has ever started on it.
var ErrNoStore = errors.New("this NATS server holds no Orderyard store")

// Store is a persistence.Store on JetStream. It may be used concurrently.
type Store struct {
	nc         *nats.Conn
	js         js.JetStream
	journal    js.Stream
	checkpoint js.Stream
	meta       js.KeyValue
	values     js.Stream // the same bucket as the stream that it is
	existing   bool      // make nothing
	sizeMax    int       // the journal's own limit of a message; none from 0 down
	sync       Sync
	life       *life
	pulls      chan struct{} // one per pull under way
}

var _ persistence.Store = (*Store)(nil)

// Open makes what is missing and refuses what would lose records. The connection stays the caller's.
func Open(ctx context.Context, nc *nats.Conn, o Options) (*Store, error) {
	if o.Replicas == 0 {
		o.Replicas = 1
	}
	j, err := js.New(nc)
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	s := &Store{nc: nc, js: j, existing: o.Existing, sync: o.Sync, pulls: make(chan struct{}, pullsAtOnce(nc))}
	if s.journal, err = s.stream(ctx, config(StreamJournal, subjectJournal+"*", o.Replicas)); err != nil {
		return nil, err
	}
	s.sizeMax = int(s.journal.CachedInfo().Config.MaxMsgSize)
	if s.checkpoint, err = s.stream(ctx, config(StreamCheckpoint, subjectCheckpoint+">", o.Replicas)); err != nil {
		return nil, err
	}
	bucket := config("KV_"+BucketMeta, "$KV."+BucketMeta+".>", o.Replicas)
	bucket.MaxMsgsPerSubject, bucket.AllowRollup, bucket.DenyDelete = 1, true, true
	if s.values, err = s.stream(ctx, bucket); err != nil {
		return nil, err
	}
	if s.meta, err = KeyValue(ctx, j, BucketMeta); err != nil {
		return nil, fmt.Errorf("open bucket %s: %w", BucketMeta, err)
	}
	if s.sync == SyncUnknown {
		s.sync = askSync(ctx, nc)
	}
	s.life = newLife(nc)
	return s, nil
}

func config(name, subject string, replicas int) js.StreamConfig {
	return js.StreamConfig{
		Name: name, Subjects: []string{subject}, Replicas: replicas,
		Storage: js.FileStorage, Retention: js.LimitsPolicy, Discard: js.DiscardNew,
		MaxMsgs: -1, MaxBytes: -1, MaxMsgSize: -1, MaxConsumers: -1, MaxMsgsPerSubject: -1,
		Duplicates:  duplicateWindow,
		AllowDirect: false, // any replica would answer, also one that lags
	}
}

// stream opens a stream, or makes it, but not for a reader. Two nodes may make it at once: the configuration is the same, so both succeed.
func (s *Store) stream(ctx context.Context, want js.StreamConfig) (js.Stream, error) {
	var st js.Stream
	err := Patiently(ctx, func(ctx context.Context) (err error) {
		st, err = s.js.Stream(ctx, want.Name)
		if errors.Is(err, js.ErrStreamNotFound) && s.existing {
			return ErrNoStore
		}
		if errors.Is(err, js.ErrStreamNotFound) {
			st, err = s.js.CreateStream(ctx, want)
			if errors.Is(err, js.ErrStreamNameAlreadyInUse) {
				st, err = s.js.Stream(ctx, want.Name)
			}
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("open stream %s: %w", want.Name, err)
	}
	have := st.CachedInfo().Config
	reason := unfit(have, want)
	if reason == "" && !s.existing {
		reason = frozen(have)
	}
	if reason != "" {
		return nil, fmt.Errorf("stream %s is not fit to remember: %s", want.Name, reason)
	}
	return st, nil
}

// unfit says why a stream that exists would lose records or answer from the wrong place; "" = it is fit.
func unfit(c, want js.StreamConfig) string {
	switch {
	case len(c.Subjects) != 1 || c.Subjects[0] != want.Subjects[0]:
		return fmt.Sprintf("it listens to %q instead of %q", c.Subjects, want.Subjects)
	case c.Storage != js.FileStorage:
		return "it keeps its messages in memory"
	case c.PersistMode == js.AsyncPersistMode:
		return "its persist mode is async: it acknowledges before the disk has the record"
	case c.MaxAge > 0:
		return fmt.Sprintf("it forgets messages after %s (max_age)", c.MaxAge)
	case c.MaxMsgs > 0 || c.MaxBytes > 0:
		return "it has a limit of messages or bytes (max_msgs, max_bytes)"
	case c.MaxMsgsPerSubject > 0 && c.MaxMsgsPerSubject != want.MaxMsgsPerSubject:
		return "it has a limit of messages per subject (max_msgs_per_subject)"
	case c.Retention != js.LimitsPolicy:
		return "its retention is not by limits"
	case c.AllowDirect:
		return "it allows direct gets, which a lagging replica may answer (allow_direct)"
	}
	return ""
}

// sizeMin is the least that a stream's messages may be limited to: a slice of a checkpoint must pass.
const sizeMin = persistence.SliceMax + headroom

// frozen says why a stream that exists could not be written for long; "" = it could.
func frozen(c js.StreamConfig) string {
	switch {
	case c.Sealed:
		return "it takes nothing more (sealed)"
	case c.DenyPurge:
		return "it forbids to remove what is needed no more, and would grow until the disk is full (deny_purge)"
	case c.MaxMsgSize > 0 && c.MaxMsgSize < sizeMin:
		return fmt.Sprintf("it takes messages of %d bytes, %d are needed (max_msg_size)", c.MaxMsgSize, sizeMin)
	}
	return ""
}

// SyncAlways tells whether an acknowledged append is on disk, and whether that is known at all.
func (s *Store) SyncAlways() (always, known bool) { return s.sync == SyncAlways, s.sync != SyncUnknown }

// Replicas is how many copies there are of the stream that has the fewest. Streams that exist keep theirs, whatever Options say.
func (s *Store) Replicas() int {
	least := math.MaxInt
	for _, st := range []js.Stream{s.journal, s.checkpoint, s.values} {
		least = min(least, st.CachedInfo().Config.Replicas)
	}
	return least
}

// RecordMax is the largest record that the server and the journal's stream take, in bytes.
func (s *Store) RecordMax() int {
	most := int(s.nc.MaxPayload())
	if s.sizeMax > 0 {
		most = min(most, s.sizeMax)
	}
	return most - headroom
}

// Close implements persistence.Store. The connection stays open: it is the caller's. A store whose connection is closed needs no Close.
func (s *Store) Close() error {
	s.life.stop()
	return nil
}

// askSync asks every server of the system account within a short time; one that is not synced decides.
func askSync(ctx context.Context, nc *nats.Conn) Sync {
	inbox := nc.NewInbox()
	sub, err := nc.SubscribeSync(inbox)
	if err != nil {
		return SyncUnknown
	}
	defer sub.Unsubscribe() //nolint:errcheck // a closed connection has no subscriptions
	if nc.PublishRequest("$SYS.REQ.SERVER.PING.JSZ", inbox, []byte(`{"config":true}`)) != nil {
		return SyncUnknown
	}
	ctx, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
	defer cancel()
	found := SyncUnknown
	for {
		m, err := sub.NextMsgWithContext(ctx)
		if err != nil { // no responders at once, or the time is over
			return found
		}
		var answer struct {
			Data struct {
				Config *struct {
					SyncAlways bool `json:"sync_always"`
				} `json:"config"`
			} `json:"data"`
		}
		if json.Unmarshal(m.Data, &answer) != nil || answer.Data.Config == nil {
			continue
		}
		if !answer.Data.Config.SyncAlways {
			return SyncRelaxed
		}
		found = SyncAlways
	}
}
