// Package fault breaks a real cluster and checks what clients saw of it: processes killed and paused, wires cut, NATS gone, orders that come
// three times, nodes that come and go. Its tests want the build tag fault, Linux, and a machine that has nothing else to do.
//
// # Running it
//
//	go test -tags fault -short -timeout 20m ./test/fault/            the short run: F0 none F1 F3 F3h F3l F3- F8 F10 F11 F12 F14 F14n F15 F18 F19 F20, within 12 minutes
//	go test -tags fault -timeout 90m ./test/fault/                   everything, about an hour with the soak and F14's ten minutes
//	go test -tags fault -run 'F03|NoFence' -v ./test/fault/          some rows
//	go test -tags fault ./test/fault/ -args -report DIR              faults.json, faults.md and pictures of impossible histories
//
// FAULT_SUITE_SOAK=1h changes how long the soak lasts; FAULT_SUITE_BINARY=PATH takes a program that is already built. F4, F5 and F7 cut
// wires between network namespaces: they need root and the command ip, else they say so and are skipped. F11 mounts small disks in memory, as
// root, or is skipped. The others need neither. At
// the end a table shows each row with its verdict and main figure; BUSY is the load average when the row began, and figures of time from a
// machine that others used are worth little. A failed row keeps its folder with all logs and stores, and says where it is.
//
// # What runs
//
// Package world starts one or three NATS servers (the test binary, started again) and the nodes (the real binary) as processes on fixed
// addresses. In every row the same are at work: load (orders in a closed loop: Zipf SKUs with one hot SKU, duplicates, cancellations,
// rejections by sites), history (clients that reserve, confirm, cancel and read a few hot buckets, every answer written down), probe (a
// writer per partition, so that the longest silence of each is known). Package flood makes more requests than can be answered, in F19 and F20.
//
// # What is checked after every fault
//
//   - no client saw an error that it may not repeat, and none of them lost a request that it repeated (load, client.Tally);
//   - what the hot buckets' clients saw can be the story of one bucket that does one thing at a time (history, porcupine; not to know
//     counts as failure);
//   - every acknowledged order is there under its id, nothing moves any more, buckets and orders agree about every unit, seen through
//     the doors alone (load.Audit), and no writer's unit is lost or made up (probe.Audit);
//   - `orderyard verify` finds every invariant kept over the journal;
//   - the raw records of each partition form one line: no write of a former owner stands in it (journal);
//   - no process panicked.
//
// # Rows
//
//	F0    dev, kill -9               the suite itself, on a single process
//	none  three nodes, no fault      the comparison: no attempt fails
//	F1    kill -9 of a node, 20 ×    moved partitions commit again, p99 ≤ 1 s
//	F2    kill -9 of everything      ready ≤ 10 s with a million open holds, all of them counted
//	F3    SIGSTOP 1, 5, 15 s         a woken node writes nothing; the counter of fenced appends has seen it try
//	F3h   the same where it is hot   48 clients at four buckets whose owners are paused in turn
//	F3-   the same without the fence the check of the journal fails: a checker that cannot fail is a defect
//	F4    cut from peers             NATS carries the requests: ≥ 95 % answered, one owner each
//	F5    cut from NATS              silent ≤ 4 s, partitions elsewhere ≤ 8 s
//	F7    gossip split for 90 s      views merge ≤ 15 s after the heal, by themselves
//	F8    NATS killed, restarted     commits everywhere ≤ 2 s after it listens, however long it was away
//	F9    three NATS servers         leader killed, paused: stall ≤ 10 s; no quorum: no ack, `unavailable`, memory bounded
//	F10   damage to the journal      refused with its position, the rest served; nothing older than half a second cut off unseen
//	F10r  one damaged of three       nothing served wrong, not even from the damaged one as the leader; healed by an empty store
//	F11   the NATS server's disk     no ack while it is full; commits everywhere ≤ 5 s after there is room and NATS was restarted
//	F11d  the disk of dev            the same, without anybody's help
//	F12   clocks ± 30 s, drift       no hold ends early, nobody is blocked, while partitions move between the clocks
//	F12-  the same by the machines   the check of holds fails
//	F14   everything three times     100,000 orders, none doubled, across a kill and a pause, also ten minutes late
//	F14n  a declined command again   the first answer again
//	F15   garbage at every door      answered `invalid` or a dead letter; ≥ 95 % of good traffic; as large as before
//	F16   a poison order             at most three tries, then quarantined; neighbors notice nothing
//	F18   1 → 3 → 5 → 2 nodes        no attempt fails, p99 + ≤ 250 ms, partitions even to one
//	F18r  rolling restart            the same
//	F19   ten times overload         ≥ 90 % of the peak, refusals p99 ≤ 10 ms, memory ≤ 1.5 ×; a small channel passes
//	F20   flash sale, three kills    all sold, none too many, nobody wins who came after the first was told no
//	soak  ten minutes of all that    goroutines, files and memory of a node that is never killed do not grow
//
// # Builds that exist for this suite only
//
// F3- builds with the tag nofence (persistence/fence_off.go): appends carry no expectation and a log never stops for another owner.
// F12 needs machines whose clocks are wrong: the one place where a member looks at its machine's clock is patched in the same way.
// F16 needs a handler that panics: the state machine of orders is patched on its way to the compiler (go build -overlay), so that the
// source has no such seam; when Decide is no longer where the patch looks for it, the row says so.
package fault
