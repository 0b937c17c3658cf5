// Package sim runs a whole yard in one goroutine from one seed: the real state machines, entity.Core, entity.Store, recovery, the real
// partition log with its fencing and unknown outcomes, routing and the node's knowledge, over a simulated network, journal and clock.
//
// One seed gives one history. It crashes owners between any two steps, loses acknowledgements of appends that were stored, delivers
// messages twice, late or not at all, pauses an owner while another takes its partition over, turns entities into bytes, writes
// checkpoints and truncates. Meanwhile channels place, repeat, hold and cancel orders, carts reserve, stock arrives and is recounted,
// sweeps move what waits, and sites refuse and ship. When the faults stop, everything must come to rest: then the whole history is audited.
//
// Not simulated yet: several nodes with membership and ownership, the doors, the egress. The protoactor shells (actors/entity actor,
// partition, committer) are replaced by the scheduler here; they are tested with real processes instead.
package sim
