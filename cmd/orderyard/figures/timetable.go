package figures

import "time"

// Timetable is an open loop: the moments at which requests are due, evenly apart, whatever became of those before. A request that is sent late
// because the sender or the server was busy still counts from the moment it was due. A loop that waits for answers would leave out just the
// requests that a stall would have hit (coordinated omission).
type Timetable struct {
	Begin time.Time
	Rate  float64 // requests per second; above 0
}

// Due is the moment of request n, counted from 0. It is computed from the beginning, so that errors do not add up.
func (t Timetable) Due(n int64) time.Time {
	whole := int64(t.Rate)
	if float64(whole) == t.Rate { // without a fraction, exact in integers for centuries
		return t.Begin.Add(time.Duration(n/whole)*time.Second + time.Duration(n%whole*int64(time.Second)/whole))
	}
	return t.Begin.Add(time.Duration(float64(n) / t.Rate * float64(time.Second)))
}

// Count is how many requests are due within d.
func (t Timetable) Count(d time.Duration) int64 {
	n := int64(d.Seconds() * t.Rate)
	for n > 0 && t.Due(n-1).Sub(t.Begin) >= d {
		n--
	}
	for t.Due(n).Sub(t.Begin) < d {
		n++
	}
	return n
}

// Behind is how late now is for request n; 0 when it is early.
func (t Timetable) Behind(n int64, now time.Time) time.Duration {
	return max(now.Sub(t.Due(n)), 0)
}
