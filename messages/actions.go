package messages

// SupportedActions says what may be done with a fulfillment order now: GLOSSARY §2, the one table. It is computed and never
// stored, so that consoles and agents need no rules of their own. The answer is shared: callers must not change it.
//
// A pair the table does not list (a status the handshake cannot reach) supports nothing.
func SupportedActions(status FulfillmentStatus, request RequestStatus) []string {
	switch status {
	case FulfillmentStatus_FULFILLMENT_STATUS_SCHEDULED:
		return scheduledActions(request)
	case FulfillmentStatus_FULFILLMENT_STATUS_OPEN:
		return openActions(request)
	case FulfillmentStatus_FULFILLMENT_STATUS_ON_HOLD:
		return onHoldActions(request)
	case FulfillmentStatus_FULFILLMENT_STATUS_PICKING, FulfillmentStatus_FULFILLMENT_STATUS_PICKED:
		return workActions(request, actionsPicking)
	case FulfillmentStatus_FULFILLMENT_STATUS_PACKED:
		return workActions(request, actionsPacked)
	case FulfillmentStatus_FULFILLMENT_STATUS_SHIPPED:
		return actionsShipped
	case FulfillmentStatus_FULFILLMENT_STATUS_DELIVERED:
		return actionsDelivered
	}
	return nil // rejected, timed_out, cancelled, incomplete: the end
}

// Supports reports whether the table lists the action for this pair.
func Supports(status FulfillmentStatus, request RequestStatus, action string) bool {
	for _, a := range SupportedActions(status, request) {
		if a == action {
			return true
		}
	}
	return false
}

var (
	actionsUnsubmitted = []string{"submit", "hold", "move", "split", "merge", "cancel"}
	actionsScheduled   = []string{"release_now", "hold", "move", "split", "merge", "cancel"}
	actionsOpenAsked   = []string{"accept", "reject", "cancel"}
	actionsOpen        = []string{"pick", "reject", "hold", "request_cancellation"}
	actionsHeldAsked   = []string{"release_hold", "move", "cancel"}
	actionsHeld        = []string{"release_hold", "request_cancellation"}
	actionsPicking     = []string{"pick", "pack", "reject", "request_cancellation"}
	actionsPacked      = []string{"ship", "request_cancellation"}
	actionsCancelAsked = []string{"accept_cancellation", "reject_cancellation", "ship"}
	actionsShipped     = []string{"deliver", "return"}
	actionsDelivered   = []string{"return"}
)

func scheduledActions(request RequestStatus) []string {
	switch request {
	case RequestStatus_REQUEST_STATUS_UNSUBMITTED:
		return actionsUnsubmitted
	case RequestStatus_REQUEST_STATUS_SUBMITTED, RequestStatus_REQUEST_STATUS_ACCEPTED:
		return actionsScheduled
	}
	return nil
}

func openActions(request RequestStatus) []string {
	if request == RequestStatus_REQUEST_STATUS_SUBMITTED {
		return actionsOpenAsked
	}
	return workActions(request, actionsOpen)
}

// onHoldActions: "never open" is work the site has not taken yet; what it accepted needs a cancellation request.
func onHoldActions(request RequestStatus) []string {
	switch request {
	case RequestStatus_REQUEST_STATUS_UNSUBMITTED, RequestStatus_REQUEST_STATUS_SUBMITTED:
		return actionsHeldAsked
	}
	return actionsHeld
}

// workActions: work goes on after a refused cancellation as if it had not been asked.
func workActions(request RequestStatus, usual []string) []string {
	switch request {
	case RequestStatus_REQUEST_STATUS_ACCEPTED, RequestStatus_REQUEST_STATUS_CANCELLATION_REJECTED:
		return usual
	case RequestStatus_REQUEST_STATUS_CANCELLATION_REQUESTED:
		return actionsCancelAsked
	}
	return nil
}
