package wire

import (
	"encoding/json"
	"testing"
	"time"
)

// TestTimeInPlainJSON proves that encoding/json writes and reads a time as this package does: documents of programs that use it, such as those of
// `rules simulate`, have the same times as answers.
func TestTimeInPlainJSON(t *testing.T) {
	type document struct {
		At    Time `json:"at"`
		None  Time `json:"none"`
		Since Time `json:"since,omitzero"`
	}
	at := document{At: 1_795_338_000_004}
	body, err := json.Marshal(at)
	if want := `{"at":"2026-11-22T09:00:00.004Z","none":null}`; err != nil || string(body) != want {
		t.Errorf("%s, %v; want %s", body, err, want)
	}
	var back document
	if err := json.Unmarshal(body, &back); err != nil || back != at {
		t.Errorf("%+v, %v", back, err)
	}
	if err := json.Unmarshal([]byte(`{"at":17}`), &back); err == nil {
		t.Error("a number is taken for a time")
	}
}

// TestTimeOf proves that a time is taken where a request may hold it: from the first millisecond that is not "not given" to the last that can be written.
func TestTimeOf(t *testing.T) {
	for text, good := range map[string]bool{
		"0001-01-01T00:00:00Z": false, "1969-12-31T23:59:59.999Z": false, "1970-01-01T00:00:00Z": false, "1970-01-01T00:00:00.001Z": true,
		"9999-12-31T23:59:59.999Z": true, "9999-12-31T23:59:59-05:00": false,
	} {
		at, err := time.Parse(time.RFC3339, text)
		if err != nil {
			t.Fatal(err)
		}
		got, err := TimeOf(at)
		if (err == nil) != good || good && !got.Time().Equal(at) {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
}
