package site

import "orderyard/messages"

// Every growing thing has a named maximum.
const (
	// listMax bounds one page of ListFulfillments; listDefault is a page nobody sized.
	listMax, listDefault = 500, 100
	// sliceMax bounds the events of one timer step, so that one commit stays small when thousands of deadlines pass together.
	sliceMax = 500
	// noticesMax bounds the notices that are under way at one time, as at a bucket. A site that gives back 20,000 orders owed 20,000 tasks at once, and
	// looked at all of them again for each answer: half a minute in which it answered nobody.
	noticesMax = 256
	// putOffMinMs and putOffMaxMs bound how long a notice that is not taken, for nobody serves its order, lets others go first. It doubles each time.
	putOffMinMs, putOffMaxMs = 1_000, 30_000
	// endedMax and endedForMs bound the memory of ended work: a day outlives every retry of an order's task, and 100,000 ids
	// are about 10 MB.
	endedMax, endedForMs = 100_000, 24 * hourMs
	// horizonDays is how far ahead a site may be closed and still take work.
	horizonDays = 14
	// hoursKept and daysKept are the capacity windows remembered: two days of hours, and the past six weeks of working dates
	// beside the horizon ahead.
	hoursKept, daysKept = 48, 64
	// answerWithinMs is the time a manual site has to answer when its document does not say.
	answerWithinMs = 4 * hourMs
	// waitMaxMs bounds durations that people set: the answer time and the pause after a rejection.
	waitMaxMs = 30 * dayMs
	// idMax bounds a fulfillment order's id: "<channel>-<external id>.<n>". linesMax is the contract's bound on an order.
	idMax, linesMax = 160, 500
	// noteMax bounds free text of a site, in bytes.
	noteMax = 1024
	// closedMax and groupsMax (also of markets) bound the lists of a site document; capacityMax keeps sums far from overflow.
	closedMax, groupsMax, capacityMax = 1000, 64, 1_000_000_000
	// carriersMax bounds the services that collect at a site, attributesMax its own fields: as many as a rule set may declare.
	carriersMax, attributesMax = 64, 64
	// regionBytesMax and textBytesMax bound a region's name and a text among the own fields, as rule sets do.
	regionBytesMax, textBytesMax = 64, 256
	// rankMax leaves room for ranks in steps of a hundred over any network.
	rankMax = 1_000_000
)

const (
	minuteMs = int64(60_000)
	hourMs   = 60 * minuteMs
	dayMs    = 24 * hourMs
)

// The states of a site and how it answers (GLOSSARY §2).
const (
	statusOnline    = "online"
	statusSuspended = "suspended"
	statusOffline   = "offline"

	acceptAuto   = "auto"
	acceptManual = "manual"
)

// The reasons a site gives (GLOSSARY §3) that this package treats in its own way.
const (
	reasonCapacity = "capacity"
	reasonClosed   = "closed"
	reasonOther    = "other"
)

// Short names for the states of a fulfillment order and of the handshake.
const (
	scheduled = messages.FulfillmentStatus_FULFILLMENT_STATUS_SCHEDULED
	open      = messages.FulfillmentStatus_FULFILLMENT_STATUS_OPEN
	onHold    = messages.FulfillmentStatus_FULFILLMENT_STATUS_ON_HOLD
	picking   = messages.FulfillmentStatus_FULFILLMENT_STATUS_PICKING
	picked    = messages.FulfillmentStatus_FULFILLMENT_STATUS_PICKED
	packed    = messages.FulfillmentStatus_FULFILLMENT_STATUS_PACKED
	shipped   = messages.FulfillmentStatus_FULFILLMENT_STATUS_SHIPPED
	delivered = messages.FulfillmentStatus_FULFILLMENT_STATUS_DELIVERED
	cancelled = messages.FulfillmentStatus_FULFILLMENT_STATUS_CANCELLED
	rejected  = messages.FulfillmentStatus_FULFILLMENT_STATUS_REJECTED
	timedOut  = messages.FulfillmentStatus_FULFILLMENT_STATUS_TIMED_OUT

	unsubmitted           = messages.RequestStatus_REQUEST_STATUS_UNSUBMITTED
	submitted             = messages.RequestStatus_REQUEST_STATUS_SUBMITTED
	accepted              = messages.RequestStatus_REQUEST_STATUS_ACCEPTED
	requestRejected       = messages.RequestStatus_REQUEST_STATUS_REJECTED
	requestTimedOut       = messages.RequestStatus_REQUEST_STATUS_TIMED_OUT
	cancellationRequested = messages.RequestStatus_REQUEST_STATUS_CANCELLATION_REQUESTED
	cancellationAccepted  = messages.RequestStatus_REQUEST_STATUS_CANCELLATION_ACCEPTED
	cancellationRejected  = messages.RequestStatus_REQUEST_STATUS_CANCELLATION_REJECTED
)
