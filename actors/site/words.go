package site

import (
	"strings"

	"orderyard/messages"
)

// statusWord and requestWord are the names of the glossary and of the public JSON: "picked", "cancellation_rejected".
func statusWord(s messages.FulfillmentStatus) string {
	return strings.ToLower(strings.TrimPrefix(s.String(), "FULFILLMENT_STATUS_"))
}

func requestWord(r messages.RequestStatus) string {
	return strings.ToLower(strings.TrimPrefix(r.String(), "REQUEST_STATUS_"))
}

// parseStatus reads a status word; ok is false for a word that is none.
func parseStatus(word string) (messages.FulfillmentStatus, bool) {
	n, ok := messages.FulfillmentStatus_value["FULFILLMENT_STATUS_"+strings.ToUpper(word)]
	return messages.FulfillmentStatus(n), ok && n != 0
}

func cloneDoc(doc *messages.SiteDoc) *messages.SiteDoc {
	if doc == nil {
		return &messages.SiteDoc{}
	}
	return &messages.SiteDoc{
		Id: doc.Id, Name: doc.Name, Type: doc.Type, Lat: doc.Lat, Lon: doc.Lon, PostalCode: doc.PostalCode, Country: doc.Country,
		Capacity: doc.Capacity, Calendar: doc.Calendar, Groups: doc.Groups, LabelsAllowed: doc.LabelsAllowed,
		CostPerOrder: doc.CostPerOrder, CostPerUnit: doc.CostPerUnit, Accept: doc.Accept, Status: doc.Status, AnswerWithinMs: doc.AnswerWithinMs,
		Region: doc.Region, Rank: doc.Rank, Markets: doc.Markets, Carriers: doc.Carriers, Attributes: doc.Attributes,
	}
}
