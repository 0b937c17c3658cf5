package ingress

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"orderyard/messages"
)

// TestDeadline proves that Oy-Deadline-Ms is a duration or a moment, is bounded, and has a default.
func TestDeadline(t *testing.T) {
	now := time.UnixMilli(1_795_338_000_000)
	for _, c := range []struct {
		text string
		want int64 // ms from now; 0 = refused
	}{{"", 5000}, {"800", 800}, {"999999", 60_000}, {"1795338000500", 500}, {"1", 1}, {"0", 0}, {"-5", 0}, {"soon", 0}, {"9223372036854775808", 0}} {
		h := nats.Header{}
		if c.text != "" {
			h.Set(messages.HeaderDeadlineMs, c.text)
		}
		got, f := deadline(h, now.UnixMilli(), 5*time.Second)
		if c.want == 0 && f == nil || c.want != 0 && (f != nil || got-now.UnixMilli() != c.want) {
			t.Errorf("%q: %d %v, want %d", c.text, got-now.UnixMilli(), f, c.want)
		}
	}
}

// FuzzHeaders looks for headers that make the door panic, or give a deadline without bound or a key without its prefix.
func FuzzHeaders(f *testing.F) {
	f.Add("800", "k-1")
	f.Add("9223372036854775807", "\x00")
	f.Fuzz(func(t *testing.T, ms, id string) {
		h := nats.Header{messages.HeaderDeadlineMs: {ms}, messages.HeaderCommandID: {id}}
		now := time.Now()
		if at, failure := deadline(h, now.UnixMilli(), time.Second); failure == nil && at > now.Add(deadlineMax).UnixMilli() {
			t.Errorf("deadline %d of %q", at, ms)
		}
		if key, failure := commandID(h); failure == nil && key != "" && key != "client/"+id {
			t.Errorf("key %q of %q", key, id)
		}
		if headerText(ms+id) != headerText(headerText(ms+id)) {
			t.Errorf("header text of %q is not stable", ms+id)
		}
	})
}
