// Package bus is how the nodes of a cluster talk beside the links of their actors: core NATS, nothing stored.
//
// It promises that what is heard was said, in the order one sender said it, and nothing more: a message may be lost when a connection breaks
// or a listener is slow, so whoever needs completeness numbers its messages and asks again. An ask is different: its answer comes whole and
// in order, or ends with an error. Asks are paced by whoever asks, so an answer may be far larger than what either side could hold.
//
// A node is named by its incarnation, which is fresh per process start: what was meant for a process never reaches its successor.
//
// It leaves to others who lives (cluster), what the messages say, and the connection, which it neither opens nor closes.
package bus
