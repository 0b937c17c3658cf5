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
	// memoryShare of the machine, or of the container, is where the collector begins to work harder instead of letting garbage grow.
	memoryShare = 0.25
	// What a collection costs depends on what lives, not on the garbage. So garbage may pile up for collectEvery, however fast it is made: a node that
	// does little stays small, and three on one machine take no more than one that does it all.
	collectEvery = 8 * time.Second
	garbageMin   = 64 << 20
	// As long as the heap stays below heapShare of the machine; a larger one may have garbageMax, and garbageShare of the machine at most.
	heapShare    = 1.0 / 8
	garbageMax   = 1 << 30
	garbageShare = 1.0 / 16
	// A node that came to rest after a rush gives memory back when so much of it is not needed, or half of what lives where that is more, at most once in
	// giveBackEvery: the collector would keep it for two minutes, and most of it for ever.
	slackMax      = 2 * garbageMin
	giveBackEvery = 30 * time.Second
	// Between these, in percent of what lives: a large store is still collected before it doubles, a small one not without end.
	gcPercentMin, gcPercentMax = 25, 400
)

var tuned sync.Once

// tuneMemory sets the collector for a process that runs a node, and keeps it set as the store grows. GOGC and GOMEMLIMIT, when set, stand.
func tuneMemory() {
	tuned.Do(func() {
		total := memoryOf()
		if os.Getenv("GOMEMLIMIT") == "" && total > 0 {
			debug.SetMemoryLimit(int64(total * memoryShare))
		}
		if os.Getenv("GOGC") == "" {
			go keepTuned(total)
		}
	})
}

// keepTuned sets the collector's percentage so that the garbage fits that is to, for as long as the process lives.
func keepTuned(total float64) {
	heap := []metrics.Sample{
		{Name: "/gc/heap/live:bytes"}, {Name: "/gc/heap/allocs:bytes"},
		{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/heap/free:bytes"}, {Name: "/memory/classes/heap/unused:bytes"},
	}
	set, rate, before, gaveBack := 0, 0.0, uint64(0), time.Now()
	for ; ; time.Sleep(time.Second) {
		metrics.Read(heap)
		live, made := float64(heap[0].Value.Uint64()), heap[1].Value.Uint64()
		slack := float64(heap[2].Value.Uint64()+heap[3].Value.Uint64()+heap[4].Value.Uint64()) - live
		if rate*collectEvery.Seconds() < slackMax && slack > max(slackMax, live/2) && time.Since(gaveBack) > giveBackEvery {
			debug.FreeOSMemory()
			gaveBack = time.Now()
		}
		rate += (float64(made-before) - rate) / 4
		before = made
		percent := gcPercentFor(garbageFor(rate, live, total), live)
		if percent*5 < set*4 || percent*4 > set*5 { // each change stops the world for a moment
			debug.SetGCPercent(percent)
			set = percent
		}
	}
}

// garbageFor is how much garbage may lie beside what lives, at so many bytes allocated per second on a machine with so much memory (0 = unknown).
func garbageFor(rate, live, total float64) float64 {
	most := float64(garbageMax)
	if total > 0 {
		most = max(min(most, total*garbageShare), total*heapShare-live)
	}
	return min(max(rate*collectEvery.Seconds(), garbageMin), most)
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

func gcPercentFor(garbage, live float64) int {
	return int(min(max(100*garbage/max(live, 1), gcPercentMin), gcPercentMax))
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
