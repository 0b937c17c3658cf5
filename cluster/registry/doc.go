// Package registry keeps sessions and ownership records in two JetStream key-value buckets and knows at any moment what is in them.
//
// It is the cluster's arbiter: a session lapses when its process does not reach NATS any more, and of two that want a partition one wins the
// compare-and-set. It promises that every change is known to every connected registry, and soon:
//
//   - a change made through a registry is announced over core NATS and heard in about a millisecond, also when the server that fed a
//     watch has died;
//   - a watch on each bucket hears what nobody announces: renewals, and sessions that lapse;
//   - every few seconds, and after each reconnection, the last sequence is asked of the buckets' leaders. Whoever is behind reads
//     everything afresh from there, and starts the watch again.
//
// The three may bring the same news in any order: of one key the higher revision counts. Announcements are never trusted to be complete; only
// what the watch delivers in order, and what the leader lists, says how far one has seen.
//
// It leaves to others what the records mean: who lives and who may claim is decided in package cluster.
package registry
