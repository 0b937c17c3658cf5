// Package sim runs a whole cluster in one goroutine from one seed, in simulated time, and checks what clients were told and what is left.
//
// # What is real
//
// The state machines, entity.Core, Store, Batches, Outbox, ReadBack and the partition log with its fence, retries and unknown outcomes; routing,
// sweeps, the node's knowledge and the sharing of its news (actors.ShareBySteps); the keeper of membership with roster, lease, renewals, pings, steward and
// placement (cluster.Stepper); the translation of commits to public events and the window of what is published, with its batches
// (egress.Translation, Window). Code that waits runs as a coroutine: its pauses pass in simulated time, and others' steps fall between its own.
//
// # What stands in
//
// NATS: the journal with checkpoints and cursors (persistence/memory under persistence/faulty), the arbiter with its sessions and compare-and-set, each node's
// late view of it, the bus, the stream of public events. The links and the router between nodes, with loss, delay, repeats and retries. The
// protoactor shells of partition, entity and committer, which carry out what the real parts above decide. Clocks, processes and machines.
//
// # What strikes
//
// See Faults. Nodes crash between any two steps, between an append and its answer too, drain and leave, stand still and go on, and are cut off from NATS or
// from each other; messages are lost, late, doubled and overtaken; appends fail, come late or twice, or lose their acknowledgement; the disk is full;
// wall clocks step by up to 30 s and drift; the stream of events refuses; sites refuse; everybody wants one SKU; customers cancel.
//
// # What is checked
//
// While it runs: an acknowledged command is in the journal; a read is never older than what anybody was told before it began, nor newer than the journal; public
// events are never before their commit; nobody takes over by an older claim than one that was made use of; a question is answered once; a decision made
// again from the same bytes at the same moment gives the same events. When the faults have ended everything must come to rest. Then the history from its first
// record goes through package audit, live entities and what a new owner would read back are compared with it bit for bit, every public event must
// be in the stream in the order of its entity's versions, and the nodes list every order that was placed.
//
// # What is not simulated
//
// The doors' decoding and their intake, the links' batches, the feed of recent commits in memory, protoactor's mailboxes, memberlist, the rule
// book's distribution, the pricing of scarce stock, what checkpoints take while entities come and go (the shells do that: tests of actors/entity look at it),
// a stream of public events that loses what it has acknowledged, damage to stored bytes, a registry that loses records (the model of stewards has that), and payments, which
// the product does not have. NATS is taken to forget a process that was cut off only after its lease has run out. Several appends of one partition never
// overlap, in production neither. Test suites over real processes look at all of these but the payments.
package sim
