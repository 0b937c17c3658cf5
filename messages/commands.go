package messages

import (
	"errors"
	"fmt"
	"reflect"
)

// LinkProtocol is the version of the batches between nodes that this program speaks. It grows when an older neighbor could not
// understand the whole of it.
const LinkProtocol = 1

// newCommand makes an empty command of a type number. Neighbors of another version read these numbers: append, never reuse.
// PlanRequest has none: routing answers it on the spot, it never leaves its node.
var newCommand = [...]func() Command{
	1: func() Command { return new(PlaceOrder) }, 2: func() Command { return new(AdoptPlan) },
	3: func() Command { return new(CancelOrder) }, 4: func() Command { return new(HoldOrder) },
	5: func() Command { return new(ReleaseOrder) }, 6: func() Command { return new(GetOrder) },
	7: func() Command { return new(StockArrived) }, 8: func() Command { return new(ClaimLost) },
	9: func() Command { return new(OrderTimer) }, 10: func() Command { return new(FulfillmentChanged) },
	11: func() Command { return new(Reassign) }, 12: func() Command { return new(CheckClaim) },

	40: func() Command { return new(TaskResult) }, // to every kind of entity

	50: func() Command { return new(ReserveStock) }, 51: func() Command { return new(ConfirmReservation) },
	52: func() Command { return new(CancelReservation) }, 53: func() Command { return new(ShipStock) },
	54: func() Command { return new(KeepClaim) }, 55: func() Command { return new(SetStock) },
	56: func() Command { return new(AdjustStock) }, 57: func() Command { return new(ReceiveStock) },
	58: func() Command { return new(GetStock) }, 59: func() Command { return new(ExpireReservations) },

	80: func() Command { return new(RequestFulfillment) }, 81: func() Command { return new(ReleaseFulfillment) },
	82: func() Command { return new(CancelFulfillment) }, 83: func() Command { return new(SiteAction) },
	84: func() Command { return new(AnswerDeadline) }, 85: func() Command { return new(ApplySite) },
	86: func() Command { return new(SetSiteStatus) }, 87: func() Command { return new(SetSiteCapacity) },
	88: func() Command { return new(GetSite) }, 89: func() Command { return new(ListFulfillments) },
}

// commandTypes finds the number by Go type: this is asked for every request that leaves the node.
var commandTypes = func() map[reflect.Type]uint32 {
	types := make(map[reflect.Type]uint32, len(newCommand))
	for number, make := range newCommand {
		if make != nil {
			types[reflect.TypeOf(make())] = uint32(number)
		}
	}
	return types
}()

// ErrUnknownCommand says that a neighbor of a newer version sent a command that this one does not know. Asking again helps once this
// node is upgraded or the entity has moved.
var ErrUnknownCommand = errors.New("the command is unknown to this version")

// CommandType is the number a command travels under between nodes; 0 for one that never leaves its node.
func CommandType(c Command) uint32 { return commandTypes[reflect.TypeOf(c)] }

// DecodeCommand reads a command that another node sent. The error is ErrUnknownCommand, or tells the command whose bytes are broken.
func DecodeCommand(number uint32, data []byte) (Command, error) {
	if number >= uint32(len(newCommand)) || newCommand[number] == nil {
		return nil, fmt.Errorf("command %d: %w", number, ErrUnknownCommand)
	}
	c := newCommand[number]()
	if err := c.UnmarshalVT(data); err != nil {
		return nil, fmt.Errorf("decode %T: %w", c, err)
	}
	return c, nil
}
