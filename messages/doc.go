// Package messages holds the words of the house: commands, events, replies and states as protobuf, the references that name
// entities, the tasks they owe each other, the one error type, and every NATS subject.
//
// It imports nothing of Orderyard. Everything that is written to disk or to the wire is defined here; a message that has been
// written once is decoded for ever, so fields are added and never renumbered.
//
// Messages are immutable once handed over: inside one process a command travels as the caller's own pointer.
package messages

//go:generate go run github.com/bufbuild/buf/cmd/buf@v1.75.0 generate
