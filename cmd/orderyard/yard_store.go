package main

import (
	"context"

	"orderyard/persistence/jetstream"
)

// openStore opens what the node remembers in, and makes it where there is none.
func (y *yard) openStore(ctx context.Context) error {
	o := jetstream.Options{Replicas: y.cfg.NATS.Replicas}
	if y.server != nil {
		o.Sync = jetstream.SyncRelaxed
		if y.server.SyncAlways() {
			o.Sync = jetstream.SyncAlways
		}
	}
	var err error
	if y.store, err = jetstream.Open(ctx, y.conn, o); err != nil {
		return err
	}
	y.tellStore(o.Replicas)
	return nil
}

// tellStore says what of the store is less than it was configured for.
func (y *yard) tellStore(replicas int) {
	if have := y.store.Replicas(); have < replicas {
		y.log.Warn("the store's streams have fewer replicas than nats.replicas: one NATS server that is lost stops the yard, one disk loses it; "+
			"give each more with `nats stream edit NAME --replicas N`",
			"have", have, "wanted", replicas, "streams", []string{jetstream.StreamJournal, jetstream.StreamCheckpoint, "KV_" + jetstream.BucketMeta})
	}
	switch always, known := y.store.SyncAlways(); {
	case known && !always:
		y.log.Warn("NATS does not sync every write (sync_interval: always): what is acknowledged may be lost when a machine loses power")
	case !known:
		y.log.Info("cannot ask NATS whether it syncs every write: make sure that its jetstream section says sync_interval: always")
	}
	if most := runtimeLimits(y.cfg, y.store.RecordMax()).CommitBytesMax; most < int(y.cfg.Limits.CommitBytesMax) {
		y.log.Warn("limits.commit_bytes_max is more than NATS takes in one message (max_payload, or max_msg_size of the stream): commits stay smaller", "wanted", y.cfg.Limits.CommitBytesMax, "bytes", most)
	}
}
