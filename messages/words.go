package messages

import (
	"fmt"
	"sync"

	"google.golang.org/protobuf/proto"
)

// Message is a generated protobuf message with its reflection-free codec.
type Message interface {
	proto.Message
	SizeVT() int
	MarshalVT() ([]byte, error)
	MarshalToSizedBufferVT([]byte) (int, error)
	UnmarshalVT([]byte) error
	// UnmarshalVTUnsafe is UnmarshalVT without copies: text and bytes of the message are those of the given bytes, which must not change.
	UnmarshalVTUnsafe([]byte) error
}

// Command asks an entity to do something; named in the imperative.
type Command interface{ Message }

// Event says what happened to an entity; named in the past tense. Events are what the journal keeps.
type Event interface{ Message }

// Task is what an entity still owes the world, derived from its state: after a crash the state is replayed and asked again.
type Task struct {
	// ID is stable for one intention: the receiver uses it as the command id and answers the same id with the same answer.
	ID string
	// To is the receiver; the entity itself for a timer; kind "routing" for a plan computed on the spot.
	To Ref
	// Due is when to send, in Unix milliseconds; 0 = now. A due time in the future is a wake-up.
	Due int64
	// Command is what is sent; its answer comes back as a TaskResult, except for timers and plans.
	Command Command
}

// ClientKey begins the command ids that senders outside chose: they may repeat one at any time.
const ClientKey = "client/"

// Request is one command on its way to an entity, with where the answer goes.
type Request struct {
	To        Ref
	Command   Command
	CommandID string // idempotency key; "" = not remembered
	From      Ref    // the entity whose task this is; its answer returns as a TaskResult. Zero for a client
	Deadline  int64  // Unix milliseconds after which nobody waits; 0 = none
	// Done receives the answer of a client's request exactly once, from any goroutine. It must not block.
	Done func(*Reply)
}

// TypeCommandRefused is the type number of CommandRefused, which the runtime writes for every kind of entity.
const TypeCommandRefused = 100

// newEvent makes an empty event of a type number. The numbers are written to the journal: append, never reuse.
var newEvent = [...]func() Event{
	1: func() Event { return new(OrderPlaced) }, 2: func() Event { return new(PlanAdopted) },
	3: func() Event { return new(LineReserved) }, 4: func() Event { return new(LineDeclined) },
	5: func() Event { return new(OrderFulfillmentAccepted) }, 6: func() Event { return new(OrderFulfillmentRejected) },
	7: func() Event { return new(LineAllocated) }, 8: func() Event { return new(LineLost) },
	9: func() Event { return new(OrderFulfillmentReleased) }, 10: func() Event { return new(OrderFulfillmentMoved) },
	11: func() Event { return new(LineFreed) }, 12: func() Event { return new(LineStockShipped) },
	13: func() Event { return new(FulfillmentDropped) }, 14: func() Event { return new(OrderFulfillmentCancelled) },
	15: func() Event { return new(OrderCancellationRefused) }, 16: func() Event { return new(UnitsBackordered) },
	17: func() Event { return new(UnitsReopened) }, 18: func() Event { return new(UnitsCancelled) },
	19: func() Event { return new(CancelRequested) }, 20: func() Event { return new(HoldPlaced) },
	21: func() Event { return new(HoldReleased) }, 22: func() Event { return new(ExceptionOpened) },
	23: func() Event { return new(ExceptionResolved) }, 24: func() Event { return new(OrderOpened) },
	25: func() Event { return new(OrderAllocated) }, 26: func() Event { return new(OrderCompleted) },
	27: func() Event { return new(OrderCancelled) }, 28: func() Event { return new(OrderFulfillmentSubmitted) },
	29: func() Event { return new(OrderFulfillmentAsked) }, 30: func() Event { return new(OrderQueued) },
	31: func() Event { return new(CancelScheduled) },

	50: func() Event { return new(StockCounted) }, 51: func() Event { return new(StockLevelsSet) },
	52: func() Event { return new(StockAdjusted) }, 53: func() Event { return new(StockReceived) },
	54: func() Event { return new(StockReserved) }, 55: func() Event { return new(ReservationConfirmed) },
	56: func() Event { return new(ReservationReleased) }, 57: func() Event { return new(ReservationExpired) },
	58: func() Event { return new(StockShipped) }, 59: func() Event { return new(StockRejected) },
	60: func() Event { return new(StockOvercommitted) }, 61: func() Event { return new(ClaimKept) },
	62: func() Event { return new(OvercommitTold) }, 63: func() Event { return new(ClaimChecked) },

	80: func() Event { return new(SiteApplied) }, 81: func() Event { return new(SiteStatusSet) },
	82: func() Event { return new(SiteCapacitySet) }, 83: func() Event { return new(SitePausedUntil) },
	84: func() Event { return new(FulfillmentRequested) }, 85: func() Event { return new(FulfillmentAccepted) },
	86: func() Event { return new(FulfillmentRejected) }, 87: func() Event { return new(FulfillmentTimedOut) },
	88: func() Event { return new(FulfillmentOpened) }, 89: func() Event { return new(FulfillmentMoved) },
	90: func() Event { return new(FulfillmentCancelled) }, 91: func() Event { return new(CancellationRefused) },
	92: func() Event { return new(OrderTold) },

	TypeCommandRefused: func() Event { return new(CommandRefused) },
}

// eventTypes is built on first use: while package variables are initialized the generated descriptors do not exist yet.
var eventTypes = sync.OnceValue(func() map[string]uint32 {
	types := make(map[string]uint32, len(newEvent))
	for number, make := range newEvent {
		if make != nil {
			types[string(make().ProtoReflect().Descriptor().Name())] = uint32(number)
		}
	}
	return types
})

// EventName is the event's name in the glossary, "StockReserved".
func EventName(e Event) string { return string(e.ProtoReflect().Descriptor().Name()) }

// EventType is the number an event is written under. An event that has none cannot be written: that is a programming error.
func EventType(e Event) uint32 {
	t, ok := eventTypes()[EventName(e)]
	if !ok {
		panic("messages: event without a type number: " + EventName(e))
	}
	return t
}

// DecodeEvent reads an event back. An unknown number or broken bytes are an error that names the type.
func DecodeEvent(r *EventRecord) (Event, error) {
	if int(r.Type) >= len(newEvent) || newEvent[r.Type] == nil {
		return nil, fmt.Errorf("event type %d is unknown to this version", r.Type)
	}
	e := newEvent[r.Type]()
	if err := e.UnmarshalVT(r.Data); err != nil {
		return nil, fmt.Errorf("decode %s: %w", EventName(e), err)
	}
	return e, nil
}
