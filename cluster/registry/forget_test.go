package registry_test

import (
	"sync/atomic"
	"testing"
	"time"

	"orderyard/cluster/registry"
)

// Proves that sessions which are over vanish from the picture after ten minutes, not sooner, though the connection lasts and nobody reads the buckets
// afresh, by a clock that is set ahead. One that came back lately stays.
func TestForgets(t *testing.T) {
	s := startServer(t)
	var ahead atomic.Int64
	clock := func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	r, err := registry.Open(t.Context(), s.connect(), registry.Options{Partitions: partitions, TTL: ttl, Clock: clock})
	must(t, err)
	t.Cleanup(r.Close)
	other := s.open()
	for _, who := range []string{"left", "lapsed", "back"} {
		must(t, other.PutSession(t.Context(), session(who)))
	}
	must(t, other.EndSession(t.Context(), "left"))
	eventually(t, "all are over", func() bool {
		return state(r, "left") == "ended" && state(r, "lapsed") == "lapsed" && state(r, "back") == "lapsed"
	})
	ahead.Store(int64(9 * time.Minute))
	must(t, other.PutSession(t.Context(), session("back")))
	eventually(t, "one is back", func() bool { return state(r, "back") == "present" })
	if left, lapsed := state(r, "left"), state(r, "lapsed"); left != "ended" || lapsed != "lapsed" {
		t.Errorf("after nine minutes %q and %q", left, lapsed)
	}
	ahead.Store(int64(11 * time.Minute))
	if left, lapsed, back := state(r, "left"), state(r, "lapsed"), state(r, "back"); left != "" || lapsed != "" || back == "" {
		t.Errorf("after eleven minutes %q, %q and %q", left, lapsed, back)
	}
	if count, up := r.Connection(); count != 1 || !up {
		t.Errorf("connection %d, up %v", count, up)
	}
}
