package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/nats-io/nats.go"
	js "github.com/nats-io/nats.go/jetstream"

	"orderyard/cluster"
	"orderyard/messages"
	"orderyard/persistence"
)

// topicChanged is where successful changes are announced: the message has the value, its headers the rest.
const (
	topicChanged   = "changed"
	headerBucket   = "Oy-Bucket"
	headerKey      = "Oy-Key"
	headerRevision = "Oy-Revision"
	headerEnded    = "Oy-Ended" // the key was taken away
)

// PutSession implements cluster.Registry. Only changed words are announced: a renewal is news to nobody.
func (r *Registry) PutSession(ctx context.Context, s *messages.NodeSession) error {
	if err := messages.CheckToken(s.Incarnation); err != nil {
		return fmt.Errorf("put session: the incarnation %w", err)
	}
	value, err := s.MarshalVT()
	if err != nil {
		return fmt.Errorf("put session: %w", err)
	}
	_, kv := r.sessions.handles()
	revision, err := kv.Put(ctx, s.Incarnation, value)
	if err != nil {
		return fmt.Errorf("put session: %w", err)
	}
	c := change{key: s.Incarnation, revision: revision, value: value}
	r.sessions.take(c)
	words := string(value)
	if old := r.announced.Swap(&words); old == nil || *old != words {
		r.announce(r.sessions, c)
	}
	return nil
}

// EndSession implements cluster.Registry.
func (r *Registry) EndSession(ctx context.Context, incarnation string) error {
	_, kv := r.sessions.handles()
	err := kv.Delete(ctx, incarnation)
	if err != nil {
		return fmt.Errorf("end session: %w", err)
	}
	c, found, err := r.read(ctx, r.sessions, incarnation) // a delete does not tell its revision
	if err != nil || !found {
		return nil // it is done; the watches tell it
	}
	r.sessions.take(c)
	if c.state == cluster.SessionEnded {
		r.announce(r.sessions, c)
	}
	return nil
}

// SetOwner implements cluster.Registry.
func (r *Registry) SetOwner(ctx context.Context, partition int, owner *messages.PartitionOwner, revision uint64) error {
	if partition < 0 || partition >= r.o.Partitions {
		return fmt.Errorf("set owner of partition %d: there are %d", partition, r.o.Partitions)
	}
	value, err := owner.MarshalVT()
	if err != nil {
		return fmt.Errorf("set owner of partition %d: %w", partition, err)
	}
	key := strconv.Itoa(partition)
	_, kv := r.owners.handles()
	next, err := kv.Update(ctx, key, value, revision)
	if err != nil {
		next, err = r.judge(ctx, key, value, revision, err)
	}
	if err != nil {
		return fmt.Errorf("set owner of partition %d: %w", partition, err)
	}
	c := change{key: key, revision: next, value: value}
	r.owners.take(c)
	r.announce(r.owners, c)
	return nil
}

// judge reads what became of a write that was not confirmed. Neither a time-out nor a conflict proves anything by itself: the client
// repeats a request that found no server, and the repetition conflicts with what it repeats.
func (r *Registry) judge(ctx context.Context, key string, value []byte, revision uint64, cause error) (uint64, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), callWithin)
	defer cancel()
	c, found, err := r.read(ctx, r.owners, key)
	if err != nil {
		return 0, fmt.Errorf("%w, and what became of it cannot be read: %w", cause, err)
	}
	if !found {
		c = change{key: key}
	}
	switch {
	case c.revision > revision && c.state == cluster.SessionPresent && bytes.Equal(c.value, value):
		return c.revision, nil
	case c.revision > revision || isConflict(cause):
		r.owners.take(c)
		return 0, fmt.Errorf("%w: the record has revision %d, not %d (%w)", persistence.ErrConflict, c.revision, revision, cause)
	}
	return 0, cause // it may still be on its way: then a later write with the same revision conflicts
}

// isConflict knows both codes for a wrong revision: see persistence/jetstream.
func isConflict(err error) bool {
	var api *js.APIError
	return errors.As(err, &api) &&
		(api.ErrorCode == js.JSErrCodeStreamWrongLastSequence || api.ErrorCode == js.JSErrCodeStreamWrongLastSequenceConstant)
}

// announce tells every registry of a change. Nobody waits for it: whoever misses it hears it from the watch.
func (r *Registry) announce(b *bucket, c change) {
	m := &nats.Msg{Subject: messages.NodesSubject(topicChanged), Data: c.value, Header: nats.Header{
		headerBucket: {b.name}, headerKey: {c.key}, headerRevision: {strconv.FormatUint(c.revision, 10)},
	}}
	if c.state != cluster.SessionPresent {
		m.Header.Set(headerEnded, "true")
	}
	if err := r.nc.PublishMsg(m); err != nil {
		r.log.Debug("cannot announce a change", "bucket", b.name, "key", c.key, "error", err)
	}
}

// aheadMax is how far an announcement may be ahead of what a watch has seen: one with a number from nowhere would hide every true change.
const aheadMax = 1 << 20

// heard takes in an announcement, if it can be one. Anybody who may publish here can say anything; what is no change of a key is dropped, for what is
// heard counts until the watch has caught up with its number.
func (r *Registry) heard(m *nats.Msg) {
	revision, err := strconv.ParseUint(m.Header.Get(headerRevision), 10, 64)
	if err != nil {
		return
	}
	c := change{key: m.Header.Get(headerKey), revision: revision, value: m.Data}
	if m.Header.Get(headerEnded) != "" {
		c.state = cluster.SessionEnded
	}
	switch m.Header.Get(headerBucket) {
	case BucketSessions:
		s := new(messages.NodeSession)
		if c.state == cluster.SessionPresent && (s.UnmarshalVT(c.value) != nil || s.Incarnation != c.key) {
			return
		}
		if messages.CheckToken(c.key) == nil && revision <= r.sessions.saw()+aheadMax {
			r.sessions.take(c)
		}
	case BucketOwners:
		o := new(messages.PartitionOwner)
		if o.UnmarshalVT(c.value) == nil && messages.CheckToken(o.Incarnation) == nil && revision <= r.owners.saw()+aheadMax {
			r.owners.take(c)
		}
	}
}
