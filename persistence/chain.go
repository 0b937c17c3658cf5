package persistence

import "fmt"

// Chain follows a partition's records and refuses the first one that does not continue the line. It is what Log recovers with, and all
// that a follower or a verifier needs. It belongs to one goroutine.
type Chain struct {
	partition int
	head      Manifest
	tail      uint64 // the highest position seen, the base included
}

// NewChain starts behind a checkpoint; the zero Manifest starts at the beginning.
func NewChain(partition int, from Manifest) *Chain {
	return &Chain{partition: partition, head: headOf(from)}
}

func headOf(m Manifest) Manifest {
	return Manifest{Position: m.Position, Number: m.Number, Epoch: m.Epoch, Term: m.Term, Hash: m.Hash}
}

// Head describes the last record that was accepted.
func (c *Chain) Head() Manifest { return c.head }

// Next checks the record at a position and moves on. A refused record does not move the chain.
//
// The record the chain started from may be given first: it is compared with the checkpoint's hash, and passed over (its Header has Kind 0).
func (c *Chain) Next(position uint64, record []byte) (Header, []byte, error) {
	if position == c.head.Position && c.tail == 0 && position != 0 {
		return Header{}, nil, c.base(position, record)
	}
	h, payload, err := DecodeRecord(record)
	if err != nil {
		return h, nil, c.corrupt(position, err.(*CorruptError).Reason)
	}
	if reason := c.refuse(position, &h); reason != "" && Fenced {
		return h, nil, c.corrupt(position, reason)
	}
	term := c.head.Term
	if h.Kind == RecordTakeover {
		t, err := DecodeTakeover(payload)
		if err != nil {
			return h, nil, c.corrupt(position, err.(*CorruptError).Reason)
		}
		if t.Term != 0 && t.Term < term && Fenced {
			return h, nil, c.corrupt(position, fmt.Sprintf("a takeover of term %d follows term %d: who took over had lost the partition before", t.Term, term))
		}
		term = max(term, t.Term)
	}
	c.head = Manifest{Position: position, Number: h.Number, Epoch: h.Epoch, Term: term, Hash: RecordHash(record)}
	c.tail = position
	return h, payload, nil
}

func (c *Chain) base(position uint64, record []byte) error {
	if RecordHash(record) != c.head.Hash {
		return c.corrupt(position, "the record is not the one the checkpoint was made at")
	}
	c.tail = position
	return nil
}

// refuse says why a well-formed record does not follow; "" = it does.
func (c *Chain) refuse(position uint64, h *Header) string {
	switch {
	case position <= c.head.Position:
		return fmt.Sprintf("the position does not grow, the record before is at %d", c.head.Position)
	case h.Partition != c.partition:
		return fmt.Sprintf("the record belongs to partition %d", h.Partition)
	case h.Number > c.head.Number+1:
		return fmt.Sprintf("record %d follows record %d: records between them are missing", h.Number, c.head.Number)
	case h.Number != c.head.Number+1:
		return fmt.Sprintf("record %d follows record %d", h.Number, c.head.Number)
	case h.Prev != c.head.Hash:
		return fmt.Sprintf("record %d does not continue the record before it: its hash of that record differs", h.Number)
	case h.Kind == RecordTakeover && h.Epoch != c.head.Epoch+1:
		return fmt.Sprintf("a takeover to epoch %d follows epoch %d", h.Epoch, c.head.Epoch)
	case h.Kind == RecordCommit && (h.Epoch != c.head.Epoch || h.Epoch == 0):
		return fmt.Sprintf("a commit of epoch %d within epoch %d", h.Epoch, c.head.Epoch)
	}
	return ""
}

func (c *Chain) corrupt(position uint64, reason string) error {
	return &CorruptError{Partition: c.partition, Position: position, Reason: reason}
}
