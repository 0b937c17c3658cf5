// Package embedded runs a NATS server with JetStream inside the process: one binary, one data directory, nothing to install.
//
// It promises that one directory has one server: a second process is refused with a sentence that says who holds it. The lock belongs to the
// operating system and ends with the process, so that a kill -9 leaves nothing to clean up. A port that is taken is
// told before anything is touched.
//
// It leaves clusters of servers to a NATS installation of their own.
package embedded
