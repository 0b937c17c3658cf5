package site

import "orderyard/messages"

// SupportedActions is what may be done next with a fulfillment order: the table of GLOSSARY §2, computed and never stored, so
// that console and agents hold no business logic. After a refused cancellation the work goes on as if accepted. The result
// belongs to the caller.
func SupportedActions(fo *messages.FulfillmentOrder) []string {
	return supportedActions(fo.GetStatus(), fo.GetRequestStatus())
}

func supportedActions(status messages.FulfillmentStatus, request messages.RequestStatus) []string {
	if request == cancellationRequested && status >= open && status <= packed && status != onHold {
		return []string{"accept_cancellation", "reject_cancellation", "ship"}
	}
	working := request == accepted || request == cancellationRejected
	switch status {
	case scheduled:
		switch {
		case request == unsubmitted || request == messages.RequestStatus_REQUEST_STATUS_UNSPECIFIED:
			return []string{"submit", "hold", "move", "split", "merge", "cancel"}
		case request == submitted || working:
			return []string{"release_now", "hold", "move", "split", "merge", "cancel"}
		}
	case open:
		switch {
		case request == submitted:
			return []string{"accept", "reject", "cancel"}
		case working:
			return []string{"pick", "reject", "hold", "request_cancellation"}
		}
	case onHold:
		if request == unsubmitted || request == messages.RequestStatus_REQUEST_STATUS_UNSPECIFIED { // never open
			return []string{"release_hold", "move", "cancel"}
		}
		return []string{"release_hold", "request_cancellation"}
	case picking, picked:
		if working {
			return []string{"pick", "pack", "reject", "request_cancellation"}
		}
	case packed:
		if working {
			return []string{"ship", "request_cancellation"}
		}
	case shipped:
		return []string{"deliver", "return"}
	case delivered:
		return []string{"return"}
	}
	return nil
}
