// Package egress tells the world what happened: it tails the journal and publishes CloudEvents to the stream OY_EVENTS.
//
// It promises: every public event is published at least once; the events of one entity appear in the order of its versions;
// an event that is published again carries the same ce-id, made from the entity and its version. It asks nothing of the actors
// and holds nothing that cannot be made again from the journal, so it may stop, lag or restart at any time.
//
// Every partition that this node serves is a lane of its own. Lanes come and go with the partitions: Serve and Release change no
// other lane. A lane whose journal cannot be read is tried again alone. What all lanes share is the session: one connection.
//
// How order is kept while publishing without waiting: a session's connection never reconnects. What is lost on a
// connection is then always the end of what was sent, never its middle. When the connection ends, a new session begins behind
// the last position whose events were all acknowledged; the server drops what it already has by Nats-Msg-Id. When the *server*
// refuses a message (a leader election, a full disk), later ones may already be stored in front of it. Those are then published
// again under a fresh Nats-Msg-Id, so that a reader sees the right order after the wrong one, and knows the repeats by ce-id.
// Nobody need have heard of the refusal: the stream says where an event lies, and when that is behind a later one, the same is done.
// (Tried first: one reconnecting connection with the client's own retries. A retry overtakes nothing, but is overtaken.)
//
// How a partition changes hands: the old node stops reading, waits a moment for what is under way and saves its cursor; the new
// one begins behind the cursor it finds, which may be the one before. Both may publish the same events for a moment. Both do it
// in the journal's order and under the same Nats-Msg-Id, so the first sighting of every event stands in order, whichever of
// them was quicker. That the server had just refused a message of the old node is not handed over; the new one finds it out
// by the answers to what it publishes, for the cursor says where in the stream the events before it have come to lie.
//
// The translation from journal to public events is a function of one commit, with no memory. So it gives the same events and
// ids whenever it runs, on whatever node.
package egress
