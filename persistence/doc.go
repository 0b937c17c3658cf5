// Package persistence remembers: what a partition decided, in which order, and that nobody else decided at the same time.
//
// # What it promises
//
//   - An append that returned is durable, as durable as the store behind it (jetstream: synced to disk when the server says
//     sync: always).
//   - At most one Log of a partition can append successfully after another one took over. This holds with paused processes, late
//     packets, lost answers and wrong clocks.
//   - What is read back is what was written, whole and in order, or it is refused with the position (CorruptError). Nothing is
//     ever skipped in silence.
//
// # What it leaves to others
//
// What a payload means (actors/entity), who ought to own a partition (cluster), when to checkpoint and how far to truncate
// (actors/entity). It starts no goroutines; a Log belongs to one goroutine, or to the simulator.
//
// # Outline
//
//	Journal    appends records to a partition under an expectation, reads them back: jetstream, memory; faulty decorates either
//	Snapshots  checkpoints: a partition's entities up to a journal position, in bounded slices
//	Values     small named values with revisions: cursors, settings of the store
//	Log        the one writer of a partition: fence, takeover, chain, unknown outcomes
//	Chain      the integrity check alone, for those who only read
//
// # The fence
//
// Every append names the position of the record it follows (expect), and the store refuses it unless that is the partition's last
// record at the moment of storing. So the records of a partition form one line, each written by someone who had seen the whole
// line before it. A new owner appends a Takeover record to that line before it serves. From then on the former owner's
// expectation is wrong for ever: whatever it still sends, now or from a buffer an hour later, is refused, because the line has
// grown past the position it names. It needs no lease and no clock, and a wrong opinion about membership costs time, not truth.
//
// Why a conflict alone says nothing: the answer to an append can be lost. The writer asks again, and the store, which has the
// first copy already, refuses the second as a conflict with the writer's own record. JetStream with one replica answers 10071
// in this case even when the message id repeats; with three replicas it may answer 10164 while the first copy is still under
// way. So whatever the answer was, a Log that did not get its position reads the last record and judges by content:
//
//	my record          it was stored: success
//	the one I expected it was not stored, or not yet: publish the identical record again. Whichever copy arrives first moves the
//	                   line, and the expectation refuses the other
//	anything else      another owner has written: fenced, for good. Even if my record lies below, its outcome is the new
//	                   owner's to tell: it has replayed it
//	an older record    the store lost what it had acknowledged, or a deposed leader answered: ask a few times, then ErrCorrupt
//
// "My record" is safe to judge by bytes: a record holds the hash of its whole past, its epoch belongs to one Takeover, and a Takeover
// holds a nonce of its Log. Two writers cannot write the same bytes.
//
// # Integrity
//
// A record holds its number, its epoch, the SHA-256 of the record before it and a CRC over itself. A flipped bit, a missing, swapped or
// foreign record breaks the chain at a position that can be named. A shortened tail is the one damage a chain cannot see; JetStream
// serves a file with a flipped byte exactly so, shortened and without a word. Hence the marks kept elsewhere: the checkpoint's
// position and LogOptions.HighWater (the highest of what every node writes ten times a second, the event feed's cursor, and where a partition was released). A journal that ends below one of them is refused.
//
// # The idea that failed
//
// Trusting the duplicate window (Nats-Msg-Id) to resolve lost answers: it is forgotten after minutes, one replica ignores it for
// appends with an expectation, and an answer "duplicate" says nothing about what follows. The id is still sent as a help to the
// operator who looks at the stream; no decision rests on it.
package persistence
