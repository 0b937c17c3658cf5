// Package admission decides which requests a node's doors let in, by what it measures: how long let-in commands take until they are
// durable, how many are under way, and how fast they come out. It is arithmetic on numbers that it is given: no clock, no
// goroutine, no lock; one caller at a time.
//
// # The limit
//
// The limit is on what is under way, not on a rate, after Netflix's concurrency-limits (E. Landau, W. Thurston, T. Bozarth,
// "Performance Under Load", 2018; class Gradient2Limit): at each round
//
//	limit = min(limit, under way) × clamp(target / latency, ½, 1) + √limit
//
// so a queue that grows shrinks the limit in proportion, and √limit is the queue that is always allowed, which is what feels for more
// room. Three things are otherwise than there, for a reason each:
//
//   - The latency is held against a set target instead of its own long-term average. Commands share commits: here latency rises
//     with load by design, long before anything is wrong, and an average would take the batch for congestion and undo it. It is the
//     median of a window, so that the partitions which move or wait for a dead node do not shrink the limit of all others. The target
//     is at least ten times what a command takes with nobody before it: with less, a slow house would stand idle between its
//     commits. That time is the lowest median, looked for anew every twenty seconds while the limit is down, as BBR does it.
//   - A queue that drains by itself is left alone, as CoDel has it (K. Nichols, V. Jacobson, RFC 8289): the limit comes down only
//     when the median has been above the target for a whole interval. A crowd of ten thousand in one moment is let in and served
//     in its order; a flood is not.
//   - During that interval the queue is bounded by what can be served in a set time, the surge, at the highest rate seen lately under
//     load: the bottleneck rate times a delay, BBR's too (N. Cardwell and others, "BBR: Congestion-Based Congestion Control",
//     ACM Queue 2016). When the interval is over the limit goes to that rate times the target in one step (Little's law).
//
// One change is judged by requests that came in after it, as TCP reduces once per round trip (RFC 6582): else the queue that is
// still draining would shrink the limit again and again.
//
// Silence is no measurement: after a second in which nobody came and nobody left, what was measured before it is thrown away, and the limit of an
// empty house goes up as if its short queue had been seen. Nor do so few as may always be under way make a queue: when they take long, the house does.
//
// # The shares
//
// Past the limit, room is shared by max-min fairness (progressive filling: D. Bertsekas, R. Gallager, "Data Networks", §6.5): every
// party gets what it asks for up to one level, and the level is as high as the limit allows. A party is a channel, or a
// door where callers have no name. Whoever asks for less than the level is not
// refused, nor who asks for no more than an even part of what comes out; whoever floods meets the level. So many parties
// are told apart; the others share one. Work that is already inside the house enters without being asked and counts as under way:
// what it takes, new work does not get, down to a quarter.
//
// # When to come back
//
// A refusal says when: the time in which what is under way drains at the measured rate, as often as the party asks for more than it
// gets, give or take half by chance, so that those who were refused together do not come back together.
//
// What it leaves to others: who may not be refused, bounds in bytes, the lock, the clock.
package admission
