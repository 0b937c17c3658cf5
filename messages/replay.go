package messages

import (
	"bytes"

	"google.golang.org/protobuf/encoding/protowire"
)

// typePlanAdopted is the number of PlanAdopted.
const typePlanAdopted = 2

// ReplayEvent reads an event back for a state machine. It is DecodeEvent but for the evidence of a plan, which is most of an order's history and
// which no state machine looks at: it stays as it lies, and is written as it was read.
func ReplayEvent(r *EventRecord) (Event, error) {
	if r.Type == typePlanAdopted {
		if e := replayPlan(r.Data); e != nil {
			return e, nil
		}
	}
	return DecodeEvent(r)
}

// The fields of PlanAdopted and of Plan that matter here.
const (
	fieldPlan     = 1
	fieldDecision = 6
)

// replayPlan reads a PlanAdopted without its decision record; nil when it is not written in the usual order, or not to be read at all.
func replayPlan(data []byte) Event {
	number, kind, n := protowire.ConsumeTag(data)
	if n < 0 || number != fieldPlan || kind != protowire.BytesType {
		return nil
	}
	plan, size := protowire.ConsumeBytes(data[n:])
	if size < 0 {
		return nil
	}
	e := new(PlanAdopted)
	if err := e.UnmarshalVT(data[n+size:]); err != nil || e.Plan != nil {
		return nil
	}
	at := decisionAt(plan)
	if at < 0 {
		return nil
	}
	e.Plan = new(Plan)
	if err := e.Plan.UnmarshalVT(plan[:at]); err != nil || len(e.Plan.unknownFields) > 0 {
		return nil
	}
	e.Plan.unknownFields = bytes.Clone(plan[at:])
	return e
}

// decisionAt says where a plan's last field begins, if that is its decision record; −1 when it is not.
func decisionAt(plan []byte) int {
	for at := 0; at < len(plan); {
		number, kind, n := protowire.ConsumeTag(plan[at:])
		if n < 0 {
			return -1
		}
		size := protowire.ConsumeFieldValue(number, kind, plan[at+n:])
		if size < 0 {
			return -1
		}
		if number == fieldDecision {
			if kind == protowire.BytesType && at+n+size == len(plan) {
				return at
			}
			return -1
		}
		at += n + size
	}
	return -1
}
