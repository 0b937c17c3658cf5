// Package cluster decides where entities live: on which of a fixed number of partitions, and which of the nodes owns a partition.
//
// Every entity hashes onto a partition (partition.go); the number is chosen when the store is created and never changes, because the hash
// decides in which log an entity's history lies. A node is one process, under an incarnation that is new each time it starts. Each partition
// has one record in the arbiter, package registry, which only a compare-and-set changes: owned, moving to a next owner, or
// released.
//
// Four ideas, one per file:
//
//   - placement.go: who should own what. A pure function, balanced, with few moves.
//   - roster.go: who lives. A session that is renewed; pings that prove a death.
//   - steward.go: what this node should do now, given records, members and the host's phases. Pure, too.
//   - keeper.go, step.go: the one goroutine that holds them together, renews the session and has things done.
//
// What is promised: a partition has at most one owner by the records; a node opens nothing that its newest record does not give it; whatever
// joins, dies, pauses or drains, once nothing changes any more every partition is served, in balance, after no more moves than
// needed. A move costs no gap but the moment between the old owner's last commit and the new one's takeover, because the new one
// has read everything back before the old one stops.
//
// What is not promised: that two processes never believe at once that they own a partition. One that stood still, or was cut off, believes it until
// it learns better. The journal's fence makes its writes fail, and the Lease stops its reads, with one reservation: a process is taken for dead at
// once when NATS knows nobody of its name, and one whose connection NATS has given up without its noticing still holds its lease
// for the rest of it. So safety rests on the fence alone; membership is there to be quick.
//
// It leaves the running of partitions to a Host (actors/entity), the arbiter to package registry, words between nodes to bus, batches of
// requests to link, and the protoactor cluster with its failure hints to gossip.
package cluster
