// Package jetstream is the Store on NATS JetStream, embedded or a server of one's own, one replica or three.
//
// # Layout
//
//	OY_JOURNAL     oy.journal.<partition>              one message per record; its stream sequence is the record's position
//	OY_CHECKPOINT  oy.checkpoint.<partition>.s.<name>  the slices of one checkpoint
//	               oy.checkpoint.<partition>.m         manifests; the last is the newest, one more is kept
//	OY_META        a key-value bucket                  cursors and settings
//
// # What it promises
//
// The fence is JetStream's expected last sequence of the subject. Everything is read from the stream's leader, or checked against what the leader
// says is the end: a replica that lags may deliver late, it cannot make a reader believe in an earlier end. (Direct get, which
// any replica answers, is switched off on all three.)
//
// Durability is the server's: with sync_interval: always an append is on disk before it is acknowledged, otherwise up to two minutes
// later. SyncAlways tells what is known about it. The journal's stream itself is checked when it is opened: memory storage, the
// relaxed persist mode, an age or size limit are refused, for each loses records without a word.
//
// # What it leaves to others
//
// The connection belongs to the caller, who should forbid it to buffer while disconnected (nats.ReconnectBufSize(-1)): the fence stands
// late appends, but they cost a look at the tail. Feeds that can be rebuilt live in streams of the gateway.
//
// # Reading
//
// A few records are asked for one by one (a leader's get, under 0.1 ms each); after these an ordered consumer streams the rest up to the position
// that was the end when the call began. That position is known before, so the end of a reading is a fact and never a time-out.
package jetstream
