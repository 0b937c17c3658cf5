package messages

import (
	"bytes"
	"testing"
)

// Proves that a plan read for a replay has everything but its evidence, and is written again byte for byte, with and without evidence and
// actions; and that what is no plan is an error as it is for DecodeEvent.
func TestReplayEventKeepsEveryByte(t *testing.T) {
	assignments := []*Assignment{{Site: "A", Lines: []*LineQuantity{{Line: 1, Quantity: 2}}, DistanceM: 7}}
	decision := &DecisionRecord{Strategy: "s", Candidates: []*Candidate{{Site: "A", Chosen: true}, {Site: "B", Filter: "f"}}}
	for name, plan := range map[string]*Plan{
		"empty":             {},
		"without evidence":  {PlanNo: 1, Cause: "placed", Assignments: assignments},
		"with evidence":     {PlanNo: 1, Cause: "placed", Assignments: assignments, Short: []*LineQuantity{{Line: 2}}, RulesVersion: "v", Decision: decision},
		"evidence, actions": {PlanNo: 1, Decision: decision, Actions: []*PlanAction{{Do: "hold"}}},
	} {
		event := &PlanAdopted{Plan: plan, FirstFulfillment: 3}
		data, err := event.MarshalVT()
		if err != nil {
			t.Fatal(err)
		}
		record := &EventRecord{Type: EventType(event), Data: data}
		got, err := ReplayEvent(record)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		again, err := got.MarshalVT()
		if err != nil || !bytes.Equal(again, data) {
			t.Errorf("%s: written again as %x, was %x (%v)", name, again, data, err)
		}
		read := got.(*PlanAdopted)
		if read.FirstFulfillment != 3 || read.Plan.PlanNo != plan.PlanNo || len(read.Plan.Assignments) != len(plan.Assignments) || len(read.Plan.Actions) != len(plan.Actions) {
			t.Errorf("%s: read as %v", name, read)
		}
		if name == "with evidence" && read.Plan.Decision != nil {
			t.Error("the evidence was read: the short way is not taken")
		}
		for n := range data {
			if _, err := ReplayEvent(&EventRecord{Type: record.Type, Data: data[:n]}); err != nil && decodes(record.Type, data[:n]) {
				t.Errorf("%s cut at %d: %v", name, n, err)
			}
		}
	}
}

func decodes(number uint32, data []byte) bool {
	_, err := DecodeEvent(&EventRecord{Type: number, Data: data})
	return err == nil
}
