package registry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	js "github.com/nats-io/nats.go/jetstream"

	"orderyard/cluster"
	"orderyard/messages"
	oyjs "orderyard/persistence/jetstream"
)

const (
	// BucketSessions and BucketOwners are the buckets' names.
	BucketSessions = "OY_SESSIONS"
	BucketOwners   = "OY_OWNERS"

	// checkEvery is the pause between two looks whether the buckets are ahead of what was seen.
	checkEvery = 2 * time.Second
	// behindFor is how long a watch may be behind before that counts: what was stored a moment ago is on its way.
	behindFor = 200 * time.Millisecond
	// againAfter is the pause after a watch or a listing that failed.
	againAfter = 100 * time.Millisecond
	// callWithin bounds one listing, one start of a watch, and the reading after an unknown outcome.
	callWithin = 2 * time.Second
	// readsMax bounds the records read at once.
	readsMax = 16
	// forgetAfter is how long a session that is over is remembered.
	forgetAfter = 10 * time.Minute
	// markerMin is the shortest life of a marker that the server takes.
	markerMin = time.Second
	// duplicateWindow bounds the server's memory for message ids, which nobody sends here.
	duplicateWindow = 100 * time.Millisecond
)

// Options are the dials of a Registry.
type Options struct {
	Partitions int           // of the store. Required
	TTL        time.Duration // of sessions, for a bucket that is made here; default cluster.TTLDefault
	Replicas   int           // of buckets that are made here: 1 (default) or 3
	Log        *slog.Logger
	Clock      func() time.Time // that sessions which are over are forgotten by; nil = the machine's
}

// Registry is a cluster.Registry on JetStream. It may be used concurrently.
type Registry struct {
	nc       *nats.Conn
	js       js.JetStream
	o        Options
	log      *slog.Logger
	sessions *bucket
	owners   *bucket
	picture  picture

	up       atomic.Bool
	count    atomic.Uint64
	statuses chan nats.Status
	news     *nats.Subscription
	ctx      context.Context
	cancel   context.CancelFunc
	work     sync.WaitGroup

	announced atomic.Pointer[string] // the session last announced
}

var _ cluster.Registry = (*Registry)(nil)

// Open makes the buckets that are missing, refuses those that are not fit, reads both and goes on watching. The connection stays the caller's;
// give it a short ReconnectWait, for after a break nothing moves before it is back. A sessions bucket that exists keeps its TTL: see
// TTL.
func Open(ctx context.Context, nc *nats.Conn, o Options) (*Registry, error) {
	if o.Partitions < 1 || o.Partitions > cluster.PartitionsMax {
		return nil, fmt.Errorf("open registry: partitions must be 1 to %d, not %d", cluster.PartitionsMax, o.Partitions)
	}
	if o.TTL == 0 {
		o.TTL = cluster.TTLDefault
	}
	if o.Replicas == 0 {
		o.Replicas = 1
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	j, err := js.New(nc)
	if err != nil {
		return nil, fmt.Errorf("open registry: %w", err)
	}
	r := &Registry{nc: nc, js: j, o: o, log: o.Log}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	r.picture.init(o.Partitions, o.Clock)
	r.sessions = &bucket{name: BucketSessions, config: r.sessionsConfig(), take: r.picture.session, again: make(chan struct{}, 1)}
	r.owners = &bucket{name: BucketOwners, config: r.ownersConfig(), take: r.picture.owner, again: make(chan struct{}, 1)}
	if err := r.begin(ctx); err != nil {
		r.Close()
		return nil, fmt.Errorf("open registry: %w", err)
	}
	return r, nil
}

func (r *Registry) begin(ctx context.Context) error {
	r.statuses = r.nc.StatusChanged()
	r.heed()
	var err error
	if r.news, err = r.nc.Subscribe(messages.NodesSubject(topicChanged), r.heard); err != nil {
		return fmt.Errorf("listen to changes: %w", err)
	}
	for _, b := range []*bucket{r.sessions, r.owners} {
		if err := r.ensure(ctx, b); err != nil {
			return err
		}
		if err := r.list(ctx, b); err != nil {
			return err
		}
	}
	for _, b := range []*bucket{r.sessions, r.owners} {
		r.work.Go(func() { r.follow(b) })
		r.work.Go(func() { r.tend(b) })
	}
	r.work.Go(r.listen)
	return nil
}

// Close stops watching. The connection stays open, the session stays until it lapses. Closing again does nothing.
func (r *Registry) Close() {
	r.cancel()
	if r.news != nil {
		_ = r.news.Unsubscribe() // fails when the connection is closed
	}
	r.work.Wait()
	if r.statuses != nil {
		r.nc.RemoveStatusListener(r.statuses)
	}
}

// TTL is how long a session lives without being renewed: as the bucket has it, whatever Open was told. All nodes go by it; to change it,
// stop them, remove the bucket and start them again.
func (r *Registry) TTL() time.Duration {
	r.sessions.mu.Lock()
	defer r.sessions.mu.Unlock()
	return r.sessions.stream.CachedInfo().Config.MaxAge
}

// Time asks the server that leads the sessions what time it is.
func (r *Registry) Time(ctx context.Context) (time.Time, error) {
	stream, _ := r.sessions.handles()
	info, err := stream.Info(ctx)
	if err != nil {
		return time.Time{}, fmt.Errorf("ask NATS for the time: %w", err)
	}
	return info.TimeStamp, nil
}

// OnChange implements cluster.Registry.
func (r *Registry) OnChange(fn func()) { r.picture.onChange(fn) }

// Picture implements cluster.Registry.
func (r *Registry) Picture() cluster.Picture { return r.picture.copy() }

// Connection implements cluster.Registry.
func (r *Registry) Connection() (count uint64, up bool) {
	up = r.up.Load() // first: a count that is too new is taken for a break, one too old would hide it
	return r.count.Load(), up
}

// listen follows the connection's state.
func (r *Registry) listen() {
	for {
		select {
		case <-r.ctx.Done():
			return
		case <-r.statuses:
			r.heed()
		case <-time.After(checkEvery): // should a word have been lost
			r.heed()
		}
	}
}

// heed takes in how the connection stands. A new one makes both watches worthless.
func (r *Registry) heed() {
	count, up := r.nc.Stats().Reconnects+1, r.nc.IsConnected()
	fresh := r.count.Swap(count) != count
	changed := r.up.Swap(up) != up
	if up && (fresh || changed) {
		r.sessions.restart()
		r.owners.restart()
	}
	if fresh || changed {
		r.picture.tell()
	}
}

// Refresh implements cluster.Registry.
func (r *Registry) Refresh(ctx context.Context) error {
	for _, b := range []*bucket{r.sessions, r.owners} {
		last, err := r.last(ctx, b)
		if err != nil {
			return fmt.Errorf("refresh %s: %w", b.name, err)
		}
		if b.saw() >= last {
			continue
		}
		if err := r.list(ctx, b); err != nil {
			return fmt.Errorf("refresh %s: %w", b.name, err)
		}
	}
	return nil
}

// ensure opens a bucket, or makes it. Two may make it at once: the configuration is the same, so both succeed.
func (r *Registry) ensure(ctx context.Context, b *bucket) error {
	var stream js.Stream
	err := oyjs.Patiently(ctx, func(ctx context.Context) (err error) {
		stream, err = r.js.Stream(ctx, b.config.Name)
		if errors.Is(err, js.ErrStreamNotFound) {
			stream, err = r.js.CreateStream(ctx, b.config)
			if errors.Is(err, js.ErrStreamNameAlreadyInUse) {
				stream, err = r.js.Stream(ctx, b.config.Name)
			}
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("open bucket %s: %w", b.name, err)
	}
	if reason := unfit(stream.CachedInfo().Config, b.config); reason != "" {
		return fmt.Errorf("bucket %s is not fit: %s", b.name, reason)
	}
	kv, err := oyjs.KeyValue(ctx, r.js, b.name)
	if err != nil {
		return fmt.Errorf("open bucket %s: %w", b.name, err)
	}
	b.mu.Lock()
	b.stream, b.kv = stream, kv
	b.mu.Unlock()
	return nil
}

func bucketConfig(name string, replicas int) js.StreamConfig {
	return js.StreamConfig{
		Name: "KV_" + name, Subjects: []string{"$KV." + name + ".>"}, Replicas: replicas,
		Storage: js.FileStorage, Retention: js.LimitsPolicy, Discard: js.DiscardNew,
		MaxMsgsPerSubject: 1, MaxMsgs: -1, MaxBytes: -1, MaxMsgSize: -1, MaxConsumers: -1,
		Duplicates: duplicateWindow, AllowRollup: true, DenyDelete: true,
		AllowDirect: false, // any replica would answer, also one that lags
	}
}

// sessionsConfig: a renewal is worth nothing after a few seconds, so it does not wait for the disk where the server can do without, which
// is with one replica.
func (r *Registry) sessionsConfig() js.StreamConfig {
	c := bucketConfig(BucketSessions, r.o.Replicas)
	c.MaxAge = r.o.TTL
	c.AllowMsgTTL, c.SubjectDeleteMarkerTTL = true, max(r.o.TTL, markerMin)
	if r.o.Replicas == 1 {
		c.PersistMode = js.AsyncPersistMode
	}
	return c
}

func (r *Registry) ownersConfig() js.StreamConfig { return bucketConfig(BucketOwners, r.o.Replicas) }

// unfit says why a bucket that exists cannot do what it is for; "" = it can.
func unfit(c, want js.StreamConfig) string {
	switch {
	case len(c.Subjects) != 1 || c.Subjects[0] != want.Subjects[0]:
		return fmt.Sprintf("it listens to %q instead of %q", c.Subjects, want.Subjects)
	case c.MaxMsgsPerSubject != 1:
		return fmt.Sprintf("it keeps %d values per key instead of one", c.MaxMsgsPerSubject)
	case c.MaxMsgs > 0 || c.MaxBytes > 0:
		return "it has a limit of messages or bytes (max_msgs, max_bytes)"
	case c.AllowDirect:
		return "it allows direct gets, which a lagging replica may answer (allow_direct)"
	case want.MaxAge > 0 && c.MaxAge < cluster.TTLMin:
		return fmt.Sprintf("its values live %s (max_age), it must be %s at least", c.MaxAge, cluster.TTLMin)
	case want.MaxAge > 0 && c.SubjectDeleteMarkerTTL == 0:
		return "it does not tell when a value lapses (subject_delete_marker_ttl)"
	case want.MaxAge == 0 && c.MaxAge > 0:
		return fmt.Sprintf("it forgets values after %s (max_age)", c.MaxAge)
	case want.MaxAge == 0 && c.Storage != js.FileStorage:
		return "it keeps its values in memory"
	case want.MaxAge == 0 && c.PersistMode == js.AsyncPersistMode:
		return "its persist mode is async: it acknowledges before the disk has the record"
	}
	return ""
}
