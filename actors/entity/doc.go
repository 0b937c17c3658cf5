// Package entity runs pure state machines as virtual actors.
//
// # What it promises
//
// Nothing leaves before it is durable: no reply, no task, no summary is released before the journal holds every event it depends on.
// A command that carries an id is decided once; repeats get the first answer. What an entity owes the world is a function of its
// state (Machine.Tasks), so a crash at any point is healed by replaying the state and asking again.
//
// # What it leaves to others
//
// What a command means (actors/order, actors/inventory, actors/site), where a partition lives (cluster), how bytes become durable
// (persistence), how the outside speaks (gateway).
//
// # Outline
//
//	Core       one entity without goroutines: Step decides a command against tentative state and yields an Output; whoever
//	           drives it makes the Output's entry durable and only then releases the rest. The simulator drives it too.
//	Store      the partition's idle entities as bytes, with their wake-ups; rebuilt by Recover from checkpoint and journal.
//	Batches, Outbox, ReadBack
//	           which entries share an append, what may not leave before it is durable, how a partition is read back beside its owner:
//	           the rules of the three shells below, without goroutines. The simulator drives these, too.
//	committer  one goroutine per partition: all entries that arrive while an append is in flight share the next one.
//	actor      the thin protoactor shell around a Core.
//	partition  the protoactor actor through which every message to its entities goes: it spawns, parks, retires, wakes.
//
// # The rule that keeps it simple
//
// Commands are decided against tentative state while a commit is in flight; their outputs queue behind it, first in, first out.
// A commit that fails is never rolled back in memory: the partition drops every live entity, answers what was waiting with the
// retryable `moved`, and rebuilds from the journal. An earlier sketch kept two states per entity and rolled back; it had twice the
// code and the rollback path was the one nobody exercised.
package entity
