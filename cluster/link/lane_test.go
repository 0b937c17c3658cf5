package link

import (
	"testing"
	"time"
)

// Proves that a peer without an acknowledgement is given up after a second when nothing is heard of it, only after four when it speaks, for then it lives and
// whatever it was asked would be done twice; and that nothing is given up while nothing waits.
func TestSilent(t *testing.T) {
	l, at := DefaultLimits(), func(ms int64) time.Time { return time.UnixMilli(1_000_000 + ms) }
	var n lane
	if n.spokeAt = at(0); n.silent(at(60_000), &l) {
		t.Error("silent although nothing waits")
	}
	n.send(100, at(0))
	for _, tt := range []struct {
		spoke, now int64
		want       bool
	}{
		{0, 900, false},
		{0, 1001, true},
		{500, 1400, false},
		{500, 1501, true},
		{3900, 3999, false},
		{3900, 4001, true},
	} {
		n.spokeAt = at(tt.spoke)
		if got := n.silent(at(tt.now), &l); got != tt.want {
			t.Errorf("heard at %d ms, at %d ms: silent %v, want %v", tt.spoke, tt.now, got, tt.want)
		}
	}
	n.acknowledged(1)
	if n.silent(at(60_000), &l) {
		t.Error("silent although everything is acknowledged")
	}
}
