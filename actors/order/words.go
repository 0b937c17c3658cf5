package order

import "orderyard/messages"

// The order's life.
const (
	lifePlaced    = "placed"
	lifeOpen      = "open"
	lifeCompleted = "completed"
	lifeCancelled = "cancelled"
)

// Policies of the contract.
const (
	partialSplit    = "split"
	partialComplete = "complete_only"
	partialShip     = "ship_available"

	shortBackorder = "backorder"
	shortCancel    = "cancel"
	shortHold      = "hold"

	serviceDefault = "standard"
)

// Why a plan is made.
const (
	causePlaced   = "placed"
	causeDeclined = "declined"
	causeRejected = "rejected"
	causeZeroed   = "stock_zeroed" // the bucket took a claim back
	causeTimeout  = "timeout"      // a reservation expired, or the site did not answer
	causeArrived  = "stock_arrived"
	causeTimer    = "timer"
	causeHold     = "hold_released"
	causeManual   = "manual"
	causeDropped  = "dropped"
	causeSweep    = "sweep"
)

// Why an FO is dropped, beyond the causes above.
const (
	dropIncomplete = "incomplete" // the rest of the plan could not be had
	dropCancelled  = "cancelled"
	dropSweep      = causeSweep // its units were moved to a better place
)

// Exceptions and their owners.
const (
	exceptionUnroutable = "unroutable"
	exceptionMismatch   = "total_mismatch"

	ownerRouting  = "routing_desk"
	ownerPayments = "payments_desk"
)

const (
	holdOutOfStock = "out_of_stock"
	holdSiteChoice = "site_choice"
	bySystem       = "system"
	byTimer        = "timer"
	byStock        = "stock_arrived"
	byCauseGone    = "cause_gone"
	byCancel       = "cancelled"
)

// Limits and times. The brakes are GLOSSARY §4.
const (
	coolOffMs     int64  = 24 * 3600 * 1000
	rejectionsMax uint32 = 5
	attemptsMax   uint32 = 12
	elapsedMaxMs  int64  = 8 * 3600 * 1000

	holdForMs     int64 = 15 * 60 * 1000 // of a reservation
	extendBefore  int64 = 5 * 60 * 1000  // it ends
	replanAfterMs int64 = 15 * 60 * 1000 // back-ordered units are planned again, in case nobody woke them
	knownForMs    int64 = 5 * 1000       // a bucket's own word outranks the view
	letGoMs       int64 = 250            // from a move to the question about its new claims: time for others of the same ring to let go too
	dayMs         int64 = 24 * 3600 * 1000

	splitsDefault  int32 = 3
	timelineMax          = 200
	timelineKept         = 150 // when it is full, the oldest go, several at once
	decisionsMax         = 5
	candidatesMax        = 20
	knownMax             = 1000 // two plans of the largest order
	exclusionsMax        = 2000
	mismatchWithin int64 = 1 // minor unit
)

// effects are the rejection reasons that change stock (GLOSSARY §3), by the number claims keep. The others free the units and no more.
var effects = [...]string{"", "not_in_stock", "mismatch", "damaged"}

func effectOf(reason string) uint8 {
	for i, word := range effects {
		if word == reason {
			return uint8(i)
		}
	}
	return 0
}

var rejectReasons = []string{"not_in_stock", "mismatch", "damaged", "capacity", "closed", reasonCarrier, reasonOther}

const (
	reasonCarrier   = "carrier"
	reasonOther     = "other"
	reasonCustomer  = "customer"
	reasonInventory = "inventory"
	reasonTimedOut  = "timed_out"
)

var cancelReasons = []string{
	reasonCustomer, "staff", "duplicate", "payment_declined", "expired", "fraud", reasonInventory, "undeliverable", reasonOther,
}

var holdReasons = []string{
	"awaiting_payment", "high_risk_of_fraud", "incorrect_address", "suspected_duplicate", "grace_period", holdOutOfStock, holdSiteChoice,
	"awaiting_return_items", "unknown_delivery_date", "missing_customs_info", "customer_request", reasonOther,
}

var exceptionKinds = []string{
	"validation", exceptionMismatch, exceptionUnroutable, "overcommitted", "payment", "carrier", "carrier_delay", "integration",
	"compensation", "deadline", "data",
}

// Short names for the statuses of FOs.
const (
	statusScheduled = messages.FulfillmentStatus_FULFILLMENT_STATUS_SCHEDULED
	statusOpen      = messages.FulfillmentStatus_FULFILLMENT_STATUS_OPEN
	statusPicking   = messages.FulfillmentStatus_FULFILLMENT_STATUS_PICKING
	statusShipped   = messages.FulfillmentStatus_FULFILLMENT_STATUS_SHIPPED
	statusCancelled = messages.FulfillmentStatus_FULFILLMENT_STATUS_CANCELLED
	statusRejected  = messages.FulfillmentStatus_FULFILLMENT_STATUS_REJECTED
	statusTimedOut  = messages.FulfillmentStatus_FULFILLMENT_STATUS_TIMED_OUT

	requestUnsubmitted = messages.RequestStatus_REQUEST_STATUS_UNSUBMITTED
	requestSubmitted   = messages.RequestStatus_REQUEST_STATUS_SUBMITTED
	requestAccepted    = messages.RequestStatus_REQUEST_STATUS_ACCEPTED
	requestRejected    = messages.RequestStatus_REQUEST_STATUS_REJECTED
	requestTimedOut    = messages.RequestStatus_REQUEST_STATUS_TIMED_OUT
	requestRefused     = messages.RequestStatus_REQUEST_STATUS_CANCELLATION_REJECTED
	requestGivenBack   = messages.RequestStatus_REQUEST_STATUS_CANCELLATION_ACCEPTED
	requestRecalled    = messages.RequestStatus_REQUEST_STATUS_CANCELLATION_REQUESTED
)

// or gives the word, or what stands for an empty one.
func or(word, otherwise string) string {
	if word == "" {
		return otherwise
	}
	return word
}

func (s *State) partial() string { return or(s.order.GetPartial(), partialSplit) }
func (s *State) onShort() string { return or(s.order.GetOnShort(), shortBackorder) }
func (s *State) splitsMax() int32 {
	if n := s.order.GetSplitsMax(); n > 0 {
		return n
	}
	return splitsDefault
}

// reservationConfirmed is a bucket's word for a claim without expiry.
const reservationConfirmed = "confirmed"
