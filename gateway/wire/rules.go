package wire

import (
	"unicode/utf8"

	"orderyard/messages"
)

// PublishRulesRequest asks to put a rule set in force. Text is the file as it was written, Tests the rule tests that it must pass. BasedOn
// is the version it was made from (0 = the built-in rules): when another one is in force, that is a conflict; left out, it does not matter.
type PublishRulesRequest struct {
	Text    string `json:"text"`
	Tests   string `json:"tests,omitempty"`
	Note    string `json:"note,omitempty"`
	Actor   string `json:"actor,omitempty"`
	BasedOn *int64 `json:"based_on,omitzero"`
}

// RollbackRulesRequest asks to put a version that was published before in force again.
type RollbackRulesRequest struct {
	Version int64  `json:"version"`
	Note    string `json:"note,omitempty"`
	Actor   string `json:"actor,omitempty"`
	BasedOn *int64 `json:"based_on,omitzero"`
}

// RulesReceipt says what is in force after a publication or a rollback.
type RulesReceipt struct {
	Head
	Version      int64  `json:"version,omitzero"`
	RulesVersion string `json:"rules_version,omitempty"` // what plans made by it store
	Activation   int64  `json:"activation,omitzero"`     // counts the changes of what is in force
	Previous     int64  `json:"previous"`                // the version in force before; 0 = the built-in rules
	Unchanged    bool   `json:"unchanged,omitzero"`      // it was in force already
}

// GetRulesRequest asks for one version, whole; without a number for the one in force.
type GetRulesRequest struct {
	Version int64 `json:"version,omitzero"`
}

// RulesAnswer is one version.
type RulesAnswer struct {
	Head
	Version      int64  `json:"version,omitzero"`
	RulesVersion string `json:"rules_version,omitempty"`
	Hash         string `json:"hash,omitempty"`
	State        string `json:"state,omitempty"` // draft active archived
	By           string `json:"by,omitempty"`
	At           Time   `json:"at,omitzero"`
	Note         string `json:"note,omitempty"`
	Text         string `json:"text,omitempty"`
	Tests        string `json:"tests,omitempty"`
}

// RulesHistoryRequest asks for a page of the history; Before continues below an activation.
type RulesHistoryRequest struct {
	Before int64 `json:"before,omitzero"`
	Limit  int64 `json:"limit,omitzero"`
}

// RulesHistoryAnswer has the changes of what is in force, newest first, and the versions that never were. NextBefore continues.
type RulesHistoryAnswer struct {
	Head
	History    []RulesEntry `json:"history,omitempty"`
	Drafts     []RulesEntry `json:"drafts,omitempty"`
	NextBefore int64        `json:"next_before,omitzero"`
}

// RulesEntry is one activation; of a draft, one version.
type RulesEntry struct {
	Activation   int64  `json:"activation,omitzero"`
	Version      int64  `json:"version"`
	RulesVersion string `json:"rules_version"`
	State        string `json:"state"`             // of the version now
	Act          string `json:"act,omitempty"`     // publish rollback
	Previous     int64  `json:"previous,omitzero"` // the version in force before
	By           string `json:"by,omitempty"`
	At           Time   `json:"at,omitzero"`
	Note         string `json:"note,omitempty"`
}

// RulesStatusRequest asks what is in force, and what each node routes by.
type RulesStatusRequest struct{}

// RulesStatusAnswer is what is in force by the store, none before the first publication, and a row per node.
type RulesStatusAnswer struct {
	Head
	AnsweredBy string      `json:"answered_by,omitempty"`
	Active     *RulesEntry `json:"active,omitzero"`
	Nodes      []RulesNode `json:"nodes,omitempty"`
}

// RulesNode is what one process routes by. Version 0 are the built-in rules.
type RulesNode struct {
	Node         string        `json:"node"`
	Incarnation  string        `json:"incarnation,omitempty"`
	Version      int64         `json:"version"`
	RulesVersion string        `json:"rules_version,omitempty"`
	Activation   int64         `json:"activation"`
	Refused      *RulesRefusal `json:"refused,omitzero"` // what is in force, but cannot be used there
	Error        string        `json:"error,omitempty"`  // it did not answer: nothing else is known
}

// RulesRefusal says why a node goes on with an older version.
type RulesRefusal struct {
	Version    int64  `json:"version"`
	Activation int64  `json:"activation"`
	Reason     string `json:"reason"`
}

// DecodePublishRules reads a publication, which may be as large as a message: whoever keeps it has a limit of his own.
func DecodePublishRules(body []byte) (PublishRulesRequest, *messages.Failure) {
	var r PublishRulesRequest
	f := decode(body, BatchBytesMax, &r)
	return r, f
}

// Bounds of what people write about a version.
const (
	RulesNoteMax  = 1000
	RulesActorMax = 128
)

// Check bounds the request; the rules themselves are the rule book's matter.
func (r *PublishRulesRequest) Check() *messages.Failure {
	var c checker
	c.required("text", r.Text)
	c.remarks(r.Note, r.Actor, r.BasedOn)
	return c.failure()
}

// Check bounds the request.
func (r *RollbackRulesRequest) Check() *messages.Failure {
	var c checker
	c.between("version", r.Version, 1, QuantityMax)
	c.remarks(r.Note, r.Actor, r.BasedOn)
	return c.failure()
}

// Check bounds the request.
func (r *GetRulesRequest) Check() *messages.Failure {
	var c checker
	c.between("version", r.Version, 0, QuantityMax)
	return c.failure()
}

// Check bounds the request.
func (r *RulesHistoryRequest) Check() *messages.Failure {
	var c checker
	c.between("before", r.Before, 0, QuantityMax)
	c.between("limit", r.Limit, 0, ListMax)
	return c.failure()
}

func (c *checker) remarks(note, actor string, based *int64) {
	c.between("note", int64(utf8.RuneCountInString(note)), 0, RulesNoteMax)
	c.between("actor", int64(utf8.RuneCountInString(actor)), 0, RulesActorMax)
	if based != nil {
		c.between("based_on", *based, 0, QuantityMax)
	}
}
