// Package faulty wraps a Store and makes it behave as badly as a network lets it: errors before the store was reached, lost
// acknowledgements, packets that arrive late, packets that arrive twice, reads that fail.
//
// It starts no goroutines and reads no clock. Which fault strikes which call is decided by a Script: a list (Sequence), a seed
// (Seeded) or a function of one's own. A late append waits in the wrapper until reads have passed it or Deliver is called, so that the
// simulator can place it between any two steps. Without a script it changes nothing: it passes journaltest.
//
// It never invents a store that loses what it acknowledged: that is damage, and memory.Store.Replace does it.
package faulty
