package bus

import "time"

const (
	// PartBytesMax bounds one message: half of what a NATS server takes by default.
	PartBytesMax = 512 << 10
	// ServeMax bounds the asks of one word that are answered at once; more are refused with ErrBusy.
	ServeMax = 16
	// PingFor is how long a ping waits when its context names no deadline. A living process answers within a millisecond, a
	// busy one within ten.
	PingFor = 100 * time.Millisecond

	// windowParts is how many parts may be under way to the asker: 8 MiB at most. It acknowledges twice per window, so a
	// fast asker never makes the sender wait.
	windowParts = 16
	ackEvery    = windowParts / 2
	// stallFor ends an answer whose asker lives and takes nothing.
	stallFor = 10 * time.Second
	// quietFor is how long an asker hears nothing before it looks whether the asked process still lives.
	quietFor = time.Second
	// flushFor bounds how long Open and Close wait for the server to know.
	flushFor = 2 * time.Second
)
