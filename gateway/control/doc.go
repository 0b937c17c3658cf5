// Package control is the operators' door of the cluster over NATS: who is there, who owns which partition, and "give yours away".
//
// Every node opens it. Status and partitions are answered by any of them from its own picture, which may be milliseconds old; a drain
// is passed on to the node it names. It changes nothing but that.
package control
