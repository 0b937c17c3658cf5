package wire

import (
	"github.com/go-json-experiment/json"
)

// MarshalJSON is for encoding/json, which does not know MarshalJSONTo: programs of the house write documents of their own with it.
func (t Time) MarshalJSON() ([]byte, error) { return json.Marshal(t) }

// UnmarshalJSON is the way back.
func (t *Time) UnmarshalJSON(text []byte) error { return json.Unmarshal(text, t) }
