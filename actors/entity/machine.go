package entity

import "orderyard/messages"

// Machine is one entity's pure state machine behind the three functions of the house. It is driven from one goroutine at a time.
type Machine interface {
	// Decide reads the state and answers a command: events to remember and a reply. An error is a *messages.Failure.
	Decide(cmd messages.Command, now int64) ([]messages.Event, *messages.Reply, error)
	// Evolve writes one event into the state; it never fails.
	Evolve(e messages.Event, at int64)
	// Tasks appends what is owed, in a fixed order.
	Tasks(now int64, dst []messages.Task) []messages.Task
	// SetVersion tells the machine its version, for views.
	SetVersion(version uint64)
	// MarshalState gives the state's bytes, the same for the same state.
	MarshalState() []byte
	// Summary is what the node may know of the entity without asking it: a row of a list, an ATP. Nil when there is nothing yet.
	Summary() messages.Message
	// Waits names the SKUs whose arrival the entity waits for.
	Waits() []string
	// Topic is the word under which public events of this entity are published (the channel of an order).
	Topic() string
}

// Postponer is a machine that names a part of what it owes at a time. Postpone tells it that the answer to a task does not come, or was to ask again
// later: others that it owes shall have their turn. It says whether they have. What it makes of that is no part of its state.
type Postponer interface {
	Postpone(taskID string, now int64) bool
}

// Kind builds machines of one kind.
type Kind struct {
	New func(id string) Machine
	// Load makes a machine from the bytes of MarshalState. It may keep them: they do not change any more.
	Load       func(id string, state []byte) (Machine, error)
	NewSummary func() messages.Message
	// DedupForMs is how long answers are remembered; 0 = for the entity's whole life.
	DedupForMs int64
	// IdleAfterMs is after how long without a message one of this kind becomes bytes, where that is sooner than Limits.PassivateAfterMs; 0 = no sooner.
	IdleAfterMs int64
}

// Kinds is the registry of a node.
type Kinds map[messages.Kind]Kind

// Planner computes a plan on the spot from the node's view; it must not block.
type Planner func(req *messages.PlanRequest, now int64) *messages.AdoptPlan

// Observer is told what became durable. It is called from many goroutines and must not block.
type Observer interface {
	// Observe hands over an entity's present summary and what it waits for (nil = nothing).
	Observe(ref messages.Ref, summary messages.Message, waits []string)
}
