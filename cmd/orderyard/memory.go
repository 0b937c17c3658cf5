package main

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	// gcPercent lets garbage grow to twice what lives before it is collected: at 2,000 orders/s the collector took a fifth of two
	// cores at Go's default of 100, and the entities of a busy node are few beside its memory.
	gcPercent = 200
	// memoryShare of the machine, or of the container, is where the collector begins to work harder instead of letting garbage grow.
	memoryShare = 0.25
)

// gcHeadroom bounds that garbage: a node with millions of idle entities would else need three times what it holds. What lives there is mostly
// bytes, which cost the collector nothing, so that it may run more often.
const gcHeadroom = 512 << 20

// tuneMemory sets the collector for a process that runs a node. GOGC and GOMEMLIMIT, when set, stand.
func tuneMemory() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
		tuneOnce.Do(followHeap)
	}
	if total := memoryOf(); os.Getenv("GOMEMLIMIT") == "" && total > 0 {
		debug.SetMemoryLimit(int64(total * memoryShare))
	}
}

var tuneOnce sync.Once

// followHeap keeps the percentage at what gcHeadroom allows, after each collection anew: an object that nobody holds tells of it.
func followHeap() {
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	set := gcPercent
	var again func(*[16]byte)
	again = func(*[16]byte) {
		metrics.Read(live)
		want := percentFor(live[0].Value.Uint64())
		if want*10 < set*9 || want*9 > set*10 { // setting it stops the world for a moment
			debug.SetGCPercent(want)
			set = want
		}
		runtime.SetFinalizer(new([16]byte), again)
	}
	runtime.SetFinalizer(new([16]byte), again)
}

// percentFor is the percentage for a heap of that size.
func percentFor(live uint64) int {
	const least = 10
	if live <= gcHeadroom*100/gcPercent {
		return gcPercent
	}
	return max(int(gcHeadroom*100/live), least)
}

// auditGCPercent is for a process that only replays: most of what it allocates is garbage at once.
const auditGCPercent = 300

// tuneAuditMemory sets the collector for one. GOGC and GOMEMLIMIT, when set, stand.
func tuneAuditMemory() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(auditGCPercent)
	}
	if total := memoryOf(); os.Getenv("GOMEMLIMIT") == "" && total > 0 {
		debug.SetMemoryLimit(int64(total * memoryShare))
	}
}

// memoryOf is what this process may use: the machine's memory, or its container's where that is less. 0 = unknown.
func memoryOf() float64 {
	total := 0.0
	var info syscall.Sysinfo_t
	if syscall.Sysinfo(&info) == nil {
		total = float64(info.Totalram) * float64(info.Unit)
	}
	for _, file := range []string{"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"} {
		text, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		// "max" is no number, and the old kind says so with one that is larger than any machine
		if limit, err := strconv.ParseFloat(strings.TrimSpace(string(text)), 64); err == nil && limit > 0 && (total == 0 || limit < total) {
			total = limit
		}
	}
	return total
}

// cpuUsed is the processor time of this process so far.
func cpuUsed() time.Duration {
	var usage syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &usage) != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// peakRSS is the most memory this process ever had, in bytes. What getrusage says begins with what the parent had when it started this process, so
// the kernel is asked first.
func peakRSS() int64 {
	if peak := statusBytes("VmHWM"); peak > 0 {
		return peak
	}
	var usage syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &usage) != nil {
		return 0
	}
	if runtime.GOOS == "darwin" {
		return usage.Maxrss
	}
	return usage.Maxrss << 10
}
