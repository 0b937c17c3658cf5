// Package sim runs a whole cluster in one goroutine from one seed, in simulated time, and checks what clients were told and what is left.
//
// # What is real
//
// The state machines, entity.Core, Store, Batches, Outbox, ReadBack and the partition log with its fence, retries and unknown outcomes; routing by the
// built-in rules and by rules of operators, sweeps, the node's knowledge and the sharing of its news, also what a door asks for that does not know a SKU
// (actors.ShareBySteps); the keeper of membership with roster, lease, renewals, pings, steward and placement (cluster.Stepper); the translation of commits
// to public events and the window of what is published, with its batches (egress.Translation, Window). Code that waits runs as a coroutine: its pauses pass
// in simulated time, and others' steps fall between its own.
//
// # What stands in
//
// NATS: the journal with checkpoints and cursors (persistence/memory under persistence/faulty), the arbiter with its sessions and compare-and-set, each node's
// late view of it, the bus, the stream of public events. The links and the router between nodes, with loss, delay, repeats and retries. The
// protoactor shells of partition, entity and committer, which carry out what the real parts above decide. Clocks, processes and machines. In a third
// of the seeds limits are small: of a batch, of entities woken at a time, of notices told at a time.
//
// # What strikes
//
// See Faults. Nodes crash between any two steps, between an append and its answer too, and now and then all at once; they drain and leave, stand still and go
// on, and are cut off from each other or from NATS, one of them or all; messages are lost, late, doubled and overtaken; appends fail, come late or twice;
// they, checkpoints and cuts of the journal lose their acknowledgement; the disk is full, for the arbiter, too; wall clocks step by up to 30 s, and all
// clocks of a machine drift by up to 5 %; the stream of events refuses; sites refuse, in part, too; everybody wants one SKU; customers cancel.
//
// # Who asks
//
// Channels place orders, twice, under two ids, with another content; with prices, payments that do not fit, dates and splits. Carts hold, ask again for
// more, confirm, also too late and twice, ship and give back. Clerks receive, adjust and count, with safety stock and what cannot be sold; SKUs appear while
// faults strike, and are ordered at once. Operators suspend sites, put them offline, change capacities and rules. People at sites work step by step or leave
// steps out; those of some come only in the calm. Commands are repeated seconds after their final answer.
//
// # What is checked
//
// While it runs: every acknowledged command is in the journal, at no later version than it told; a read of a bucket, a site or an order is never older than
// what anybody was told before it began, nor newer than the journal; the same command id is told the same again; no answer is a bug of ours; no line of an
// order is with sites more often than it was ordered, by what the sites wrote; public events are never before their commit, and are what was committed;
// nobody takes over by an older claim than one that was made use of; a question is answered once; a decision made again from the same bytes at the same
// moment gives the same events.
//
// When the faults have ended everything must come to rest. Then the claims of buckets and the work of sites must be those that orders count on, and a day
// passes at once: holds and cool-offs end, what rules want cancelled is, nets under lost wake-ups and questions about old claims run. After that an order may
// wait only for what every site is kept out of, or for people who have let it go on three times. Then the history from its first record goes through package
// audit, live entities and what a new owner would read back are compared with it bit for bit, sites have shipped what orders say, every public event must be
// in the stream in the order of its entity's versions, and the nodes list every order once, with the row that the journal makes. A test demands that every
// type of event happens.
//
// # What is not simulated
//
// The doors' decoding and their intake, the links' batches, the feed of recent commits in memory, protoactor's mailboxes and what a panic of one entity does
// to the others, memberlist, the rule book's publication (nodes are handed the rules), the pricing of scarce stock, what checkpoints take while entities come
// and go (the shells do that: tests of actors/entity look at it), memories of answers that are too small or too old, a stream of public events that loses
// what it has acknowledged, damage to stored bytes, a registry that loses records (the model of stewards has that), and payments, which the product does not
// have. NATS is taken to forget a process that was cut off only after its lease has run out. Several appends of one partition never overlap, in production
// neither. Test suites over real processes look at all of these but the payments.
package sim
