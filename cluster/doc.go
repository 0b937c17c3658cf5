// Package cluster places entities: today on the partitions of one node.
//
// Every entity hashes onto one of a fixed number of partitions; the number is chosen when the store is created and never changes,
// because the hash decides in which log an entity's history lies. Membership, ownership and movement of partitions between
// nodes are to live here as well.
package cluster
