package cluster_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"orderyard/cluster"
	"orderyard/messages"
	"orderyard/persistence"
)

// Proves what a steward does in every situation that has a name, by stories: the records and phases as one node sees them, then what
// it wants done. See the head of testdata/steward.txt for the notation.
func TestStewardStories(t *testing.T) {
	datadriven.RunTest(t, "testdata/steward.txt", func(t *testing.T, d *datadriven.TestData) string {
		v := storyView(t, d)
		if d.Cmd != "decide" {
			t.Fatalf("%s: unknown command %s", d.Pos, d.Cmd)
		}
		var out strings.Builder
		for _, a := range cluster.Decide(v) {
			fmt.Fprintf(&out, "%s %d", a.Kind, a.Partition)
			if a.Record != nil {
				fmt.Fprintf(&out, ": %s", storyRecord(a.Record))
			}
			if a.Kind == cluster.ActTellWarm {
				fmt.Fprintf(&out, ": %s", a.To)
			}
			if a.Mark.Position > 0 {
				fmt.Fprintf(&out, " from %d/%d", a.Mark.Position, a.Mark.Number)
			}
			if a.Late {
				out.WriteString(" late")
			}
			out.WriteByte('\n')
		}
		if out.Len() == 0 {
			return "nothing\n"
		}
		return out.String()
	})
}

func storyRecord(o *messages.PartitionOwner) string {
	s := strings.ToLower(strings.TrimPrefix(o.Phase.String(), "OWNER_")) + " " + o.Incarnation
	if o.Next != "" {
		s += ">" + o.Next
	}
	if o.Position > 0 {
		s += fmt.Sprintf(" mark %d/%d", o.Position, o.Number)
	}
	return s
}

func storyView(t *testing.T, d *datadriven.TestData) *cluster.View {
	v := &cluster.View{
		Now: time.Minute, Dead: map[string]bool{}, MovesMax: 4, WarmWithin: 10 * time.Second,
		Map: &cluster.Map{Self: "a"},
	}
	for _, arg := range d.CmdArgs {
		switch arg.Key {
		case "members":
			for _, word := range arg.Vals {
				v.Map.Members = append(v.Map.Members, storyMember(t, word))
			}
		case "dead":
			for _, id := range arg.Vals {
				v.Dead[id] = true
			}
		case "moves":
			v.MovesMax = storyNumber(t, arg.Vals[0])
		case "draining": // for how many seconds still
			v.Draining = true
			v.ReleaseAt = v.Now + time.Duration(storyNumber(t, arg.Vals[0]))*time.Second
			i := slices.IndexFunc(v.Map.Members, func(m *messages.NodeSession) bool { return m.Incarnation == "a" })
			v.Map.Members[i].Draining = true
		default:
			t.Fatalf("%s: unknown argument %s", d.Pos, arg.Key)
		}
	}
	for i, line := range strings.Split(strings.TrimSpace(d.Input), "\n") {
		record, spot, _ := strings.Cut(line, "|")
		v.Map.Owners = append(v.Map.Owners, storyOwner(t, record, uint64(100+i)))
		v.Spots = append(v.Spots, storySpot(t, spot, uint64(100+i), v.Now))
	}
	return v
}

func storyNumber(t *testing.T, s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func storyMember(t *testing.T, word string) *messages.NodeSession {
	parts := strings.Split(word, "/")
	m := &messages.NodeSession{Node: "node-" + parts[0], Incarnation: parts[0], Weight: 1, Ready: true}
	for _, flag := range parts[1:] {
		switch flag {
		case "draining":
			m.Draining = true
		case "unready":
			m.Ready = false
		default:
			m.Weight = uint32(storyNumber(t, flag))
		}
	}
	return m
}

// storyOwner reads "none", "owned a", "moving a>b", "released a>b mark 7/3".
func storyOwner(t *testing.T, text string, revision uint64) cluster.OwnerAt {
	words := strings.Fields(text)
	if words[0] == "none" {
		return cluster.OwnerAt{}
	}
	o := &messages.PartitionOwner{Phase: messages.OwnerPhase(messages.OwnerPhase_value["OWNER_"+strings.ToUpper(words[0])])}
	o.Incarnation, o.Next, _ = strings.Cut(words[1], ">")
	if len(words) == 4 {
		position, number, _ := strings.Cut(words[3], "/")
		o.Position, o.Number = uint64(storyNumber(t, position)), uint64(storyNumber(t, number))
	}
	return cluster.OwnerAt{PartitionOwner: o, Revision: revision}
}

// storySpot reads "serving", "closed mark 9/4", "warm told", "since 3" (seconds ago), "busy offer", "resting", "just open".
func storySpot(t *testing.T, text string, revision uint64, now time.Duration) cluster.Spot {
	s := cluster.Spot{Since: now - time.Second, Sure: true}
	words := strings.Fields(text)
	for i := 0; i < len(words); i++ {
		next := func() string { i++; return words[i] }
		switch words[i] {
		case "unsure":
			s.Sure = false
		case "told":
			s.WarmAt = revision
		case "told-before":
			s.WarmAt = revision - 1
		case "since":
			s.Since = now - time.Duration(storyNumber(t, next()))*time.Second
		case "resting":
			s.Rest = now + time.Second
		case "busy":
			s.Busy = storyAction(t, next())
		case "just":
			s.Last, s.LastAt, s.LastAbout, s.LastIn = storyAction(t, next()), now-100*time.Millisecond, revision, s.Phase
		case "mark":
			position, number, _ := strings.Cut(next(), "/")
			s.Mark = persistence.Mark{Position: uint64(storyNumber(t, position)), Number: uint64(storyNumber(t, number))}
		default:
			s.Phase = storyPhase(t, words[i])
		}
	}
	return s
}

func storyPhase(t *testing.T, word string) cluster.Phase {
	for p := cluster.PhaseIdle; p <= cluster.PhaseClosed; p++ {
		if p.String() == word {
			return p
		}
	}
	t.Fatalf("no phase %q", word)
	return 0
}

func storyAction(t *testing.T, word string) cluster.ActionKind {
	for k := cluster.ActClaim; k <= cluster.ActDrop; k++ {
		if strings.ReplaceAll(k.String(), " ", "-") == word {
			return k
		}
	}
	t.Fatalf("no action %q", word)
	return 0
}
