package cluster

import (
	"context"

	"orderyard/messages"
)

// Liveness is what a ping found out about a process.
type Liveness uint8

const (
	Silent Liveness = iota // no answer in time: slow, stopped, cut off, or so are we
	Alive                  // it answered
	Gone                   // the server knows nobody of that name
)

func (l Liveness) String() string { return [...]string{"silent", "alive", "gone"}[l] }

// Bus is how a keeper speaks with another node's keeper. It may be called concurrently.
type Bus interface {
	// Ping asks whether a process lives and waits until ctx ends at the longest.
	Ping(ctx context.Context, incarnation string) Liveness
	// Ask sends a question and hands over the parts of the answer.
	Ask(ctx context.Context, incarnation, what string, body []byte, part func([]byte) error) error
	// Serve answers what this process is asked under a word, each ask on a goroutine of its own.
	Serve(what string, fn func(ctx context.Context, body []byte, send func([]byte) error) error) error
}

// SessionState says how a session stands in the registry.
type SessionState uint8

const (
	SessionPresent SessionState = iota // the key is there: renewed within its time
	SessionLapsed                      // the key went away by itself
	SessionEnded                       // its process took the key away: it has left
)

// SessionAt is a session with its revision. A lapsed or ended one keeps its last words, if any were heard.
type SessionAt struct {
	Incarnation string
	Session     *messages.NodeSession // nil when only the end was heard
	Revision    uint64
	State       SessionState
}

// Picture is what the registry knows at a moment. The slices are the caller's, what they point to is not to be changed.
type Picture struct {
	Sessions []SessionAt // by incarnation
	Owners   []OwnerAt   // one per partition
}

// Registry is where sessions and ownership are kept: the arbiter. It may be called concurrently.
type Registry interface {
	// OnChange has fn called after every change of the picture or of the connection. fn must return at once.
	OnChange(fn func())
	// Picture gives what is known. It may lag behind the truth, never by more than a moment while the connection is up.
	Picture() Picture
	// Connection says whether the arbiter can be reached, and counts the connections, so that a short break is noticed too.
	Connection() (count uint64, up bool)
	// Refresh returns when the picture is as new as the arbiter was at the time of the call.
	Refresh(ctx context.Context) error
	// PutSession stores or renews a session. Repeating is what it is for.
	PutSession(ctx context.Context, s *messages.NodeSession) error
	// EndSession takes a session away: its process leaves. Ending again does nothing.
	EndSession(ctx context.Context, incarnation string) error
	// SetOwner replaces a partition's record if its revision is still the given one (0 = there is none); else persistence.ErrConflict.
	// When the outcome of an attempt is unknown it reads the record and judges. On success and on conflict the picture has the
	// present record already.
	SetOwner(ctx context.Context, partition int, owner *messages.PartitionOwner, revision uint64) error
}
