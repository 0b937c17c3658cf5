package main

import (
	"os"
	"runtime/debug"
	"syscall"
)

const (
	// gcPercent lets garbage grow to twice what lives before it is collected: at 2,000 orders/s the collector took a fifth of two
	// cores at Go's default of 100, and the entities of a busy node are few beside its memory.
	gcPercent = 200
	// memoryShare of the machine is where the collector begins to work harder instead of letting garbage grow.
	memoryShare = 0.25
)

// tuneMemory sets the collector for a process that runs a node. GOGC and GOMEMLIMIT, when set, stand.
func tuneMemory() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	var info syscall.Sysinfo_t
	if os.Getenv("GOMEMLIMIT") == "" && syscall.Sysinfo(&info) == nil {
		total := float64(info.Totalram) * float64(info.Unit)
		debug.SetMemoryLimit(int64(total * memoryShare))
	}
}
