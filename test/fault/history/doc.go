// Package history writes down what clients of a bucket saw, operation by operation with its beginning and end, and asks porcupine whether
// one bucket that does one thing at a time could have answered so (linearizability).
//
// The model is three numbers: on hand, reserved, allocated. It needs no more, because every reservation has an id of its own that only its
// client uses, one command after the other; and it sees enough, because every answer tells the units available at its moment: a lost
// reservation, one that was made twice, a hold given back twice, an answer from a state that never became durable, an answer of a
// process that no longer owns the bucket all leave an answer whose number cannot be.
//
// A command that a client repeated under its id until it was answered is one operation, from the first attempt to the answer. One that
// the client gave up stays open: it may take effect at any later moment, or never. A check that runs out of time says Unknown, and
// the suite counts that as a failure.
package history
