package messages

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Subjects and stream names of the contract. Nothing else in the house spells a subject.
const (
	SubjectRoot = "oy.v1."

	SubjectOrder       = SubjectRoot + "order."       // + verb, + "." + channel for place
	SubjectStock       = SubjectRoot + "stock."       // + verb
	SubjectSite        = SubjectRoot + "site."        // + verb
	SubjectFulfillment = SubjectRoot + "fulfillment." // + verb + "." + site
	SubjectRoutingPlan = SubjectRoot + "routing.plan"
	SubjectIntake      = SubjectRoot + "intake."  // + channel
	SubjectEvents      = SubjectRoot + "evt."     // + order|fulfillment|stock + "." + event + "." + channel|site
	SubjectFeedEnd     = SubjectRoot + "feed.end" // a node ends a batch of events: taken by the stream of events, stored by nobody
	SubjectDead        = SubjectRoot + "dead."    // + door
	SubjectCluster     = SubjectRoot + "cluster." // + verb
	SubjectRules       = SubjectRoot + "rules."   // + verb
	SubjectNode        = SubjectRoot + "node."    // + incarnation + "." + what: nodes among themselves
	SubjectNodes       = SubjectRoot + "nodes."   // + topic: to every node

	StreamIntake = "OY_INTAKE"
	StreamEvents = "OY_EVENTS"
	StreamDead   = "OY_DEAD"

	HeaderCommandID  = "Oy-Command-Id"
	HeaderDeadlineMs = "Oy-Deadline-Ms"
	HeaderReplayed   = "Oy-Replayed"
	HeaderReason     = "Oy-Reason"
	HeaderCode       = "Oy-Code"    // of a dead letter, beside its reason
	HeaderField      = "Oy-Field"   // of a dead letter: what was wrong
	HeaderSubject    = "Oy-Subject" // of a dead letter: where it came from
	HeaderBytes      = "Oy-Bytes"   // of a dead letter that was cut: its first size

	// TokenMax bounds channels, sites and ids; SKUMax bounds SKUs, in bytes.
	TokenMax = 64
	SKUMax   = 64
)

// PlaceSubject is where a channel places orders.
func PlaceSubject(channel string) string { return SubjectOrder + "place." + channel }

// OrderSubject is the subject of an order verb other than place.
func OrderSubject(verb string) string { return SubjectOrder + verb }

// StockSubject is the subject of a stock verb.
func StockSubject(verb string) string { return SubjectStock + verb }

// SiteSubject is the subject of a site verb.
func SiteSubject(verb string) string { return SubjectSite + verb }

// FulfillmentSubject is where a site answers about its work.
func FulfillmentSubject(verb, site string) string { return SubjectFulfillment + verb + "." + site }

// IntakeSubject is a channel's durable door.
func IntakeSubject(channel string) string { return SubjectIntake + channel }

// EventSubject is where a public event appears: family order|fulfillment|stock, then the event, then the channel or site.
func EventSubject(family, event, key string) string {
	return SubjectEvents + family + "." + event + "." + key
}

// DeadSubject is where a door puts what it could not understand.
func DeadSubject(door string) string { return SubjectDead + door }

// ClusterSubject is the subject of an operator's verb about the cluster.
func ClusterSubject(verb string) string { return SubjectCluster + verb }

// RulesSubject is the subject of an operator's verb about the routing rules.
func RulesSubject(verb string) string { return SubjectRules + verb }

// NodeSubject is where one process listens to its peers.
func NodeSubject(incarnation, what string) string { return SubjectNode + incarnation + "." + what }

// NodesSubject is where every node listens.
func NodesSubject(topic string) string { return SubjectNodes + topic }

// LastToken is the subject's last token: the channel of a place, the site of a fulfillment answer.
func LastToken(subject string) string { return subject[strings.LastIndexByte(subject, '.')+1:] }

// CheckToken says whether s may stand as a channel, a site or an id: [A-Za-z0-9_-]{1,64}.
func CheckToken(s string) error {
	if s == "" {
		return errors.New("must not be empty")
	}
	if len(s) > TokenMax {
		return fmt.Errorf("has %d bytes, at most %d are allowed", len(s), TokenMax)
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-') {
			return fmt.Errorf("holds %q, only letters, digits, '_' and '-' are allowed", c)
		}
	}
	return nil
}

// CheckSKU says whether s may stand as a SKU: printable, no '@', at most 64 bytes.
func CheckSKU(s string) error {
	switch {
	case s == "":
		return errors.New("must not be empty")
	case len(s) > SKUMax:
		return fmt.Errorf("has %d bytes, at most %d are allowed", len(s), SKUMax)
	case !utf8.ValidString(s):
		return errors.New("is not valid UTF-8")
	}
	for _, r := range s {
		if r == '@' || !unicode.IsPrint(r) {
			return fmt.Errorf("holds %q, only printable characters without '@' are allowed", r)
		}
	}
	return nil
}

// SubjectToken makes any text safe as one subject token: plain tokens stay readable, others become "=" + base64url.
func SubjectToken(s string) string {
	if CheckToken(s) == nil {
		return s
	}
	return "=" + base64.RawURLEncoding.EncodeToString([]byte(s))
}

// ParseSubjectToken undoes SubjectToken.
func ParseSubjectToken(t string) (string, error) {
	if !strings.HasPrefix(t, "=") {
		return t, nil
	}
	b, err := base64.RawURLEncoding.DecodeString(t[1:])
	if err != nil {
		return "", fmt.Errorf("subject token %q: %w", t, err)
	}
	return string(b), nil
}
