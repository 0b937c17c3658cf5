package site

import (
	"fmt"
	"strconv"
	"strings"

	"orderyard/messages"
)

// ended remembers fulfillment orders that left the work, oldest first, so that a late duplicate is answered and not worked.
type ended struct {
	byID  map[string]ending
	queue []string // ids in the order they ended; those before head are forgotten
	head  int
}

type ending struct {
	at     int64
	reason string
	status messages.FulfillmentStatus
}

// endOf says how work ended that is not in hand any more. The memory of endings forgets, after a day or behind many others, and an order may
// be out of reach for longer: then the newest notice that it is still owed knows the end. A notice about work that went on knows none: such
// work was given back after it, to an order that asked for that.
func (s *State) endOf(id string) (ending, bool) {
	if end, over := s.ended.byID[id]; over {
		return end, true
	}
	if owed := s.pending[id]; len(owed) > 0 {
		switch last := owed[len(owed)-1].change; last.Status {
		case delivered, rejected, timedOut:
			return ending{at: last.RejectedAtMs, reason: last.Reason, status: last.Status}, true
		}
	}
	return ending{}, false
}

// add remembers one ending and forgets what is too old or too much. Forgetting happens here alone, by the time of the event, so
// that replay forgets the same ids at the same places. An id keeps its first ending.
func (e *ended) add(id string, end ending) {
	if _, known := e.byID[id]; known {
		return
	}
	if e.byID == nil {
		e.byID = make(map[string]ending)
	}
	e.byID[id] = end
	e.queue = append(e.queue, id)
	for e.head < len(e.queue) && (len(e.byID) > endedMax || e.byID[e.queue[e.head]].at <= end.at-endedForMs) {
		delete(e.byID, e.queue[e.head])
		e.queue[e.head] = ""
		e.head++
	}
	if e.head > 1024 && e.head > len(e.queue)/2 {
		e.queue = append([]string(nil), e.queue[e.head:]...)
		e.head = 0
	}
}

// lines writes the memory as the state keeps it: "<id> <status number> <ended at ms> <reason>".
func (e *ended) lines() []string {
	out := make([]string, 0, len(e.queue)-e.head)
	for _, id := range e.queue[e.head:] {
		end := e.byID[id]
		b := make([]byte, 0, len(id)+len(end.reason)+20)
		b = append(append(b, id...), ' ')
		b = append(strconv.AppendInt(b, int64(end.status), 10), ' ')
		b = append(strconv.AppendInt(b, end.at, 10), ' ')
		out = append(out, string(append(b, end.reason...)))
	}
	return out
}

// load reads one line back. Nothing is forgotten while loading: the lines are what a state remembered.
func (e *ended) load(line string) error {
	parts := strings.SplitN(line, " ", 4)
	if len(parts) != 4 {
		return fmt.Errorf("ended work %q: want four words", line)
	}
	status, err := strconv.ParseInt(parts[1], 10, 32)
	if err != nil {
		return fmt.Errorf("ended work %q: status: %w", line, err)
	}
	at, err := strconv.ParseInt(parts[2], 10, 64)
	if err != nil {
		return fmt.Errorf("ended work %q: time: %w", line, err)
	}
	if _, twice := e.byID[parts[0]]; twice || parts[0] == "" {
		return fmt.Errorf("ended work %q: the id is empty or there twice", line)
	}
	if e.byID == nil {
		e.byID = make(map[string]ending)
	}
	e.byID[parts[0]] = ending{status: messages.FulfillmentStatus(status), at: at, reason: parts[3]}
	e.queue = append(e.queue, parts[0])
	return nil
}
