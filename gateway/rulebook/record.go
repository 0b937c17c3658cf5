package rulebook

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"orderyard/messages"
	"orderyard/routing/ruleset"
)

// Version is one published rule set. It never changes.
type Version struct {
	Number int64  `json:"number"`          // 1, 2, 3 …
	Rules  string `json:"rules"`           // the set's own version, its name and hash, which plans store
	Hash   string `json:"hash"`            // of its meaning, as the publishing node compiled it
	Text   string `json:"text"`            // as it was written
	Tests  string `json:"tests,omitempty"` // the rule tests it had to pass
	Sum    string `json:"sum"`             // SHA-256 of text and tests: what is stored is what was published
	By     string `json:"by"`
	AtMs   int64  `json:"at_ms"` // Unix milliseconds
	Note   string `json:"note,omitempty"`
	ID     string `json:"id"` // of the writing: tells mine from another's with the same content
}

// Activation is one change of what is in force.
type Activation struct {
	Seq      int64  `json:"seq"`    // 1, 2, 3 …
	Number   int64  `json:"number"` // of the version
	Rules    string `json:"rules"`
	Previous int64  `json:"previous"` // the version before, 0 = the built-in rules
	Act      string `json:"act"`      // publish or rollback
	By       string `json:"by"`
	AtMs     int64  `json:"at_ms"`
	Note     string `json:"note,omitempty"`
	ID       string `json:"id"`
}

// Acts that put a version in force.
const (
	ActPublish  = "publish"
	ActRollback = "rollback"
)

const (
	keyActive  = "active"
	keyVersion = "v."
)

func versionKey(number int64) string { return keyVersion + strconv.FormatInt(number, 10) }

func sumOf(text, tests string) string {
	h := sha256.New()
	fmt.Fprintf(h, "%d\n%s%s", len(text), text, tests)
	return hex.EncodeToString(h.Sum(nil))
}

// Compile makes a stored version ready to decide. It refuses a text that is not what was published, and one that this program cannot
// compile: then the set was written for a newer one.
func (v *Version) Compile() (*ruleset.Compiled, error) {
	if v.Sum != sumOf(v.Text, v.Tests) {
		return nil, errors.New("what is stored is not what was published: its checksum differs")
	}
	c, err := ruleset.Load("version "+strconv.FormatInt(v.Number, 10), []byte(v.Text))
	if err != nil {
		return nil, fmt.Errorf("this program cannot compile it: %w", err)
	}
	return c, nil
}

// check compiles what somebody wants to publish and runs its tests. The failure lists everything that is wrong, with line and column.
func check(text, tests string) (*ruleset.Compiled, *messages.Failure) {
	if n := len(text) + len(tests); n > TextBytesMax {
		return nil, messages.Invalid("text", "rules and tests have %d bytes together, at most %d are kept", n, TextBytesMax)
	}
	c, err := ruleset.Load("text", []byte(text))
	var wrong *ruleset.Error
	switch {
	case errors.As(err, &wrong):
		return nil, problems("text", wrong.Problems)
	case err != nil:
		return nil, messages.Invalid("text", "%v", err)
	case tests == "":
		return c, nil
	}
	results, found := ruleset.RunTests(c, "tests", []byte(tests))
	for _, r := range results {
		for _, p := range r.Failures {
			p.Message = "test " + strconv.Quote(r.Name) + ": " + p.Message
			found = append(found, p)
		}
	}
	return c, problems("tests", found)
}

// problems are the door's words for mistakes in a file: the field names the place.
func problems(field string, found []ruleset.Problem) *messages.Failure {
	var errs []*messages.FieldError
	for _, p := range found {
		e := &messages.FieldError{Field: field, Code: messages.CodeInvalid, Message: p.Message}
		if p.Line > 0 {
			e.Field = fmt.Sprintf("%s:%d:%d", field, p.Line, p.Column)
		}
		if p.Key != "" {
			e.Message = p.Key + ": " + p.Message
		}
		errs = append(errs, e)
	}
	return messages.InvalidAll(errs)
}

// decode reads a stored document. A newer node may have written more than this one knows.
func decode[T any](key string, value []byte) (T, error) {
	var doc T
	if err := json.Unmarshal(value, &doc); err != nil {
		return doc, fmt.Errorf("%s of %s cannot be read: %w", key, Bucket, err)
	}
	return doc, nil
}

func encode(doc any) []byte {
	value, err := json.Marshal(doc)
	if err != nil {
		panic("rulebook: a record of texts and numbers cannot be written: " + err.Error())
	}
	return value
}
