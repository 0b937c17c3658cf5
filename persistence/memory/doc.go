// Package memory is a Store without a disk: the same answers as JetStream's, in the same order every time. Tests, the simulator and
// benchmarks of what lies above use it.
//
// What a call has returned is "durable": a crash of the caller loses nothing, because there is nothing between the call and the
// store. It starts no goroutines and reads no clock. A Store may be used concurrently; Clone gives an independent copy, cheap
// enough to take before every fault.
package memory
