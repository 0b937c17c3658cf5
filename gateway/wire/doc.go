// Package wire is the public face of the house's words: every JSON document of the contract as a Go struct, with its
// conversion to and from messages. The doors decode requests and encode answers with it; the command line uses the very same
// structs the other way round.
//
// It promises strictness. A document is refused, with a *messages.Failure of code `invalid` that names the field as a path
// ("lines[2].quantity"), when it is too large, nests too deep, is not valid JSON or not valid UTF-8, names a field twice, holds
// a field nobody knows, or a value of the wrong type or size. Only an order and its lines keep unknown fields: they move under
// `attributes`. Numbers are whole 64-bit integers; nothing is rounded, truncated or guessed.
//
// It leaves meaning to the actors, but for what no actor is needed for: CheckOrder finds everything wrong with an order that
// can be seen in the order alone, all at once, so that garbage never wakes an actor.
//
// Answers are read leniently (Decode…Answer): a newer node may say more than an older client understands.
package wire
