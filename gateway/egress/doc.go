// Package egress tells the world what happened: it tails the journal and publishes CloudEvents to the stream OY_EVENTS.
//
// It promises: every public event is published at least once; the events of one entity appear in the order of its versions;
// an event that is published again carries the same ce-id, made from the entity and its version. It asks nothing of the actors
// and holds nothing that cannot be made again from the journal, so it may stop, lag or restart at any time.
//
// Every partition that this node serves is a lane of its own. Lanes come and go with the partitions: Serve and Release change no
// other lane. A lane whose journal cannot be read is tried again alone. What all lanes share is the session: one connection.
//
// How order is kept while publishing without waiting: events go out in batches (fast-ingest batch publishing of NATS 2.14, ADR-50), each numbered from 1. The
// server stores a batch without a gap: what it refuses, or what does not arrive (a leader election, a full disk), ends the batch there, and nothing
// behind it is stored. It says now and then how far it has come instead of answering every event. A batch that nothing follows for 20 ms is ended, which tells
// of its last events, and the next begins when that is answered. So what a lane has put into the stream is always an unbroken piece of what it had to
// publish; whatever fails, the next session begins behind the last position whose events are all known to be stored, and may publish some once more.
// A session's connection never reconnects: what is lost with it is the end of what was sent.
// (Tried first: one reconnecting connection with the client's own retries. A retry overtakes nothing, but is overtaken. Then, for long: an answer for every
// event, repeats dropped by their message id, and everything behind a refused one published again under fresh ids. The answers took a tenth of a busy node's
// processor time, and the ids a quarter of what its collector looked through.)
//
// How a partition changes hands: the old node stops reading, waits a moment for what is under way and saves its cursor; the new
// one begins behind the cursor it finds, which may be the one before. Both may publish the same events for a moment, each an unbroken piece that begins at
// or before what the other has; so the first sighting of every event stands in order, whichever of them was quicker.
//
// The translation from journal to public events is a function of one commit, with no memory. So it gives the same events and
// ids whenever it runs, on whatever node.
package egress
