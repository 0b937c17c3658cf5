package sim

import (
	"testing"

	"orderyard/messages"
)

// neverHappens are the events that no history writes, with the reason.
var neverHappens = map[uint32]string{}

// Proves that the simulation drives all there is: in a few hundred seeds each event of every kind of entity is written. What is never written is never
// checked, and nobody notices.
func TestEverythingHappens(t *testing.T) {
	sum, _ := Seeds(1, 300, Options{}, func(*Result) bool { return true })
	for number := range uint32(len(sum.Happened)) {
		event, err := messages.DecodeEvent(&messages.EventRecord{Type: number})
		if err != nil {
			continue
		}
		times, reason := sum.Happened[number], neverHappens[number]
		switch {
		case times == 0 && reason == "":
			t.Errorf("%s (%d) never happens", messages.EventName(event), number)
		case times > 0 && reason != "":
			t.Errorf("%s (%d) happens %d times, and is listed as what does not: %s", messages.EventName(event), number, times, reason)
		}
		t.Logf("%-26s %7d", messages.EventName(event), times)
	}
}
