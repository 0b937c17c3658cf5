package registry

import (
	"bytes"
	"cmp"
	"slices"
	"strconv"
	"sync"
	"time"

	"orderyard/cluster"
	"orderyard/messages"
)

// change is what became of one key: told by a watch, by the leader, by an announcement, or by one's own write.
type change struct {
	key      string
	revision uint64
	state    cluster.SessionState // of an ownership record: always present, or lapsed = removed by somebody's hand
	value    []byte               // when present
}

// picture is the newest known state of all keys. The messages it holds are never changed: an equal value keeps its message, so that readers may
// compare pointers.
type picture struct {
	clock    func() time.Time
	mu       sync.Mutex
	sessions map[string]*sessionEntry
	owners   []ownerEntry
	fns      []func()
}

type sessionEntry struct {
	cluster.SessionAt
	value []byte
	ended time.Time // when it was heard to be over; zero = it is not
}

type ownerEntry struct {
	cluster.OwnerAt
	value []byte
}

func (p *picture) init(partitions int, clock func() time.Time) {
	p.clock = clock
	p.sessions = make(map[string]*sessionEntry)
	p.owners = make([]ownerEntry, partitions)
}

func (p *picture) onChange(fn func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fns = append(p.fns, fn)
}

func (p *picture) tell() {
	p.mu.Lock()
	fns := p.fns
	p.mu.Unlock()
	for _, fn := range fns {
		fn()
	}
}

// copy gives the picture. Sessions that have been over for long are forgotten first: nothing else comes by as often on a quiet day.
func (p *picture) copy() cluster.Picture {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.clock()
	for key, e := range p.sessions {
		if !e.ended.IsZero() && now.Sub(e.ended) > forgetAfter {
			delete(p.sessions, key)
		}
	}
	c := cluster.Picture{
		Sessions: make([]cluster.SessionAt, 0, len(p.sessions)), Owners: make([]cluster.OwnerAt, len(p.owners)),
	}
	for _, e := range p.sessions {
		c.Sessions = append(c.Sessions, e.SessionAt)
	}
	slices.SortFunc(c.Sessions, func(a, b cluster.SessionAt) int { return cmp.Compare(a.Incarnation, b.Incarnation) })
	for i := range p.owners {
		c.Owners[i] = p.owners[i].OwnerAt
	}
	return c
}

// session takes in a change of a session, unless a newer one is known. What cannot be read is taken for a session that said nothing: it
// was written by a version that we do not know.
func (p *picture) session(c change) {
	p.mu.Lock()
	e := p.sessions[c.key]
	if e == nil {
		e = &sessionEntry{SessionAt: cluster.SessionAt{Incarnation: c.key}}
		p.sessions[c.key] = e
	} else if c.revision <= e.Revision {
		p.mu.Unlock()
		return
	}
	e.Revision = c.revision
	if c.state == cluster.SessionPresent {
		if s := new(messages.NodeSession); !bytes.Equal(c.value, e.value) && s.UnmarshalVT(c.value) == nil && s.Incarnation == c.key {
			e.Session, e.value = s, c.value
		}
		e.ended = time.Time{}
	} else if e.ended.IsZero() {
		e.ended = p.clock()
	}
	if c.state != cluster.SessionLapsed || e.State != cluster.SessionEnded { // the key of one that left lapses, too
		e.State = c.state
	}
	p.mu.Unlock()
	p.tell()
}

// owner takes in a change of an ownership record, unless a newer one is known.
func (p *picture) owner(c change) {
	n, err := strconv.Atoi(c.key)
	if err != nil || n < 0 || n >= len(p.owners) {
		return // not ours
	}
	p.mu.Lock()
	e := &p.owners[n]
	if c.revision <= e.Revision {
		p.mu.Unlock()
		return
	}
	e.Revision = c.revision
	if c.state != cluster.SessionPresent {
		e.PartitionOwner, e.value = nil, nil
	} else if !bytes.Equal(c.value, e.value) || e.PartitionOwner == nil {
		o := new(messages.PartitionOwner)
		if o.UnmarshalVT(c.value) != nil {
			o = nil // what cannot be read is nobody's
		}
		e.PartitionOwner, e.value = o, c.value
	}
	p.mu.Unlock()
	p.tell()
}

// absent takes in that the leader, when its last sequence was that, had only these sessions. Their revision stays: they lapsed unseen, and
// the next renewal has a higher one than the last.
func (p *picture) absent(keys map[string]bool, last uint64) {
	changed := false
	p.mu.Lock()
	for key, e := range p.sessions {
		if !keys[key] && e.Revision <= last && e.State == cluster.SessionPresent {
			e.State, e.ended, changed = cluster.SessionLapsed, p.clock(), true
		}
	}
	p.mu.Unlock()
	if changed {
		p.tell()
	}
}

// reset forgets a bucket that was made anew: its revisions begin from the start.
func (p *picture) reset(sessions bool) {
	p.mu.Lock()
	if sessions {
		for _, e := range p.sessions {
			e.Revision = 0
		}
	} else {
		p.owners = make([]ownerEntry, len(p.owners))
	}
	p.mu.Unlock()
	p.tell()
}
