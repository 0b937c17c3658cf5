package entity

import (
	"bytes"
	"errors"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"

	"orderyard/messages"
)

// EntryReader reads the entries of commits one by one, for whoever replays millions of them: it gives the same entry again and again, and an
// entry's events and reply are parts of the payload, not copies. Take a copy of what is to stay. It belongs to one goroutine.
type EntryReader struct {
	entry   messages.Entry
	records []*messages.EventRecord
	events  []messages.Event
}

var errCommit = errors.New("decode commit: its bytes are no list of entries")

// Each calls fn for every entry of a commit's payload, in order, and ends with its first error.
func (r *EntryReader) Each(payload []byte, fn func(e *messages.Entry) error) error {
	for len(payload) > 0 {
		number, kind, n := protowire.ConsumeTag(payload)
		if n < 0 {
			return errCommit
		}
		payload = payload[n:]
		if number != 1 || kind != protowire.BytesType { // of a newer version
			if n = protowire.ConsumeFieldValue(number, kind, payload); n < 0 {
				return errCommit
			}
			payload = payload[n:]
			continue
		}
		body, n := protowire.ConsumeBytes(payload)
		if n < 0 {
			return errCommit
		}
		payload = payload[n:]
		if err := r.read(body); err != nil {
			return err
		}
		if err := fn(&r.entry); err != nil {
			return err
		}
	}
	return nil
}

// read fills the entry.
func (r *EntryReader) read(b []byte) error {
	e := &r.entry
	e.Kind, e.Id, e.Version, e.CommandId, e.Fingerprint, e.AtMs, e.Reply, e.Topic = 0, "", 0, "", 0, 0, nil, ""
	e.Events = e.Events[:0]
	for len(b) > 0 {
		number, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return errCommit
		}
		b = b[n:]
		size := protowire.ConsumeFieldValue(number, kind, b)
		if size < 0 {
			return errCommit
		}
		if err := r.field(number, kind, b[:size]); err != nil {
			return err
		}
		b = b[size:]
	}
	return nil
}

func (r *EntryReader) field(number protowire.Number, kind protowire.Type, value []byte) error {
	e := &r.entry
	switch kind {
	case protowire.VarintType:
		x, _ := protowire.ConsumeVarint(value)
		switch number {
		case 1:
			e.Kind = uint32(x)
		case 3:
			e.Version = x
		case 6:
			e.AtMs = int64(x)
		}
	case protowire.Fixed64Type:
		if x, _ := protowire.ConsumeFixed64(value); number == 5 {
			e.Fingerprint = x
		}
	case protowire.BytesType:
		x, _ := protowire.ConsumeBytes(value)
		switch number {
		case 2:
			e.Id = string(x)
		case 4:
			e.CommandId = string(x)
		case 7:
			return r.record(x)
		case 8:
			e.Reply = x
		case 9:
			e.Topic = string(x)
		}
	}
	return nil
}

func (r *EntryReader) record(b []byte) error {
	e := &r.entry
	if len(e.Events) == len(r.records) {
		r.records = append(r.records, new(messages.EventRecord))
	}
	record := r.records[len(e.Events)]
	record.Type, record.Data = 0, nil
	for len(b) > 0 {
		number, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return errCommit
		}
		b = b[n:]
		size := protowire.ConsumeFieldValue(number, kind, b)
		if size < 0 {
			return errCommit
		}
		switch {
		case number == 1 && kind == protowire.VarintType:
			x, _ := protowire.ConsumeVarint(b)
			record.Type = uint32(x)
		case number == 2 && kind == protowire.BytesType:
			record.Data, _ = protowire.ConsumeBytes(b)
		}
		b = b[size:]
	}
	e.Events = append(e.Events, record)
	return nil
}

// Events decodes what an entry tells. The list is good until the next call, the events stay.
func (r *EntryReader) Events(e *messages.Entry) ([]messages.Event, error) {
	r.events = r.events[:0]
	for i, record := range e.Events {
		event, err := messages.ReplayEvent(record)
		if err != nil {
			return nil, fmt.Errorf("version %d: %w", e.Version+1+uint64(i), err)
		}
		r.events = append(r.events, event)
	}
	return r.events, nil
}

// Apply replays a journal entry. Entries the state already holds are passed over; a gap is an error.
func (c *Core) Apply(e *messages.Entry) error {
	if e.Version+uint64(len(e.Events)) <= c.version {
		return nil
	}
	events := make([]messages.Event, len(e.Events))
	for i, record := range e.Events {
		event, err := messages.ReplayEvent(record)
		if err != nil {
			return fmt.Errorf("%s version %d: %w", c.ref, e.Version+1+uint64(i), err)
		}
		events[i] = event
	}
	return c.ApplyEvents(e, events)
}

// ApplyEvents is Apply for a caller who has decoded the entry's events. Nothing of the entry is kept but strings and the events.
func (c *Core) ApplyEvents(e *messages.Entry, events []messages.Event) error {
	switch {
	case e.Version+uint64(len(events)) <= c.version:
		return nil
	case e.Version != c.version:
		return fmt.Errorf("%s is at version %d, the journal goes on at %d", c.ref, c.version, e.Version)
	}
	for _, event := range events {
		c.machine.Evolve(event, e.AtMs)
		c.version++
	}
	c.machine.SetVersion(c.version)
	if e.CommandId != "" {
		c.remember(e, bytes.Clone(e.Reply))
	}
	return nil
}
