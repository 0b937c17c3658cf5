// Package child runs another program beside this one: a node, a PostgreSQL, a Redis that a benchmark measures.
//
// It promises that no child outlives this process, however that ends, and that a child is ended by its own process id. What the child says
// is kept, bounded, so that an error can tell it.
//
// It leaves to its callers what is started and when it counts as ready.
package child
