// Package clock gives the nodes of a cluster one time, though the clocks of their machines differ.
//
// Holds, brakes, calendars and the memory of command ids go by the time of the node that owns an entity. Entities move between nodes. By their
// machines' clocks, a hold that was granted for ten minutes by a node that is half a minute behind ends a minute early when its
// partition moves to one that is half a minute ahead. So no node goes by its machine: each asks others and NATS what time it is, every second,
// and takes the middle of all answers. As long as fewer than half of the clocks are wrong, the middle lies between two right ones.
//
// What is promised: two nodes that hear each other agree to within the way of a question (milliseconds, bounded by ReadingMax); time runs at no
// less than nine tenths and no more than eleven tenths of its speed, and jumps only when the middle has been more than StepAbove away for
// StepAfter, which takes half of the clocks. A wrong clock, one that jumps and one that drifts move nothing but their own vote.
//
// What is not promised: that the middle is right when half of the clocks are wrong in the same direction. Time is for what carries a date; who
// owns what, who lives and what is durable rests on each process's own running clock and on the journal.
//
// Between readings a node goes by its running clock, so one that hears nobody keeps the time it had. Of two middles (an even number of
// votes) the one nearer to the present time counts, so a vote that comes or goes moves nothing; a node that has no time yet takes the later
// one, because a hold that ends late harms less than one that ends early.
//
// It asks nobody by itself: whoever runs it brings the readings (cmd/orderyard/member_clock.go).
package clock
