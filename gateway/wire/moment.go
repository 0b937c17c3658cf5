package wire

import (
	"errors"
	"time"

	"github.com/go-json-experiment/json"
)

var errBounds = errors.New("must be after 1970-01-01T00:00:00Z and before the year 10000 in UTC")

// TimeOf makes a time of a moment, within the bounds that a time in a request has. Zero is not within them: it would be "not given".
func TimeOf(at time.Time) (Time, error) {
	ms := at.UnixMilli()
	if ms <= 0 || ms > timeMax {
		return 0, errBounds
	}
	return Time(ms), nil
}

// MarshalJSON is for encoding/json, which does not know MarshalJSONTo: programs of the house write documents of their own with it.
func (t Time) MarshalJSON() ([]byte, error) { return json.Marshal(t) }

// UnmarshalJSON is the way back.
func (t *Time) UnmarshalJSON(text []byte) error { return json.Unmarshal(text, t) }
