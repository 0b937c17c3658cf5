package registry

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	js "github.com/nats-io/nats.go/jetstream"

	"orderyard/cluster"
)

// bucket is one of the two, and how far it was seen.
type bucket struct {
	name   string
	config js.StreamConfig
	take   func(change)
	again  chan struct{} // list afresh and start the watch again

	mu     sync.Mutex
	stream js.Stream
	kv     js.KeyValue
	made   time.Time // when the leader says the bucket was made
	seen   uint64    // all that has a revision up to here is known
	stop   context.CancelFunc
}

func (b *bucket) saw() uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.seen
}

// reach notes that everything up to a revision is known.
func (b *bucket) reach(revision uint64) {
	b.mu.Lock()
	b.seen = max(b.seen, revision)
	b.mu.Unlock()
}

func (b *bucket) handles() (js.Stream, js.KeyValue) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.stream, b.kv
}

// restart has the watch started again, and everything listed.
func (b *bucket) restart() {
	b.mu.Lock()
	if b.stop != nil {
		b.stop()
	}
	b.mu.Unlock()
	select {
	case b.again <- struct{}{}:
	default:
	}
}

// follow watches a bucket until Close, again and again.
func (r *Registry) follow(b *bucket) {
	for r.ctx.Err() == nil {
		err := r.watch(b)
		if r.ctx.Err() != nil {
			return
		}
		if err != nil {
			r.log.Debug("a watch failed", "bucket", b.name, "error", err)
			r.pause(againAfter)
		}
	}
}

func (r *Registry) pause(d time.Duration) {
	select {
	case <-r.ctx.Done():
	case <-time.After(d):
	}
}

// watch takes in what one watch delivers: all present values, then every change, in order.
func (r *Registry) watch(b *bucket) error {
	ctx, stop := context.WithCancel(r.ctx)
	defer stop()
	b.mu.Lock()
	b.stop = stop
	b.mu.Unlock()
	_, kv := b.handles()
	// The context of the beginning is that of the whole watch: NATS ends it with its context. Only the beginning is bounded in time.
	late := time.AfterFunc(callWithin, stop)
	w, err := kv.WatchAll(ctx)
	late.Stop()
	if err != nil {
		return fmt.Errorf("watch %s: %w", b.name, err)
	}
	defer func() {
		_ = w.Stop() // fails when the connection is closed, which stops it too
		go func() {  // what delivers may be waiting for somebody to take it; it closes the channel at its end
			for range w.Updates() {
			}
		}()
	}()
	for {
		select {
		case <-ctx.Done():
			return nil
		case e, ok := <-w.Updates():
			if !ok {
				return errors.New("the watch ended")
			}
			if e == nil { // that was all there is at present
				continue
			}
			c := change{key: e.Key(), revision: e.Revision(), value: e.Value()}
			switch e.Operation() {
			case js.KeyValueDelete:
				c.state = cluster.SessionEnded
			case js.KeyValuePurge:
				c.state = cluster.SessionLapsed
			}
			b.take(c)
			b.reach(c.revision)
		}
	}
}

// tend looks every few seconds whether the bucket is ahead of what was seen, and lists it when it is, or when the connection is a new
// one.
func (r *Registry) tend(b *bucket) {
	tick := time.NewTicker(checkEvery)
	defer tick.Stop()
	for {
		var err error
		select {
		case <-r.ctx.Done():
			return
		case <-b.again:
			err = r.catchUp(b)
		case <-tick.C:
			if r.up.Load() {
				err = r.check(b)
			}
		}
		if err == nil || r.ctx.Err() != nil {
			continue
		}
		r.log.Debug("cannot read a bucket afresh", "bucket", b.name, "error", err)
		r.pause(againAfter)
		if r.up.Load() { // else the next connection asks for it
			select {
			case b.again <- struct{}{}:
			default:
			}
		}
	}
}

// check asks the leader how far the bucket is. Not to have heard what is newer than a moment means that the watch is dead, however
// healthy it looks.
func (r *Registry) check(b *bucket) error {
	ctx, cancel := context.WithTimeout(r.ctx, callWithin)
	defer cancel()
	last, err := r.last(ctx, b)
	if err != nil || b.saw() >= last {
		return err
	}
	r.pause(behindFor)
	if b.saw() >= last {
		return nil
	}
	r.log.Debug("a watch is behind", "bucket", b.name, "seen", b.saw(), "last", last)
	b.restart()
	return nil
}

func (r *Registry) catchUp(b *bucket) error {
	ctx, cancel := context.WithTimeout(r.ctx, callWithin)
	defer cancel()
	return r.list(ctx, b)
}

// last gives the last sequence of a bucket, from its leader.
func (r *Registry) last(ctx context.Context, b *bucket) (uint64, error) {
	info, err := r.info(ctx, b)
	if err != nil {
		return 0, err
	}
	return info.State.LastSeq, nil
}

// info asks the leader, and notices when the bucket is another one than before.
func (r *Registry) info(ctx context.Context, b *bucket, opts ...js.StreamInfoOpt) (*js.StreamInfo, error) {
	stream, _ := b.handles()
	info, err := stream.Info(ctx, opts...)
	if errors.Is(err, js.ErrStreamNotFound) {
		r.log.Warn("a bucket is gone, it is made again", "bucket", b.name)
		if err = r.ensure(ctx, b); err != nil {
			return nil, err
		}
		stream, _ = b.handles()
		info, err = stream.Info(ctx, opts...)
	}
	if err != nil {
		return nil, fmt.Errorf("ask for the state of %s: %w", b.name, err)
	}
	b.mu.Lock()
	other := !b.made.IsZero() && !b.made.Equal(info.Created)
	b.made = info.Created
	if other {
		b.seen = 0
	}
	b.mu.Unlock()
	if other {
		r.log.Warn("a bucket was removed and made anew", "bucket", b.name)
		r.picture.reset(b == r.sessions)
		b.restart()
	}
	return info, nil
}

// list reads every key from the leader.
func (r *Registry) list(ctx context.Context, b *bucket) error {
	prefix := "$KV." + b.name + "."
	info, err := r.info(ctx, b, js.WithSubjectFilter(prefix+">"))
	if err != nil {
		return err
	}
	keys := make(map[string]bool, len(info.State.Subjects))
	var (
		reads  = make(chan struct{}, readsMax)
		wait   sync.WaitGroup
		failed atomic.Pointer[error]
	)
	for subject := range info.State.Subjects {
		key := strings.TrimPrefix(subject, prefix)
		keys[key] = true
		reads <- struct{}{}
		wait.Go(func() {
			defer func() { <-reads }()
			c, found, err := r.read(ctx, b, key)
			if err != nil {
				failed.Store(&err)
			} else if found {
				b.take(c)
			}
		})
	}
	wait.Wait()
	if err := failed.Load(); err != nil {
		return *err
	}
	if b == r.sessions {
		r.picture.absent(keys, info.State.LastSeq)
	}
	b.reach(info.State.LastSeq)
	return nil
}

// read reads one key from the leader.
func (r *Registry) read(ctx context.Context, b *bucket, key string) (c change, found bool, err error) {
	stream, _ := b.handles()
	m, err := stream.GetLastMsgForSubject(ctx, "$KV."+b.name+"."+key)
	if errors.Is(err, js.ErrMsgNotFound) {
		return c, false, nil
	}
	if err != nil {
		return c, false, fmt.Errorf("read %s of %s: %w", key, b.name, err)
	}
	c = change{key: key, revision: m.Sequence, value: m.Data}
	switch {
	case m.Header.Get("KV-Operation") == "DEL", m.Header.Get(js.MarkerReasonHeader) == "Remove":
		c.state = cluster.SessionEnded
	case m.Header.Get("KV-Operation") != "", m.Header.Get(js.MarkerReasonHeader) != "":
		c.state = cluster.SessionLapsed
	}
	return c, true, nil
}
