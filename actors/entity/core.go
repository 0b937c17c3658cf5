package entity

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/cespare/xxhash/v2"
	"google.golang.org/protobuf/encoding/protowire"

	"orderyard/messages"
)

// Core drives one state machine without goroutines, clock or I/O. The caller makes Output.Entry durable and then, and only then,
// releases the Output's reply and tasks; outputs without an entry wait for the last entry before them.
type Core struct {
	ref     messages.Ref
	kind    Kind
	machine Machine
	planner Planner
	limits  *Limits

	version uint64
	dedup   dedup
	flights flights         // tasks sent and not yet settled
	passes  uint64          // Tasks passes, to find flights that are owed no more
	tasks   []messages.Task // scratch
	records []*messages.EventRecord
}

// Output is what one Step gives.
type Output struct {
	// Entry is the encoded journal entry; nil when nothing changed.
	Entry []byte
	// Reply answers the request; nil when nobody asked.
	Reply *messages.Reply
	// Tasks are due now.
	Tasks []messages.Task
	// Wake is when the core wants to be ticked, Unix ms; 0 = never.
	Wake int64
}

// NewCore makes an entity that nothing has happened to yet.
func NewCore(ref messages.Ref, kind Kind, planner Planner, limits *Limits) *Core {
	return &Core{ref: ref, kind: kind, machine: kind.New(ref.ID), planner: planner, limits: limits}
}

// LoadCore rebuilds an entity from a snapshot.
func LoadCore(s *messages.EntitySnapshot, kinds Kinds, planner Planner, limits *Limits) (*Core, error) {
	kind, ok := kinds[messages.Kind(s.Kind)]
	if !ok {
		return nil, fmt.Errorf("entity %s has unknown kind %d", s.Id, s.Kind)
	}
	c := &Core{ref: messages.Ref{Kind: messages.Kind(s.Kind), ID: s.Id}, kind: kind, planner: planner, limits: limits, version: s.Version}
	machine, err := kind.Load(s.Id, s.State)
	if err != nil {
		return nil, fmt.Errorf("load %s: %w", c.ref, err)
	}
	c.machine = machine
	c.machine.SetVersion(c.version)
	c.dedup.load(s.Dedup)
	return c, nil
}

// Ref names the entity.
func (c *Core) Ref() messages.Ref { return c.ref }

// Version counts the events so far, tentative ones included.
func (c *Core) Version() uint64 { return c.version }

// Machine gives the state machine, for reading.
func (c *Core) Machine() Machine { return c.machine }

// Step decides one request against the tentative state.
func (c *Core) Step(req *messages.Request, now int64) Output {
	var out Output
	settled := ""
	if result, ok := req.Command.(*messages.TaskResult); ok {
		if c.refusedForNow(result, now) {
			return c.Tick(now)
		}
		settled = result.TaskId
	}
	var fingerprint uint64
	if req.CommandID != "" {
		fingerprint = fingerprintOf(req)
		if first, ok := c.dedup.get(req.CommandID); ok {
			out.Reply = repeat(first, fingerprint, req.Command)
			return out
		}
	}
	records, reply := c.decide(req.Command, now, c.records[:0])
	out.Reply = reply
	if len(records) == 0 && c.remembers(req, reply) {
		records = append(records, &messages.EventRecord{Type: messages.TypeCommandRefused})
		c.machine.Evolve(&messages.CommandRefused{}, now)
		c.version++
		c.machine.SetVersion(c.version)
	}
	if settled != "" {
		c.settle(settled, now)
	}
	records = c.owe(&out, now, records)
	c.seal(&out, req.CommandID, fingerprint, records, reply, now)
	return out
}

// remembers says whether an answer that changed nothing is worth an entry: its sender may repeat the command long after, when a refusal could be
// granted, or when "it is so already" would change something, and must not be told another thing than the first time. What concerns nothing that
// exists leaves no trace, else bad input would fill the store.
func (c *Core) remembers(req *messages.Request, reply *messages.Reply) bool {
	if reply == nil || reply.Replayed || c.version == 0 || !strings.HasPrefix(req.CommandID, messages.ClientKey) {
		return false
	}
	f := reply.GetFailure()
	if f == nil {
		return true
	}
	if f.Retryable {
		return false
	}
	switch f.Code {
	case messages.CodeDeclined, messages.CodeRejected, messages.CodeHeld, messages.CodeTooLate, messages.CodeConflict:
		return true
	}
	return false
}

// Tick runs the timers that are due and sends again what was not answered.
func (c *Core) Tick(now int64) Output {
	var out Output
	records := c.owe(&out, now, c.records[:0])
	c.seal(&out, "", 0, records, nil, now)
	return out
}

// decide asks the machine and lets it evolve; a bad command becomes a reply.
func (c *Core) decide(cmd messages.Command, now int64, records []*messages.EventRecord) ([]*messages.EventRecord, *messages.Reply) {
	events, reply, err := c.machine.Decide(cmd, now)
	if err != nil {
		var failure *messages.Failure
		if !errors.As(err, &failure) {
			failure = messages.Fail(messages.CodeInternal, "", "%v", err)
		}
		return records, messages.Refuse(failure)
	}
	for _, e := range events {
		data, err := e.MarshalVT()
		if err != nil {
			panic(fmt.Sprintf("%s: encode %s: %v", c.ref, messages.EventName(e), err))
		}
		records = append(records, &messages.EventRecord{Type: messages.EventType(e), Data: data})
		c.machine.Evolve(e, now)
		c.version++
	}
	if len(events) > 0 {
		c.machine.SetVersion(c.version)
	}
	return records, reply
}

// owe asks what is owed: runs plans and due timers at once (their events join the same entry), collects the tasks to send and the
// next wake-up.
func (c *Core) owe(out *Output, now int64, records []*messages.EventRecord) []*messages.EventRecord {
	for range stepsMax {
		c.tasks = c.machine.Tasks(now, c.tasks[:0])
		local := c.firstLocal(now)
		if local < 0 {
			c.send(out, now)
			return records
		}
		if len(records) >= recordsMax { // the entry is large enough: the next one goes on
			c.send(out, now)
			out.wakeBy(now + 1)
			return records
		}
		task := c.tasks[local]
		cmd := task.Command
		if task.To.Kind == messages.KindRouting {
			cmd = c.planner(cmd.(*messages.PlanRequest), now)
		}
		before := c.version
		records, _ = c.decide(cmd, now, records)
		if c.version == before {
			// The machine did nothing with its own timer or plan. Asking again at once would spin; the next tick asks again.
			c.send(out, now)
			out.wakeBy(now + c.limits.AnswerMs)
			return records
		}
	}
	out.wakeBy(now + 1)
	return records
}

// firstLocal finds the first task to be done on the spot: a plan, or a timer that is due.
func (c *Core) firstLocal(now int64) int {
	for i := range c.tasks {
		t := &c.tasks[i]
		if t.Due <= now && (t.To.Kind == messages.KindRouting || t.To == c.ref) {
			return i
		}
	}
	return -1
}

// send puts the tasks that are due and not under way into out, and finds the next wake-up.
func (c *Core) send(out *Output, now int64) {
	c.passes++
	seen := 0
	for i := range c.tasks {
		t := &c.tasks[i]
		if t.Due > now {
			out.wakeBy(t.Due)
			continue
		}
		if t.To == c.ref || t.To.Kind == messages.KindRouting {
			continue
		}
		f := c.flights.find(t.ID)
		if f == nil {
			f = c.flights.add(t.ID)
		}
		f.pass = c.passes
		seen++
		if f.again <= now {
			if f.attempts > 0 && c.postpone(t.ID, now) {
				out.wakeBy(now + 1)
			}
			f.again = now + c.limits.AnswerMs + c.backoff(f.attempts)
			f.attempts++
			out.Tasks = append(out.Tasks, *t)
		}
		out.wakeBy(f.again)
	}
	if seen < len(c.flights.list) {
		c.flights.sweep(c.passes)
	}
}

// refusedForNow tells whether an answer means "ask me again": then the task is sent again after a pause and the machine hears nothing.
func (c *Core) refusedForNow(r *messages.TaskResult, now int64) bool {
	if f := r.GetReply().GetFailure(); f == nil || !f.Retryable {
		return false
	}
	if f := c.flights.find(r.TaskId); f != nil {
		f.again = now + max(c.backoff(f.attempts), r.Reply.Failure.RetryAfterMs)
		c.postpone(r.TaskId, now)
	}
	return true
}

// postpone lets a machine that names a part of what it owes give others their turn. It says whether it names others now.
func (c *Core) postpone(taskID string, now int64) bool {
	p, ok := c.machine.(Postponer)
	return ok && p.Postpone(taskID, now)
}

// settle notes that a task was answered. Should the machine still owe it, it goes out again after a pause, never in a hot loop.
func (c *Core) settle(id string, now int64) {
	if f := c.flights.find(id); f != nil {
		f.again = now + max(c.backoff(f.attempts), c.limits.RetryMinMs)
	}
}

func (c *Core) backoff(attempts int) int64 {
	return min(c.limits.RetryMinMs<<min(attempts, 20), c.limits.RetryMaxMs)
}

// seal turns what happened into one journal entry.
func (c *Core) seal(out *Output, commandID string, fingerprint uint64, records []*messages.EventRecord, reply *messages.Reply, now int64) {
	c.records = records[:0]
	if len(records) == 0 {
		return
	}
	entry := messages.Entry{
		Kind: uint32(c.ref.Kind), Id: c.ref.ID, Version: c.version - uint64(len(records)), AtMs: now, Events: records, Topic: c.machine.Topic(),
	}
	if commandID != "" {
		entry.CommandId, entry.Fingerprint = commandID, fingerprint
		if reply != nil {
			entry.Reply = encodeReply(reply)
		}
		c.remember(&entry, entry.Reply)
	}
	out.Entry = encodeEntry(&entry)
	clear(records)
}

func (c *Core) remember(e *messages.Entry, reply []byte) {
	c.dedup.add(&messages.DedupEntry{CommandId: e.CommandId, Fingerprint: e.Fingerprint, Reply: reply, AtMs: e.AtMs}, c.kind.DedupForMs, c.limits.DedupMax)
}

// Snapshot gives the entity as bytes-to-be, with its next wake-up. The state is the tentative one: write it only when durable. It stays as it is
// whatever the entity does or forgets meanwhile.
func (c *Core) Snapshot(now int64) *messages.EntitySnapshot {
	s := &messages.EntitySnapshot{
		Kind: uint32(c.ref.Kind), Id: c.ref.ID, Version: c.version, State: c.machine.MarshalState(), Dedup: slices.Clone(c.dedup.list()),
		WakeAtMs: c.nextWake(now), Waits: c.machine.Waits(),
	}
	if summary := c.machine.Summary(); summary != nil {
		b, err := summary.MarshalVT()
		if err != nil {
			panic(fmt.Sprintf("%s: encode summary: %v", c.ref, err))
		}
		s.Summary = b
	}
	return s
}

// nextWake is when an entity that becomes idle now must be looked at again: at once when it owes anything that is due.
func (c *Core) nextWake(now int64) int64 {
	wake := int64(0)
	c.tasks = c.machine.Tasks(now, c.tasks[:0])
	for i := range c.tasks {
		due := max(c.tasks[i].Due, 1)
		if f := c.flights.find(c.tasks[i].ID); f != nil {
			due = max(due, f.again)
		}
		if wake == 0 || due < wake {
			wake = due
		}
	}
	return wake
}

func (o *Output) wakeBy(at int64) {
	if o.Wake == 0 || at < o.Wake {
		o.Wake = at
	}
}

// repeat answers a command that was answered before.
func repeat(first *messages.DedupEntry, fingerprint uint64, cmd messages.Command) *messages.Reply {
	if first.Fingerprint != fingerprint && first.Fingerprint != unkinded(fingerprint, cmd) {
		return messages.Refuse(messages.Fail(messages.CodeConflict, "", "command id %q was used before with other content", first.CommandId))
	}
	reply := new(messages.Reply)
	if err := reply.UnmarshalVT(first.Reply); err != nil {
		return messages.Refuse(messages.Fail(messages.CodeInternal, "", "the first answer cannot be read: %v", err))
	}
	reply.Replayed = true
	return reply
}

// fingerprintOf tells two contents under one command id apart. Tasks are trusted to be what their id says.
func fingerprintOf(req *messages.Request) uint64 {
	if !req.From.IsZero() {
		return 0
	}
	if place, ok := req.Command.(*messages.PlaceOrder); ok {
		return place.Fingerprint
	}
	cmd := req.Command
	b, err := cmd.MarshalVT()
	if err != nil {
		return 0
	}
	return xxhash.Sum64(b) ^ kindMark(cmd)
}

// kindMark is what a command's kind adds: *confirm* and *cancel* of one reservation are the same bytes.
func kindMark(cmd messages.Command) uint64 {
	return uint64(messages.CommandType(cmd)) * 0x9E3779B97F4A7C15
}

// unkinded is the fingerprint as builds before wrote it, of the bytes alone.
func unkinded(fingerprint uint64, cmd messages.Command) uint64 {
	if _, place := cmd.(*messages.PlaceOrder); place || fingerprint == 0 {
		return fingerprint
	}
	return fingerprint ^ kindMark(cmd)
}

func encodeReply(r *messages.Reply) []byte {
	b, err := r.MarshalVT()
	if err != nil {
		panic(fmt.Sprintf("encode reply: %v", err))
	}
	return b
}

// encodeEntry gives the entry as field 1 of a Commit, so that a commit's payload is the plain concatenation of its entries.
func encodeEntry(e *messages.Entry) []byte {
	size := e.SizeVT()
	b := make([]byte, 0, size+1+protowire.SizeVarint(uint64(size)))
	b = protowire.AppendTag(b, 1, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(size))
	b = b[:len(b)+size]
	if _, err := e.MarshalToSizedBufferVT(b[len(b)-size:]); err != nil {
		panic(fmt.Sprintf("encode entry of %s: %v", e.Id, err))
	}
	return b
}
