package ingress

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"orderyard/configs"
	"orderyard/gateway/admission"
	"orderyard/gateway/wire"
	"orderyard/messages"
)

// listOf repeats an entry so many times, with its number in the place of N.
func listOf(n int, entry string) string {
	list := make([]string, n)
	for i := range list {
		list[i] = strings.ReplaceAll(entry, "N", strconv.Itoa(i))
	}
	return "[" + strings.Join(list, ",") + "]"
}

func reservations(n int) string {
	return listOf(n, `{"reservation_id":"rN","sku":"A","site":"den","quantity":1}`)
}

// TestListThatNeverFits proves that a list with more entries than an idle door ever takes is refused for good, with the bound, and that the
// longest that fits is not: of new work, which leaves an eighth, and of work from inside.
func TestListThatNeverFits(t *testing.T) {
	h, _ := gated(t, 75) // a door of 100
	for _, c := range []struct {
		verb, body, bound string
	}{
		{"reserve", reservations(200), "87"}, {"reserve", reservations(88), "87"}, {"set", listOf(101, `{"sku":"A","site":"den","on_hand":N}`), "100"},
	} {
		a := h.ask(messages.StockSubject(c.verb), c.body)
		h.wantError(a, messages.CodeInvalid, "body")
		if a.Error.Retryable || !strings.Contains(a.Error.Message, "at most "+c.bound) {
			t.Errorf("answer %s, want the bound %s", a.raw, c.bound)
		}
	}
	if a := h.ask(messages.StockSubject("reserve"), reservations(87)); !a.OK {
		t.Errorf("answer %s", a.raw)
	}
	eventually(t, "all room is given back", func() bool { return h.in.inFlight() == 0 })
}

// TestSmallestDoor proves that a door of one takes one, with admission too.
func TestSmallestDoor(t *testing.T) {
	h := openHouseWith(t, func(o *Options) { o.Admission, o.Limits.RequestsMax = &admission.Options{Min: 1}, 1 })
	if a := h.ask(messages.PlaceSubject("web"), goodOrder); !a.OK {
		t.Errorf("answer %s", a.raw)
	}
}

// TestLeastConfiguredDoor proves that the least inflight_max which a configuration may have takes the longest list of the contract, and that
// one less, which would not, is not accepted.
func TestLeastConfiguredDoor(t *testing.T) {
	for _, admitted := range []bool{true, false} {
		least := 0
		for n := wire.BatchMax - 1; least == 0; n++ {
			file := fmt.Sprintf("limits: {inflight_max: %d}\nadmission: {enabled: %v}\n", n, admitted)
			if _, _, err := configs.Parse(configs.Default(), "f", []byte(file), nil); err == nil {
				least = n
			}
		}
		for n, fits := range map[int]bool{least: true, least - 1: false} {
			h := openHouseWith(t, func(o *Options) {
				if o.Limits.RequestsMax = n; admitted {
					o.Admission = &admission.Options{}
				}
			})
			h.actors.quick = true
			if a := h.ask(messages.StockSubject("reserve"), reservations(wire.BatchMax)); a.OK != fits {
				t.Errorf("admission %v: a door of %d, the least %d: %.200s", admitted, n, least, a.raw)
			}
		}
	}
}
