package entity

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"orderyard/messages"
	"orderyard/persistence"
)

// checkpoint writes the partition's entities beside the running work. It is fuzzy: it starts from a durable position and takes every
// entity's state at or after it, a few at a time; recovery replays from that position and passes over what a state already holds,
// because an entity's versions have no gaps. So nothing stops while millions of entities are written.
//
// What is written is one stream of frames (frames.go). The entities' goroutines fill it, the store's goroutine drains it, the mutex stands between.
type checkpoint struct {
	base   persistence.Manifest
	bytes  int64
	refs   []messages.Ref // still to capture; the partition actor's alone, like frames
	frames frameWriter
	fresh  int  // of refs, those that were not looked at yet
	turn   bool // it has the node's turn, until the journal is cut: partitions that fill alike would else all write, and cut, at once

	written atomic.Int64

	mu      sync.Mutex
	changed sync.Cond
	stream  []byte
	waiting int // live entities asked for their state
	listed  bool
	err     error
}

type (
	moreSlices     struct{ job *checkpoint }
	checkpointDone struct {
		job *checkpoint
		err error
	}
)

const (
	sliceBytes      = persistence.SliceMax
	streamAheadMax  = 16 * sliceBytes // captured and not yet written; capturing pauses above it
	truncateTimeout = time.Minute

	// What is captured per turn of the partition actor, and the pause before the next one. A checkpoint as fast as it could go took half a node for
	// two seconds, and whoever asked meanwhile waited a tenth of a second. So it takes its time: a few percent of a core, at most 32 MB/s.
	captureAtOnce = 512
	captureBytes  = 128 << 10
	captureAsks   = 16 // of them alive: they write themselves down for it
	capturePause  = 4 * time.Millisecond
)

// checkpoint starts one in the background. turn says that the node's turn was taken for it.
func (p *partition) checkpoint(ctx actor.Context, turn bool) {
	base, bytes := p.committer.checkpointBase()
	job := &checkpoint{base: base, bytes: bytes, refs: p.store.unsorted(), turn: turn}
	job.fresh = len(job.refs)
	job.changed.L = &job.mu
	job.frames.begin(p.store, job.add)
	p.job = job
	go func() {
		err := p.Store.Write(context.Background(), p.Partition, job.base, job.slices())
		job.fail(errors.New("the checkpoint is over"))
		p.system.Root.Send(p.pid, &checkpointDone{job: job, err: err})
	}()
	p.capture(ctx, job)
}

// capture takes the next entities, idle ones as they lie, live ones by asking, and comes back until all are taken. Who is alive comes last: most have
// become bytes by then, and need not be asked.
func (p *partition) capture(ctx actor.Context, job *checkpoint) {
	if job != p.job || p.committer == nil {
		return
	}
	asks, bytes := captureAsks, captureBytes
	if !job.turn { // somebody waits for it
		asks, bytes = captureAtOnce, captureAtOnce*sliceBytes
	}
	for n := min(captureAtOnce, len(job.refs)); n > 0 && asks > 0 && bytes > 0 && job.roomy(); n-- {
		sl := p.store.slots[job.refs[0]]
		job.refs = job.refs[1:]
		first := job.fresh > 0
		if first {
			job.fresh--
		}
		switch {
		case sl == nil:
		case sl.rebuild && p.store.restoring[sl.ref].tries > 0:
			// Its bytes are behind what is durable, and nobody knows for how long: a manifest above them would make the loss final.
			job.fail(fmt.Errorf("%s is not read back", sl.ref))
		case sl.retired || sl.rebuild, sl.live != nil && first:
			// Between two lives, its state arrives in a moment; or alive. Look again last.
			job.refs = append(job.refs, sl.ref)
		case sl.live != nil:
			job.expect()
			ctx.Send(sl.live.pid, &snapshot{job: job})
			asks--
		default:
			size, err := job.frames.idle(p.store, sl, job.add)
			if err != nil {
				job.fail(err)
			}
			bytes -= size
		}
	}
	if len(job.refs) == 0 {
		job.complete()
		return
	}
	time.AfterFunc(capturePause, func() { p.system.Root.Send(p.pid, &moreSlices{job: job}) })
}

// checkpointDone truncates what the checkpoint made unnecessary, as far as followers have read.
func (p *partition) checkpointDone(m *checkpointDone) {
	over := func() {
		if m.job.turn {
			p.writing.Store(false)
		}
	}
	if errors.Is(m.err, persistence.ErrUntidy) { // it counts, or the next sweep would write another, for ever
		slog.Warn("checkpoint stored; the store keeps older ones", "partition", p.Partition, "error", m.err)
		m.err = nil
	}
	if p.job != m.job || m.err != nil {
		defer over()
	}
	if p.job != m.job {
		return
	}
	p.job = nil
	if p.closing != nil && p.closing.left == 0 && p.closing.shut != nil {
		defer over()
		p.closed(&persistence.Mark{Position: m.job.base.Position, Number: m.job.base.Number}, m.err)
		return
	}
	if m.err != nil {
		slog.Warn("checkpoint failed; the journal keeps its length", "partition", p.Partition, "error", m.err)
		return
	}
	p.stats.Checkpoints.Add(1)
	p.manifest = m.job.base
	p.manifest.Bytes = m.job.written.Load()
	p.committer.checkpointed(m.job.bytes)
	below := m.job.base.Position
	go func() {
		defer over()
		if p.Floor != nil {
			below = min(below, p.Floor(p.Partition))
		}
		ctx, cancel := context.WithTimeout(context.Background(), truncateTimeout)
		defer cancel()
		if err := p.Store.Truncate(ctx, p.Partition, below); err != nil {
			slog.Warn("journal not truncated", "partition", p.Partition, "below", below, "error", err)
		}
	}()
}

func (j *checkpoint) roomy() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return len(j.stream) < streamAheadMax
}

func (j *checkpoint) expect() {
	j.mu.Lock()
	j.waiting++
	j.mu.Unlock()
}

// captured takes a live entity's state, now durable; nil when the entity was abandoned. Called from the entity.
func (j *checkpoint) captured(snap *messages.EntitySnapshot) {
	if snap == nil {
		j.fail(errors.New("the journal was lost during the checkpoint"))
		return
	}
	blob, err := snap.MarshalVT()
	if err != nil {
		j.fail(fmt.Errorf("encode snapshot of %s: %w", snap.Id, err))
		return
	}
	j.add(blob)
	j.mu.Lock()
	j.waiting--
	j.changed.Signal()
	j.mu.Unlock()
}

// add appends a frame; it is not kept.
func (j *checkpoint) add(frame []byte) {
	j.mu.Lock()
	if j.stream == nil {
		j.stream = make([]byte, 0, sliceBytes+sliceBytes/4)
	}
	j.stream = binary.AppendUvarint(j.stream, uint64(len(frame)))
	j.stream = append(j.stream, frame...)
	j.changed.Signal()
	j.mu.Unlock()
}

// complete says that every entity was captured or asked.
func (j *checkpoint) complete() {
	j.mu.Lock()
	j.listed = true
	j.changed.Signal()
	j.mu.Unlock()
}

// fail ends the stream with an error, so that no manifest is written. The first error stands.
func (j *checkpoint) fail(err error) {
	j.mu.Lock()
	if j.err == nil {
		j.err = err
	}
	j.changed.Signal()
	j.mu.Unlock()
}

// slices cuts the stream; it blocks the store's goroutine until the next slice is full or the stream ends.
func (j *checkpoint) slices() iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for {
			j.mu.Lock()
			for j.err == nil && len(j.stream) < sliceBytes && !(j.listed && j.waiting == 0) {
				j.changed.Wait()
			}
			err := j.err
			slice := j.stream[:min(len(j.stream), sliceBytes):min(len(j.stream), sliceBytes)]
			// Only the front moves: a hot bucket is one snapshot of many megabytes, and copying the rest for every slice took seconds.
			if j.stream = j.stream[len(slice):]; len(j.stream) == 0 {
				j.stream = nil
			}
			j.mu.Unlock()
			j.written.Add(int64(len(slice)))
			if err != nil {
				yield(nil, err)
				return
			}
			if len(slice) == 0 || !yield(slice, nil) {
				return
			}
		}
	}
}
