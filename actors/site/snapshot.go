package site

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"

	"orderyard/messages"
)

// MarshalState writes the state; equal states give equal bytes. Work is written in id order, windows by name, notices by
// sequence, ended work in the order it ended.
func (s *State) MarshalState() []byte {
	data := make([]byte, 0, s.byID.size*typicalWork)
	data = s.appended(data, &messages.SiteState{Doc: s.doc})
	// Work stands between doc and hours. It is encoded one by one, and what is packed is copied: as a message of thousands it would be as much garbage again.
	fo := new(messages.FulfillmentOrder)
	s.byID.each(func(_ string, j *job) bool {
		size := len(j.packed)
		if j.packed == nil {
			s.describe(j, fo)
			size = fo.SizeVT()
		}
		whole := 1 + protowire.SizeBytes(size)
		if j.hour != "" {
			whole += 1 + protowire.SizeBytes(len(j.hour))
		}
		data = protowire.AppendVarint(protowire.AppendTag(data, fieldWork, protowire.BytesType), uint64(whole))
		data = protowire.AppendVarint(protowire.AppendTag(data, fieldFulfillment, protowire.BytesType), uint64(size))
		if j.packed == nil {
			data = s.appended(data, fo)
		} else {
			data = append(data, j.packed...)
		}
		if j.hour != "" {
			data = protowire.AppendString(protowire.AppendTag(data, fieldHour, protowire.BytesType), j.hour)
		}
		return true
	})
	out := &messages.SiteState{
		Id: s.id, PausedUntilMs: s.paused.until, PausedReason: s.paused.reason, Sequence: s.sequence,
		Hours: s.hours.save(), Days: s.days.save(), Ended: s.ended.lines(),
	}
	for _, queue := range s.pending { // map order does not matter: sorted below
		for _, n := range queue {
			out.Notices = append(out.Notices, &messages.SiteNotice{Change: n.change, OrderId: n.order.ID})
		}
	}
	slices.SortFunc(out.Notices, func(a, b *messages.SiteNotice) int { return cmp.Compare(a.Change.Sequence, b.Change.Sequence) })
	return s.appended(data, out)
}

const (
	fieldWork   = 2   // of SiteState
	typicalWork = 256 // bytes
)

// appended appends an encoded message.
func (s *State) appended(data []byte, m interface {
	SizeVT() int
	MarshalToSizedBufferVT([]byte) (int, error)
}) []byte {
	was, size := len(data), m.SizeVT()
	data = slices.Grow(data, size)[:was+size]
	if _, err := m.MarshalToSizedBufferVT(data[was:]); err != nil {
		panic(fmt.Sprintf("site %s: marshal state: %v", s.id, err)) // only a message of foreign making can fail
	}
	return data
}

// UnmarshalState reads a state back and keeps the data. It refuses what MarshalState cannot have written, and names it.
func UnmarshalState(data []byte) (*State, error) {
	work, rest, err := splitWork(data)
	in := &messages.SiteState{}
	if err == nil {
		err = in.UnmarshalVTUnsafe(rest)
	}
	if err != nil {
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
	s.work = make(map[string]*job, len(work))
	for _, w := range work {
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

func (s *State) loadWork(data []byte) error {
	j, err := s.outlined(data)
	if err != nil {
		return err
	}
	if _, over := s.ended.byID[j.name]; j.name == "" || over || s.work[j.name] != nil {
		return fmt.Errorf("work %q has no id, is there twice or has ended", j.name)
	}
	if j.status < scheduled || j.status > shipped {
		return fmt.Errorf("work %s stands at %s, which is no work", j.name, j.status)
	}
	if (j.deadline != 0) != (j.request == submitted) {
		return fmt.Errorf("work %s is %s with the deadline %d", j.name, j.request, j.deadline)
	}
	s.shelve(j)
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
