package entity

// Batches gathers entries into appends: all that arrive while one append is under way share the next one. Nothing is timed here. It belongs to one
// goroutine, or to a lock; the committer and the simulation use the same. Who is told when a batch is durable is the user's.
type Batches[Who any] struct {
	open   *Batch[Who]
	closed []*Batch[Who]
}

// Batch is one append in the making.
type Batch[Who any] struct {
	Number  uint64
	Payload []byte
	Entries int
	Notify  []Who
}

// NewBatches begins with batch 1.
func NewBatches[Who any]() Batches[Who] {
	return Batches[Who]{open: &Batch[Who]{Number: 1}}
}

// Add puts an entry into the open batch and gives the batch's number. last is the batch who got before, so that nobody is told twice. No batch is larger
// than bytesMax, for one append must hold it: an entry that does not fit closes the one before. Only an entry that is larger by itself makes a larger
// batch, its own.
func (b *Batches[Who]) Add(entry []byte, who Who, last uint64, bytesMax int) uint64 {
	if len(b.open.Payload)+len(entry) > bytesMax && b.open.Entries > 0 {
		b.close()
	}
	open := b.open
	open.Payload = append(open.Payload, entry...)
	open.Entries++
	if last != open.Number {
		open.Notify = append(open.Notify, who)
	}
	if len(open.Payload) >= bytesMax {
		b.close()
	}
	return open.Number
}

func (b *Batches[Who]) close() {
	b.closed = append(b.closed, b.open)
	b.open = &Batch[Who]{Number: b.open.Number + 1}
}

// Take gives the next batch to append; nil when there is nothing. The one that follows begins with room for as much again.
func (b *Batches[Who]) Take(bytesMax int) *Batch[Who] {
	if len(b.closed) > 0 {
		first := b.closed[0]
		b.closed = b.closed[1:]
		return first
	}
	if b.open.Entries == 0 {
		return nil
	}
	taken := b.open
	b.open = &Batch[Who]{Number: taken.Number + 1, Payload: make([]byte, 0, min(len(taken.Payload)*5/4, bytesMax))}
	return taken
}

// Full counts the closed batches that wait.
func (b *Batches[Who]) Full() int { return len(b.closed) }

// Gathered counts the entries of the open batch.
func (b *Batches[Who]) Gathered() int { return b.open.Entries }
