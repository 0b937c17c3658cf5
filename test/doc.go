// Package test drives whole Orderyard processes through their public doors.
//
// Each test builds nothing of its own inside: it starts the real binary (`orderyard dev` on a folder of its own), speaks NATS with the
// documents of the contract, kills the process with -9 where it hurts, starts it again on the same folder, and compares what was
// acknowledged with what is there. What a single package promises is tested in that package; here are the promises that only the whole
// can keep: first come first served, nothing sold twice, nothing acknowledged lost, every unfinished order goes on by itself.
//
// Waiting is always for a condition with a deadline. Every child is ended by its own process id, also when a test fails; then the tail
// of its error stream is shown.
package test
