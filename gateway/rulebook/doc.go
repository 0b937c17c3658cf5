// Package rulebook keeps the operators' rule sets: every published version for ever, which one is in force, and how that changed. It is
// the node's way to the version in force, and the operators' door to publish, look and roll back.
//
// # Layout
//
// One key-value bucket, OY_RULES, with as many replicas as the journal:
//
//	v.<number>  one version, whole: text, tests, hash, who, when, why. Written once, never changed
//	active      the activation in force; the values before it are the history
//
// Draft, active and archived are derived: a version that never was in force, the one that is, one that was. A rollback is a further
// activation of an older version, so history only grows.
//
// # What it promises
//
//   - Nothing is published that does not compile here, or whose tests fail. The door checks, whoever asks.
//   - Two who publish at once cannot lose one: numbers and activations are written only onto what their writer has seen. The later one
//     gets a `conflict` that names the earlier one.
//   - A write without an answer is never guessed at: what is stored is read, and then judged.
//   - Publishing again what is in force changes nothing and says so, so asking again after a time-out is safe.
//   - A node is told of a change at once and looks by itself as well, so a lost word costs seconds, not a version. What it cannot compile is
//     refused whole: it goes on with what it has, logs it, counts it and says so when it is asked.
//
// # What it leaves to others
//
// The language (routing/ruleset), what routing does with a compiled set (routing), and asking the other nodes what they route by: the door
// is handed a function for that. It neither opens nor closes the connection.
package rulebook
