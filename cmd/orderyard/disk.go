package main

import (
	"syscall"

	"orderyard/gateway/ingress"
)

// Shares of the free disk that the gateway's streams may reserve at most. The server refuses reservations above three quarters of what
// is free, and the journal, which has no bound of its own, must find room beside them.
const (
	intakeShare = 16
	eventsShare = 8
	deadShare   = 64
	streamMin   = 8 << 20
)

// streams says how the gateway's streams are made: on this machine's disk to fit it, on a server of its own with the usual sizes.
func (y *yard) streams() ingress.StreamOptions {
	if y.server == nil {
		return ingress.StreamOptions{Replicas: y.cfg.NATS.Replicas, KeepExisting: true}
	}
	return streamSizes(y.cfg.Node.Data)
}

// streamSizes fits the default sizes of the streams to the disk under dir; a large disk gets the defaults.
func streamSizes(dir string) ingress.StreamOptions {
	var disk syscall.Statfs_t
	if err := syscall.Statfs(dir, &disk); err != nil {
		return ingress.StreamOptions{}
	}
	free := int64(disk.Bavail) * disk.Bsize
	fit := func(share, most int64) int64 { return max(min(free/share, most), streamMin) }
	return ingress.StreamOptions{
		IntakeBytes: fit(intakeShare, 1<<30), EventsBytes: fit(eventsShare, 2<<30), DeadBytes: fit(deadShare, 256<<20),
	}
}
