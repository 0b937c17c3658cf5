package cluster

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"orderyard/messages"
)

// Proves who counts as living and who as dead, by stories: what this node hears at which moment, then whom it pings and what it
// concludes. See the head of testdata/roster.txt for the notation.
func TestRosterStories(t *testing.T) {
	datadriven.RunTest(t, "testdata/roster.txt", func(t *testing.T, d *datadriven.TestData) string {
		s := &rosterStory{r: newRoster(&messages.NodeSession{Incarnation: "me", Node: "node-me"}, time.Second), picture: Picture{Owners: make([]OwnerAt, 4)}}
		var out strings.Builder
		for _, line := range strings.Split(strings.TrimSpace(d.Input), "\n") {
			said := s.line(t, strings.Fields(line))
			out.WriteString(strings.TrimRight(fmt.Sprintf("%-24s %s", line, said), " ") + "\n")
		}
		return out.String()
	})
}

type rosterStory struct {
	r       *roster
	picture Picture
	last    uint64
}

// line carries out "<ms> connect|break|tick", "<ms> before <who>" (is there when this node comes), "<ms> renews|lapses|leaves <who>", "<ms> owns <who>", "<ms> hint|proven <who>", "<ms> reads" (the
// arbiter was read) or "<ms> alive|gone|silent <who>", the latter an answer to a ping just sent.
func (s *rosterStory) line(t *testing.T, words []string) string {
	var ms int
	if _, err := fmt.Sscan(words[0], &ms); err != nil {
		t.Fatal(err)
	}
	now := time.Duration(ms) * time.Millisecond
	var who string
	if len(words) > 2 {
		who = words[2]
	}
	switch words[1] {
	case "connect":
		s.r.connection(s.r.connections+1, true, now)
	case "break":
		s.r.connection(s.r.connections, false, now)
	case "renews", "before":
		node, _, _ := strings.Cut(who, "-") // a-2 is the second life of node-a
		s.session(who, SessionPresent, &messages.NodeSession{Node: "node-" + node, Incarnation: who})
	case "lapses":
		s.session(who, SessionLapsed, nil)
	case "leaves":
		s.session(who, SessionEnded, nil)
	case "owns":
		s.last++
		o := &messages.PartitionOwner{Incarnation: who, Phase: messages.OwnerPhase_OWNER_OWNED}
		s.picture.Owners[0] = OwnerAt{PartitionOwner: o, Revision: s.last}
	case "hint":
		s.r.hint(who, "a hint", false, now)
	case "proven":
		s.r.hint(who, "another has proven it dead", true, now)
	case "alive":
		s.r.pinged(who, Alive, s.r.connections, now-time.Millisecond, now)
	case "gone":
		s.r.pinged(who, Gone, s.r.connections, now-time.Millisecond, now)
	case "silent":
		s.r.pinged(who, Silent, s.r.connections, now-s.r.within(who), now)
	case "late": // an answer that was asked for on the connection before
		s.r.pinged(who, Gone, s.r.connections-1, now, now)
	case "reads": // what the arbiter itself has
		s.r.read(now)
	case "tick":
	default:
		t.Fatalf("no word %q", words[1])
	}
	if words[1] != "before" {
		s.r.see(&s.picture, now)
	}
	var said []string
	for _, e := range s.r.events {
		said = append(said, strings.TrimSpace(e.kind+" "+e.incarnation+" "+e.reason))
	}
	s.r.events = nil
	for _, o := range s.r.pings(now) {
		said = append(said, fmt.Sprintf("ping %s for %s", o.incarnation, o.within))
	}
	if s.r.asks() {
		said = append(said, "read")
	}
	return strings.Join(said, "; ")
}

// within is how long the ping under way to somebody waits.
func (r *roster) within(id string) time.Duration {
	if p := r.peers[id]; p.state == SessionPresent && p.missed < 2 {
		return pingFirst
	}
	return pingWithin
}

func (s *rosterStory) session(who string, state SessionState, words *messages.NodeSession) {
	s.last++
	i := slices.IndexFunc(s.picture.Sessions, func(a SessionAt) bool { return a.Incarnation == who })
	if i < 0 {
		i = len(s.picture.Sessions)
		s.picture.Sessions = append(s.picture.Sessions, SessionAt{Incarnation: who})
	}
	at := &s.picture.Sessions[i]
	at.Revision, at.State = s.last, state
	if words != nil {
		at.Session = words
	}
}

// Proves that the roster has a limit, that the dead are forgotten after a while unless a record names them, and that only so many are
// pinged at once.
func TestRosterLimits(t *testing.T) {
	r := newRoster(&messages.NodeSession{Incarnation: "me", Node: "node-me"}, time.Second)
	r.connection(1, true, 0)
	picture := Picture{Owners: make([]OwnerAt, 1)}
	for i := range MembersMax + 10 {
		id := fmt.Sprintf("p%04d", i)
		picture.Sessions = append(picture.Sessions, SessionAt{Incarnation: id, Revision: uint64(i + 1), Session: &messages.NodeSession{Incarnation: id}})
	}
	r.see(&picture, 0)
	if n := len(r.members(&messages.NodeSession{Incarnation: "me"})); n != MembersMax+1 {
		t.Fatalf("%d members", n)
	}
	for i := range picture.Sessions {
		r.hint(picture.Sessions[i].Incarnation, "a hint", false, time.Second)
	}
	if n := len(r.pings(time.Second)); n != pingsMax {
		t.Fatalf("%d pings at once", n)
	}
	picture.Owners[0] = OwnerAt{PartitionOwner: &messages.PartitionOwner{Incarnation: "p0003", Phase: messages.OwnerPhase_OWNER_OWNED}, Revision: 1}
	for i := range picture.Sessions {
		picture.Sessions[i].State = SessionEnded
	}
	r.see(&picture, 2*time.Second)
	if n := len(r.dead()); n != MembersMax {
		t.Fatalf("%d dead", n)
	}
	picture.Sessions = nil
	r.see(&picture, forgetAfter+3*time.Second)
	if dead := r.dead(); len(dead) != 1 || !dead["p0003"] {
		t.Fatalf("%d are remembered", len(dead))
	}
}

// Proves that those who have left keep nobody from being noticed, however many they are: by more of them than the roster has places for, who left before they
// were seen or after, and a node that comes last. One that a record still names is known to have left, whichever it was.
func TestRosterMakesRoom(t *testing.T) {
	for _, seen := range []bool{false, true} {
		r := newRoster(&messages.NodeSession{Incarnation: "me", Node: "node-me"}, time.Second)
		r.connection(1, true, 0)
		picture := Picture{Owners: make([]OwnerAt, 1)}
		picture.Owners[0] = OwnerAt{PartitionOwner: &messages.PartitionOwner{Incarnation: "p0003", Phase: messages.OwnerPhase_OWNER_OWNED}, Revision: 1}
		come := func(id string, i int) *SessionAt {
			picture.Sessions = append(picture.Sessions, SessionAt{Incarnation: id, Revision: uint64(2*i + 2), Session: &messages.NodeSession{Incarnation: id}})
			return &picture.Sessions[i]
		}
		for i := range MembersMax + 10 {
			at := come(fmt.Sprintf("p%04d", i), i)
			if seen {
				r.see(&picture, time.Duration(i)*time.Millisecond)
			}
			at.Revision, at.State = at.Revision+1, SessionEnded
			r.see(&picture, time.Duration(i)*time.Millisecond)
		}
		come("z", MembersMax+10)
		r.see(&picture, 2*time.Second)
		if members := r.members(&messages.NodeSession{Incarnation: "me"}); len(members) != 2 || members[1].Incarnation != "z" {
			t.Errorf("seen before they left %v: %d members", seen, len(members))
		}
		if !r.dead()["p0003"] {
			t.Errorf("seen before they left %v: the owner is not known to have left", seen)
		}
	}
}
