package ruleset

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
)

// Canonical is the meaning of a set as bytes: every default written out, what has no order sorted, without notes, comments and places.
// Two files that decide alike by the letter have the same canonical form; so the same version is the same everywhere.
func (s *Set) Canonical() []byte {
	text, err := json.Marshal(s)
	if err != nil {
		panic("ruleset: canonical form: " + err.Error()) // the model holds nothing that JSON cannot say
	}
	return text
}

// hash is SHA-256 of the canonical form, in hexadecimal digits.
func (s *Set) hash() string {
	sum := sha256.Sum256(s.Canonical())
	return hex.EncodeToString(sum[:])
}
