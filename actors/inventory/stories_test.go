package inventory

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"orderyard/messages"
)

// TestStories proves that the bucket tells the glossary's stories: each file is a sequence of commands with the events, the answer and
// the ATP that follow, and after each command the state survives a round trip through its bytes.
func TestStories(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		d := newDriver()
		datadriven.RunTest(t, path, func(t *testing.T, td *datadriven.TestData) string {
			out := d.tell(t, td)
			b := d.s.MarshalState()
			restored, err := UnmarshalState(b)
			if err != nil {
				t.Fatalf("%s: %v", td.Pos, err)
			}
			if !bytes.Equal(b, restored.MarshalState()) {
				t.Fatalf("%s: the restored state has other bytes", td.Pos)
			}
			return out
		})
	})
}

// tell runs one directive of a story.
func (d *driver) tell(t *testing.T, td *datadriven.TestData) string {
	var out strings.Builder
	print := func(events []messages.Event) {
		for _, e := range events {
			fmt.Fprintln(&out, describe(e))
		}
	}
	switch td.Cmd {
	case "wait":
		pause, err := time.ParseDuration(td.CmdArgs[0].Key)
		if err != nil {
			t.Fatalf("%s: %v", td.Pos, err)
		}
		print(d.wait(pause.Milliseconds()))
		fmt.Fprintf(&out, "now=%d atp=%d\n", d.now, ATP(d.s))
	case "late":
		// Time passes and nobody wakes the bucket.
		pause, err := time.ParseDuration(td.CmdArgs[0].Key)
		if err != nil {
			t.Fatalf("%s: %v", td.Pos, err)
		}
		d.now += pause.Milliseconds()
		fmt.Fprintf(&out, "now=%d\n", d.now)
	case "tasks":
		for _, task := range Tasks(d.s, d.now, nil) {
			fmt.Fprintf(&out, "%s to %s due=%d %s\n", task.ID, task.To, task.Due, messages.EventName(task.Command))
		}
	case "incoming":
		d.s.incoming = append(d.s.incoming, &messages.Incoming{Quantity: arg(td, "qty"), Reference: text(td, "ref")})
	case "view":
		fmt.Fprintln(&out, View(d.s).String())
		return normalizeSpace(out.String())
	default:
		events, reply, err := d.do(command(t, td))
		print(events)
		if text := describeReply(reply, err); text != "" {
			fmt.Fprintln(&out, "→", text)
		}
	}
	return out.String()
}

// normalizeSpace undoes the random double spaces of protobuf's text form.
func normalizeSpace(s string) string { return strings.Join(strings.Fields(s), " ") + "\n" }

func arg(td *datadriven.TestData, name string) int64 {
	value := text(td, name)
	if value == "" {
		return 0
	}
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil {
		panic(fmt.Sprintf("%s: %v", td.Pos, err))
	}
	return n
}

func text(td *datadriven.TestData, name string) string {
	for _, a := range td.CmdArgs {
		if a.Key == name && len(a.Vals) == 1 {
			return a.Vals[0]
		}
	}
	return ""
}

func has(td *datadriven.TestData, name string) bool {
	for _, a := range td.CmdArgs {
		if a.Key == name {
			return true
		}
	}
	return false
}

// command reads a directive as a command; the first argument is the reservation.
func command(t *testing.T, td *datadriven.TestData) messages.Command {
	id := ""
	if len(td.CmdArgs) > 0 && len(td.CmdArgs[0].Vals) == 0 {
		id = td.CmdArgs[0].Key
	}
	switch td.Cmd {
	case "reserve":
		return &messages.ReserveStock{
			Sku: text(td, "sku"), ReservationId: id, Quantity: arg(td, "qty"), HoldForMs: arg(td, "hold"), OrderId: text(td, "order"),
			Priority: int32(arg(td, "priority")), PromiseMs: arg(td, "promise"), Firm: has(td, "firm"),
		}
	case "confirm":
		return &messages.ConfirmReservation{ReservationId: id}
	case "cancel":
		return &messages.CancelReservation{ReservationId: id, RejectReason: text(td, "reason"), RejectedQuantity: arg(td, "qty"), RejectedAtMs: arg(td, "at")}
	case "ship":
		return &messages.ShipStock{ReservationId: id, Quantity: arg(td, "qty")}
	case "keep":
		return &messages.KeepClaim{ReservationId: id}
	case "count":
		return &messages.SetStock{
			OnHand: arg(td, "on_hand"), AsOfMs: arg(td, "as_of"), HasSafetyStock: has(td, "safety"), SafetyStock: arg(td, "safety"),
			HasUnsellable: has(td, "unsellable"), Unsellable: arg(td, "unsellable"),
		}
	case "adjust":
		return &messages.AdjustStock{Delta: arg(td, "delta"), Reason: text(td, "reason")}
	case "receive":
		return &messages.ReceiveStock{Quantity: arg(td, "qty"), Reference: text(td, "ref")}
	case "get":
		return new(messages.GetStock)
	case "expire":
		return new(messages.ExpireReservations)
	case "told":
		reply := new(messages.Reply)
		if code := text(td, "failure"); code != "" {
			reply.Failure = messages.Fail(code, "", "no")
		}
		return &messages.TaskResult{TaskId: id, Reply: reply}
	case "order":
		return new(messages.GetOrder)
	}
	t.Fatalf("%s: unknown directive %s", td.Pos, td.Cmd)
	return nil
}
