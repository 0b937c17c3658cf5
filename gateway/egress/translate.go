package egress

import (
	"fmt"
	"log/slog"
	"strconv"
	"strings"

	"orderyard/messages"
)

// The families of public events.
const (
	familyOrder       = "order"
	familyFulfillment = "fulfillment"
	familyStock       = "stock"
)

// translator turns one commit after another into public events. It has buffers, but no memory from commit to commit.
type translator struct {
	log     *slog.Logger
	metrics *metrics
	out     outgoing
	buf     []byte
	id      []byte
	buckets map[string]*bucketChange
	changed []*bucketChange // in the order of their first change in this commit
	spare   []*bucketChange
}

func newTranslator(log *slog.Logger, m *metrics) *translator {
	return &translator{log: log, metrics: m, buckets: make(map[string]*bucketChange)}
}

// occasion is a journal event with all that stands around it.
type occasion struct {
	entry   *messages.Entry
	index   int
	data    []byte
	version uint64 // of the entity behind the event
	emit    func(*outgoing) error
}

// tell translates one type of journal event; most types have none and are no one's business outside.
type tell func(*translator, *occasion) error

// tellers by event type number, so that what is private is skipped without being decoded.
var tellers = func() []tell {
	byEvent := map[messages.Event]tell{
		&messages.OrderPlaced{}: (*translator).orderPlaced, &messages.PlanAdopted{}: (*translator).planAdopted,
		&messages.OrderAllocated{}: (*translator).orderAllocated, &messages.OrderFulfillmentReleased{}: (*translator).orderReleased,
		&messages.OrderFulfillmentMoved{}: (*translator).orderMoved, &messages.OrderCancelled{}: (*translator).orderCancelled,
		&messages.HoldPlaced{}: (*translator).orderHeld, &messages.ExceptionOpened{}: (*translator).orderException,
		&messages.OrderCompleted{}: (*translator).orderCompleted,

		&messages.FulfillmentRequested{}: (*translator).fulfillmentRequested, &messages.FulfillmentOpened{}: (*translator).fulfillmentOpened,
		&messages.FulfillmentAccepted{}: (*translator).fulfillmentAccepted, &messages.FulfillmentRejected{}: (*translator).fulfillmentRejected,
		&messages.FulfillmentTimedOut{}: (*translator).fulfillmentTimedOut, &messages.FulfillmentMoved{}: (*translator).fulfillmentMoved,
		&messages.FulfillmentCancelled{}: (*translator).fulfillmentCancelled,

		&messages.StockCounted{}: (*translator).stockMoved, &messages.StockLevelsSet{}: (*translator).stockMoved,
		&messages.StockAdjusted{}: (*translator).stockMoved, &messages.StockReceived{}: (*translator).stockMoved,
		// A confirmation moves units from reserved to allocated: what can be promised stays, so nothing is told.
		&messages.StockReserved{}:       (*translator).stockMoved,
		&messages.ReservationReleased{}: (*translator).stockMoved, &messages.ReservationExpired{}: (*translator).stockMoved,
		&messages.StockShipped{}: (*translator).stockMoved, &messages.StockRejected{}: (*translator).stockMoved,
		&messages.ClaimKept{}: (*translator).stockMoved, &messages.StockOvercommitted{}: (*translator).stockOvercommitted,
	}
	var table []tell
	for event, f := range byEvent {
		number := int(messages.EventType(event))
		if number >= len(table) {
			table = append(table, make([]tell, number+1-len(table))...)
		}
		table[number] = f
	}
	return table
}()

// commit gives every public event of a commit to emit, in the order of the entries. What emit keeps it must copy.
func (t *translator) commit(c *messages.Commit, emit func(*outgoing) error) error {
	for _, entry := range c.GetEntries() {
		for i, record := range entry.GetEvents() {
			if int(record.GetType()) >= len(tellers) || tellers[record.GetType()] == nil {
				continue
			}
			o := occasion{entry: entry, index: i, data: record.GetData(), version: entry.GetVersion() + 1 + uint64(i), emit: emit}
			if err := tellers[record.GetType()](t, &o); err != nil {
				return err
			}
		}
		if messages.Kind(entry.GetKind()) == messages.KindBucket {
			t.bucketReply(entry)
		}
	}
	return t.flushBuckets(emit)
}

// read decodes the event. The journal checks its own bytes, so what cannot be read here was written by a version that this one
// cannot understand: it is counted, named and passed over, for the feed must not stop for ever.
func (t *translator) read(o *occasion, into messages.Event) bool {
	if err := into.UnmarshalVTUnsafe(o.data); err != nil {
		t.log.Error("journal event cannot be told", "entity", messages.Ref{Kind: messages.Kind(o.entry.GetKind()), ID: o.entry.GetId()}.String(),
			"version", o.version, "event", messages.EventName(into), "error", err)
		t.metrics.skipped.Inc()
		return false
	}
	return true
}

// say sends what stands in t.buf as one public event. more tells apart several events of one version.
func (t *translator) say(o *occasion, family, event, key, about, more string) error {
	t.out = outgoing{
		family: family, event: event, key: messages.SubjectToken(key), about: headerText(about), atMs: o.entry.GetAtMs(), data: t.buf,
		id: t.eventID(o.entry, o.version, more),
	}
	return o.emit(&t.out)
}

// eventID is "<kind>/<id>/<version>[/more]": the same whenever the event is made.
func (t *translator) eventID(e *messages.Entry, version uint64, more string) string {
	b := append(t.id[:0], messages.Kind(e.GetKind()).String()...)
	b = append(append(b, '/'), e.GetId()...)
	b = strconv.AppendUint(append(b, '/'), version, 10)
	if more != "" {
		b = append(append(b, '/'), more...)
	}
	t.id = b
	return headerText(string(b))
}

// headerText writes what a header cannot hold as %XX, as CloudEvents asks for: a SKU may hold any printable character.
func headerText(s string) string {
	if strings.IndexFunc(s, func(c rune) bool { return c <= ' ' || c > '~' || c == '%' || c == '"' }) < 0 {
		return s
	}
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if c := s[i]; c <= ' ' || c > '~' || c == '%' || c == '"' {
			b.Write([]byte{'%', hex[c>>4], hex[c&15]})
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// fulfillmentID is the public name of an order's n-th fulfillment order.
func fulfillmentID(order string, n uint32) string { return fmt.Sprintf("%s.%d", order, n) }

// orderOf is the order a fulfillment order belongs to.
func orderOf(fulfillment string) string {
	order, _, _ := strings.Cut(fulfillment, ".")
	return order
}
