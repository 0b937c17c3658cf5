package site

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"

	"orderyard/messages"
)

// job is a fulfillment order the site works on. A busy site has tens of thousands, for hours, and each change concerns one: so what the order asked for lies
// packed unless it changed lately. The collector sees two objects of such a job instead of twenty, and a site that is read back or written copies it.
type job struct {
	name      string
	order     *messages.FulfillmentOrder // as the order asked; shared with the event, never written. nil = packed
	packed    []byte                     // the whole as it stands, encoded as describe gives it; it does not change any more. nil = not packed
	status    messages.FulfillmentStatus
	request   messages.RequestStatus
	hour      string // the window it is counted in; asked for and given back there
	workDate  string
	createdAt int64
	changedAt int64
	deadline  int64 // of the site's answer; 0 = none is awaited
	shipments []*messages.Shipment
}

func (j *job) id() string { return j.name }

// asked gives what the order asked for. It reads only: what is packed stays so.
func (j *job) asked() *messages.FulfillmentOrder {
	if j.order != nil {
		return j.order
	}
	fo := new(messages.FulfillmentOrder)
	if err := fo.UnmarshalVTUnsafe(j.packed); err != nil {
		panic(fmt.Sprintf("work %s: %v", j.name, err)) // encoded here, or checked: never seen
	}
	return fo
}

// warmMax is how many jobs that changed lately stay unpacked: most of what happens to work happens soon after it came.
const warmMax = 256

// changes unpacks a job that is about to change, and packs another that has not changed for a while.
func (s *State) changes(j *job) {
	if j.order != nil {
		return
	}
	j.order, j.packed = j.asked(), nil
	s.warms(j)
}

// warms notes a job that is not packed.
func (s *State) warms(j *job) {
	s.warm = append(s.warm, j)
	if len(s.warm)-s.warmFrom <= warmMax {
		return
	}
	cold := s.warm[s.warmFrom]
	s.warm[s.warmFrom] = nil
	if s.warmFrom++; s.warmFrom > warmMax {
		s.warm = s.warm[:copy(s.warm, s.warm[s.warmFrom:])]
		s.warmFrom = 0
	}
	if s.work[cold.name] == cold {
		s.pack(cold)
	}
}

func (s *State) pack(j *job) {
	fo := s.fulfillment(j)
	j.packed = s.appended(make([]byte, 0, fo.SizeVT()), fo)
	j.order = nil
}

// fulfillment is the whole fulfillment order as it stands: what was asked, and what the site made of it.
func (s *State) fulfillment(j *job) *messages.FulfillmentOrder {
	fo := new(messages.FulfillmentOrder)
	s.describe(j, fo)
	return fo
}

// describe writes all fields that a site fills into fo.
func (s *State) describe(j *job, fo *messages.FulfillmentOrder) {
	a := j.asked()
	fo.Id, fo.OrderId, fo.Site, fo.Channel, fo.Service, fo.Priority, fo.ShipTo = a.Id, a.OrderId, s.id, a.Channel, a.Service, a.Priority, a.ShipTo
	fo.Lines, fo.DeliverBy, fo.Reason, fo.Note = a.Lines, a.DeliverBy, a.Reason, a.Note
	fo.Status, fo.RequestStatus, fo.CreatedAtMs, fo.DeadlineMs, fo.WorkDate = j.status, j.request, j.createdAt, j.deadline, j.workDate
	fo.Shipments, fo.ChangedAtMs = j.shipments, j.changedAt
}

// Fields of SiteWork and of FulfillmentOrder.
const (
	fieldFulfillment, fieldHour = 1, 2

	fieldID, fieldStatus, fieldRequest           = 1, 9, 10
	fieldCreatedAt, fieldDeadline, fieldWorkDate = 13, 14, 15
	fieldShipments, fieldChangedAt               = 16, 17
)

// outlined reads a job from an encoded SiteWork, which it keeps. What the site need not know without being asked stays packed.
func (s *State) outlined(data []byte) (*job, error) {
	if err := workShape.check(data); err != nil {
		return nil, fmt.Errorf("decode work: %w", err)
	}
	j := new(job)
	err := fields(data, func(number protowire.Number, _ protowire.Type, value []byte, _ uint64) error {
		switch number {
		case fieldFulfillment:
			j.packed = value
		case fieldHour:
			j.hour = s.hours.shared(value)
		}
		return nil
	})
	if err == nil {
		err = s.outline(j)
	}
	if err != nil {
		return nil, fmt.Errorf("decode work: %w", err)
	}
	return j, nil
}

// outline reads of packed work what the site knows of it without asking.
func (s *State) outline(j *job) error {
	return fields(j.packed, func(number protowire.Number, _ protowire.Type, value []byte, x uint64) error {
		switch number {
		case fieldID:
			j.name = string(value)
		case fieldStatus:
			j.status = messages.FulfillmentStatus(x)
		case fieldRequest:
			j.request = messages.RequestStatus(x)
		case fieldCreatedAt:
			j.createdAt = int64(x)
		case fieldDeadline:
			j.deadline = int64(x)
		case fieldWorkDate:
			j.workDate = s.days.shared(value)
		case fieldChangedAt:
			j.changedAt = int64(x)
		case fieldShipments:
			parcel := new(messages.Shipment)
			if err := parcel.UnmarshalVTUnsafe(value); err != nil {
				return err
			}
			j.shipments = append(j.shipments, parcel)
		}
		return nil
	})
}
