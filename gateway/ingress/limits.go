package ingress

import "time"

// Limits names the largest size of everything that could grow here. Zero takes the default.
type Limits struct {
	// RequestsMax is how many commands of one door may wait for their answer: enough to keep a commit pipeline full many times
	// over, small enough that a stuck journal is felt by callers at once.
	RequestsMax int
	// BytesMax is how many bytes of requests one door may hold.
	BytesMax int64
	// Deadline is how long a request without Oy-Deadline-Ms waits.
	Deadline time.Duration
	// Grace is how long the door waits behind a deadline before it answers `timeout` for the actor.
	Grace time.Duration
	// IntakeMax is how many intake messages a node may have open at once.
	IntakeMax int
	// IntakeWait is how long an intake message may be open before it is delivered again.
	IntakeWait time.Duration
	// DeadPerSecond is how many undecodable requests per second are kept as dead letters; the intake is not limited by it.
	DeadPerSecond int
	// Responders is how many goroutines per door encode answers.
	Responders int
}

// DefaultLimits are the limits of a production node.
func DefaultLimits() Limits {
	return Limits{
		RequestsMax: 8192, BytesMax: 64 << 20, Deadline: 5 * time.Second, Grace: 250 * time.Millisecond,
		IntakeMax: 512, IntakeWait: 30 * time.Second, DeadPerSecond: 100, Responders: 2,
	}
}

func (l Limits) withDefaults() Limits {
	d := DefaultLimits()
	for _, one := range []struct{ have, want *int }{
		{&l.RequestsMax, &d.RequestsMax}, {&l.IntakeMax, &d.IntakeMax}, {&l.DeadPerSecond, &d.DeadPerSecond}, {&l.Responders, &d.Responders},
	} {
		if *one.have <= 0 {
			*one.have = *one.want
		}
	}
	for _, one := range []struct{ have, want *time.Duration }{
		{&l.Deadline, &d.Deadline}, {&l.Grace, &d.Grace}, {&l.IntakeWait, &d.IntakeWait},
	} {
		if *one.have <= 0 {
			*one.have = *one.want
		}
	}
	if l.BytesMax <= 0 {
		l.BytesMax = d.BytesMax
	}
	return l
}

const (
	// deadlineMax bounds what a caller may ask for: a request is no subscription.
	deadlineMax = time.Minute
	// absoluteFrom tells a moment from a duration in Oy-Deadline-Ms: no duration is three years long.
	absoluteFrom = 100_000_000_000
	// commandIDMax bounds an idempotency key.
	commandIDMax = 128
	// newWorkMax eighths of a door's fixed limits are for who asks the gate. The rest is for what is inside already.
	newWorkMax = 7
	// shedRetryAfterMs is when a caller may come back who met a fixed limit: a few commits later.
	shedRetryAfterMs = 50
)
