// Package gossip finds nodes from one address and notices deaths without traffic, by memberlist, and feeds protoactor's cluster with what
// it sees. It also holds the process's actor system and its remote, the direct way between nodes.
//
// Its view steers nothing. Who lives is decided by the arbiter (package cluster); what gossip hears of deaths is a hint. memberlist forgets
// members that were dead for half a minute, so whoever was cut off for longer would never be found again: seeds and everybody the arbiter
// or gossip ever knew to live are joined anew, again and again, while they are missing.
//
// protoactor blocks a member for good once it has left the topology, also one that was merely out of sight. So nobody leaves the topology whom the arbiter
// still counts among the living.
package gossip
