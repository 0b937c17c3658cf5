package ingress

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"orderyard/messages"
	oyjs "orderyard/persistence/jetstream"
)

// StreamOptions bound the gateway's streams. Zero takes the default. The sizes are reserved by the server: their sum must fit
// its JetStream storage.
type StreamOptions struct {
	Replicas       int           // default 1
	IntakeBytes    int64         // default 1 GiB; full: publishers are refused, nothing is dropped
	EventsAge      time.Duration // default 72 h
	EventsBytes    int64         // default 2 GiB; full: the oldest events go, they can be made again from the journal
	DeadAge        time.Duration // default 30 days
	DeadBytes      int64         // default 256 MiB; full: the oldest letters go
	EventsIsSynced bool          // true = do not use the relaxed persist mode for events
	// KeepExisting leaves a stream that exists as it is, but for what nodes cannot publish without: where several nodes share a server, its operator decides.
	KeepExisting bool
}

func (o StreamOptions) withDefaults() StreamOptions {
	o.Replicas = max(o.Replicas, 1)
	for _, one := range []struct {
		have *int64
		want int64
	}{{&o.IntakeBytes, 1 << 30}, {&o.EventsBytes, 2 << 30}, {&o.DeadBytes, 256 << 20}} {
		if *one.have == 0 {
			*one.have = one.want
		}
	}
	if o.EventsAge == 0 {
		o.EventsAge = 72 * time.Hour
	}
	if o.DeadAge == 0 {
		o.DeadAge = 30 * 24 * time.Hour
	}
	return o
}

// Setup creates the gateway's three streams, or brings existing ones to these options. It may be called by every node at start.
func Setup(ctx context.Context, js jetstream.JetStream, o StreamOptions) error {
	o = o.withDefaults()
	persist := jetstream.AsyncPersistMode
	if o.EventsIsSynced {
		persist = jetstream.DefaultPersistMode
	}
	for _, cfg := range []jetstream.StreamConfig{
		{
			Name: messages.StreamIntake, Description: "orders sent without waiting; a message goes when its order is durable",
			Subjects: []string{messages.IntakeSubject("*")}, Retention: jetstream.WorkQueuePolicy, Storage: jetstream.FileStorage,
			Discard: jetstream.DiscardNew, MaxBytes: o.IntakeBytes, Replicas: o.Replicas,
		},
		{
			Name: messages.StreamEvents, Description: "what happened, as CloudEvents; a feed that can be made again from the journal",
			Subjects: []string{messages.SubjectEvents + ">", messages.SubjectFeedEnd}, Storage: jetstream.FileStorage, Discard: jetstream.DiscardOld,
			MaxAge: o.EventsAge, MaxBytes: o.EventsBytes, Replicas: o.Replicas, PersistMode: persist, AllowBatchPublish: true,
			AllowDirect: true,
		},
		{
			Name: messages.StreamDead, Description: "what could not be understood, with the reason and the original bytes",
			Subjects: []string{messages.DeadSubject("*")}, Storage: jetstream.FileStorage, Discard: jetstream.DiscardOld,
			MaxAge: o.DeadAge, MaxBytes: o.DeadBytes, Replicas: o.Replicas,
		},
	} {
		err := oyjs.Patiently(ctx, func(ctx context.Context) error { return ensureStream(ctx, js, cfg, o.KeepExisting) })
		if err != nil {
			return fmt.Errorf("set up stream %s: %w", cfg.Name, err)
		}
	}
	return nil
}

// ensureStream keeps an existing stream's persist mode, which cannot be changed. A new one falls back to the default mode where the
// server or the replication does not know the relaxed one, and to half its size, again and again, where the server has no room for it.
func ensureStream(ctx context.Context, js jetstream.JetStream, cfg jetstream.StreamConfig, keep bool) error {
	existing, err := js.Stream(ctx, cfg.Name)
	switch {
	case err == nil && keep:
		have := existing.CachedInfo().Config
		missing := cfg.AllowBatchPublish && !have.AllowBatchPublish
		have.AllowBatchPublish = have.AllowBatchPublish || missing
		for _, subject := range cfg.Subjects {
			if !slices.Contains(have.Subjects, subject) {
				have.Subjects, missing = append(have.Subjects, subject), true
			}
		}
		if missing {
			_, err = js.UpdateStream(ctx, have)
		}
		return err
	case err == nil:
		cfg.PersistMode = existing.CachedInfo().Config.PersistMode
		_, err = js.UpdateStream(ctx, cfg)
		return err
	case !errors.Is(err, jetstream.ErrStreamNotFound):
		return err
	}
	for {
		_, err = js.CreateStream(ctx, cfg)
		var refused *jetstream.APIError
		switch {
		case err == nil, errors.Is(err, jetstream.ErrStreamNameAlreadyInUse): // another node was faster
			return nil
		case !errors.As(err, &refused):
			return err
		case noRoom(refused) && cfg.MaxBytes/2 >= streamBytesMin:
			cfg.MaxBytes /= 2
		case !noRoom(refused) && cfg.PersistMode != jetstream.DefaultPersistMode:
			cfg.PersistMode = jetstream.DefaultPersistMode
		default:
			return err
		}
	}
}

// streamBytesMin is the least a stream is made with.
const streamBytesMin = 8 << 20

// noRoom: codes of nats-server's errors.json: insufficient storage, no suitable peers in a cluster for want of storage.
func noRoom(e *jetstream.APIError) bool {
	return e.ErrorCode == 10047 || e.ErrorCode == 10023 || e.ErrorCode == 10005
}
