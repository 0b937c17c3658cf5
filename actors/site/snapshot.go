package site

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"orderyard/messages"
)

// MarshalState writes the state; equal states give equal bytes. Work is written in id order, windows by name, notices by
// sequence, ended work in the order it ended.
func (s *State) MarshalState() []byte {
	out := &messages.SiteState{
		Id: s.id, Doc: s.doc, PausedUntilMs: s.paused.until, PausedReason: s.paused.reason, Sequence: s.sequence,
		Work: make([]*messages.SiteWork, 0, s.byID.size), Hours: s.hours.save(), Days: s.days.save(), Ended: s.ended.lines(),
	}
	s.byID.each(func(_ string, j *job) bool {
		out.Work = append(out.Work, &messages.SiteWork{Fulfillment: s.fulfillment(j), Hour: j.hour})
		return true
	})
	for _, queue := range s.pending { // map order does not matter: sorted below
		for _, n := range queue {
			out.Notices = append(out.Notices, &messages.SiteNotice{Change: n.change, OrderId: n.order.ID})
		}
	}
	slices.SortFunc(out.Notices, func(a, b *messages.SiteNotice) int { return cmp.Compare(a.Change.Sequence, b.Change.Sequence) })
	data, err := out.MarshalVT()
	if err != nil {
		panic(fmt.Sprintf("site %s: marshal state: %v", s.id, err)) // only a message of foreign making can fail
	}
	return data
}

// UnmarshalState reads a state back. It refuses what MarshalState cannot have written, and names it.
func UnmarshalState(data []byte) (*State, error) {
	in := &messages.SiteState{}
	if err := in.UnmarshalVT(data); err != nil {
		return nil, fmt.Errorf("decode site state: %w", err)
	}
	s := New(in.Id)
	if in.Doc != nil {
		s.setDoc(in.Doc)
	}
	s.paused, s.sequence = pause{in.PausedUntilMs, in.PausedReason}, in.Sequence
	if err := errors.Join(s.hours.load(in.Hours), s.days.load(in.Days)); err != nil {
		return nil, fmt.Errorf("site %s: %w", in.Id, err)
	}
	for _, line := range in.Ended {
		if err := s.ended.load(line); err != nil {
			return nil, fmt.Errorf("site %s: %w", in.Id, err)
		}
	}
	for _, w := range in.Work {
		if err := s.loadWork(w); err != nil {
			return nil, fmt.Errorf("site %s: %w", in.Id, err)
		}
	}
	var last uint64
	for _, n := range in.Notices {
		sequence := n.GetChange().GetSequence()
		if sequence <= last || sequence > s.sequence {
			return nil, fmt.Errorf("site %s: notice %d is out of order", in.Id, sequence)
		}
		last = sequence
		s.owe(newNotice(n.OrderId, n.Change))
	}
	return s, nil
}

func (s *State) loadWork(w *messages.SiteWork) error {
	fo := w.GetFulfillment()
	id := fo.GetId()
	if _, over := s.ended.byID[id]; id == "" || over || s.work[id] != nil {
		return fmt.Errorf("work %q has no id, is there twice or has ended", id)
	}
	if fo.Status < scheduled || fo.Status > shipped {
		return fmt.Errorf("work %s stands at %s, which is no work", id, fo.Status)
	}
	if (fo.DeadlineMs != 0) != (fo.RequestStatus == submitted) {
		return fmt.Errorf("work %s is %s with the deadline %d", id, fo.RequestStatus, fo.DeadlineMs)
	}
	s.shelve(&job{
		asked: fo, status: fo.Status, request: fo.RequestStatus, hour: w.Hour, workDate: fo.WorkDate, createdAt: fo.CreatedAtMs,
		changedAt: fo.ChangedAtMs, deadline: fo.DeadlineMs, shipments: fo.Shipments,
	})
	return nil
}

func (w *windows) save() []*messages.SiteWindow {
	out := make([]*messages.SiteWindow, 0, len(w.list))
	for _, one := range w.list {
		out = append(out, &messages.SiteWindow{Window: one.name, Count: one.count})
	}
	return out
}

func (w *windows) load(in []*messages.SiteWindow) error {
	if len(in) > w.kept {
		return fmt.Errorf("has %d windows, at most %d are kept", len(in), w.kept)
	}
	last := ""
	for _, one := range in {
		if one.GetWindow() <= last || one.Count < 0 {
			return fmt.Errorf("window %q is out of order or counts below zero", one.GetWindow())
		}
		last = one.Window
		w.list = append(w.list, window{one.Window, one.Count})
	}
	return nil
}
