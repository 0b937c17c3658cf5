// Package actors wires the pure state machines into a node: it tells actors/entity how to build orders, buckets and sites, keeps what
// the node knows without asking (availability, sites, a row per order, who waits for what), and answers routing's questions from it.
//
// Everything kept here is derived from what became durable and is rebuilt at start. It may be milliseconds stale: routing trusts it,
// only the bucket decides. Stock and sites are known on every node, for nodes tell each other (Sharing); rows of orders and who waits
// are known where the order's partition is served, and a list asks everybody (Listing).
package actors
