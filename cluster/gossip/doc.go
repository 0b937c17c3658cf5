// Package gossip makes a process a member of the cluster as protoactor and memberlist see it: it opens the door for requests of other
// nodes (protoactor's remote, with TLS), finds the others by memberlist, and tells protoactor who is there.
//
// What it says is a hint. A node that gossip believes dead may live and the other way round; who owns what, and who lives, is decided in
// package cluster with NATS as the arbiter. The hint is worth having because it comes within a second or so, without anybody asking. What
// protoactor is told is both views together, because it ends the streams to whoever leaves: a node that gossip lost sight of and the arbiter did
// not keeps its streams.
//
// memberlist forgets members that were dead for half a minute. So everybody who is missing is called again and again: the seeds, who lives by the
// arbiter's word, and who was lost in the last hour.
//
// Of protoactor's cluster three plug points are used: our ClusterProvider (memberlist), our IdentityLookup (the partition's owner by the
// present cluster.Map), and the remote. Its own gossip is off, its placement, its request context, its topology consensus and its shutdown are not
// used: they place one identity twice, retry without pause, and wait for what cannot happen (docs/adr/0003 and 0008).
//
// It leaves to others what is said between nodes (cluster/link) and every decision.
package gossip
