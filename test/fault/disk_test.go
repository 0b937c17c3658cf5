//go:build fault && linux

package fault

import (
	"testing"
	"time"

	"orderyard/messages"
	"orderyard/test/fault/load"
	"orderyard/test/fault/world"
)

const (
	diskBytes  = 96 << 20
	roomMax    = 5 * time.Second // F11: from space to commits everywhere
	fullPause  = 10 * time.Second
	fullSettle = 2 * time.Second // what was under way is answered, one way or the other
)

// fullDisk is a row about a disk that fills up, or says why it cannot be.
func fullDisk(t *testing.T, id, fault string, o world.Options) *scene {
	t.Helper()
	row := results.Row(id, fault, "no ack without append; sheds with `unavailable`; commits ≤ 5 s after space returns")
	if err := world.DisksAllowed(); err != nil {
		row.Say("%v", err)
		row.Close(false, true)
		t.Skip(err)
	}
	o.DiskBytes = diskBytes
	return setUp(t, row, o, cast{load: load.Options{EventsMayBeLost: !o.Dev}})
}

// fill fills a disk and lets some time pass. Nothing may be acknowledged meanwhile, and those who ask must be told to come back.
func (s *scene) fill(d *world.Disk) {
	s.Helper()
	s.must("fill the disk", d.Fill())
	from := time.Now().Add(fullSettle)
	time.Sleep(fullPause) // the full disk is the subject
	to := time.Now()
	acks := 0
	for p := range s.w.Partitions() {
		for _, a := range s.probe.Acks(p) {
			if a.Sent.After(from) && a.Told.Before(to) {
				acks++
			}
		}
	}
	told := s.probe.Tally().Between(from, to.Add(-5*time.Second))
	s.row.Say("full: %d acks; writers were told %v", acks, told)
	s.require(acks == 0, "%d commits were acknowledged on a full disk", acks)
	s.require(told[messages.CodeUnavailable] > 0, "no writer was told `unavailable`: %v", told)
	s.require(told.Bad() == 0, "answers that no client may see: %v", told)
}

// TestF11Disk proves that a full disk under the journal costs the time that it is full and nothing else: what does not fit is not acknowledged,
// and once there is room and NATS was started again (it stays off until then) everything goes on. Of public events a lone server may lose what it had
// acknowledged and not written: it is counted.
func TestF11Disk(t *testing.T) {
	s := fullDisk(t, "F11", "the NATS server's disk full for 10 s, room, NATS restarted", world.Options{Nodes: 3})
	for range sized(3, 1) {
		server := s.w.Servers[0]
		s.fill(server.Disk)
		s.must("empty the disk", server.Disk.Empty())
		room := time.Now()
		server.Kill()
		s.must("restart NATS", server.Start())
		took, err := s.probe.Everywhere(room, time.Minute)
		s.must("commit again", err)
		s.row.Lead("commits everywhere %v after there was room", ms(took))
		s.require(took <= roomMax, "commits %v after there was room, at most %v", ms(took), roomMax)
		time.Sleep(2 * time.Second) // some work between two full disks
	}
	s.audit()
}

// TestF11Dev proves the same of `orderyard dev`, which is its own NATS server and has nobody to restart it.
func TestF11Dev(t *testing.T) {
	s := fullDisk(t, "F11d", "the disk of `orderyard dev` full for 10 s, room", world.Options{Dev: true})
	for range sized(3, 1) {
		n := s.w.Nodes[0]
		s.fill(n.Disk)
		s.must("empty the disk", n.Disk.Empty())
		took, err := s.probe.Everywhere(time.Now(), time.Minute)
		s.must("commit again", err)
		s.row.Lead("commits everywhere %v after there was room", ms(took))
		s.require(took <= roomMax, "commits %v after there was room, at most %v", ms(took), roomMax)
		time.Sleep(2 * time.Second) // some work between two full disks
	}
	s.audit()
}
