package wire

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// shipped is a document with a time.
type shipped struct {
	ShippedAt Time `json:"shipped_at,omitzero"`
}

// TestTimeBounds proves that a time counts in UTC, in which it is kept and written: what lies before 1970 or after 9999 there is refused with the name
// of the field, whatever year the sender's zone makes of it.
func TestTimeBounds(t *testing.T) {
	for _, c := range []struct{ at, want string }{
		{"1970-01-01T00:00:00Z", "1970"},
		{"1970-01-01T00:00:00.0009Z", "1970"},
		{"1970-01-01T00:00:00+01:00", "1970"},
		{"1970-01-01T00:59:59.999+01:00", "1970"},
		{"1970-01-01T01:00:00.001+01:00", ""},
		{"1969-12-31T23:30:00-01:00", ""},
		{"9999-12-31T23:59:59-12:00", "9999"},
		{"9999-12-31T23:59:59.9999-00:01", "9999"},
		{"9999-12-31T23:59:59.9999Z", ""},
		{"9999-12-31T23:59:59.999+12:00", ""},
	} {
		f := Decode([]byte(`{"shipped_at":"`+c.at+`"}`), new(shipped))
		if c.want == "" && f != nil || c.want != "" && (f == nil || f.Field != "shipped_at" || !strings.Contains(f.Message, c.want)) {
			t.Errorf("%s: got %v, want %q", c.at, f, c.want)
		}
	}
}

// TestTimeComesBack proves that every time that is accepted can be read again once it was written.
func TestTimeComesBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		near := rapid.SampledFrom([]int64{0, 1_795_000_000_000, 253_402_300_799_999}).Draw(t, "near")
		ms := near + rapid.Int64Range(-100_000_000, 100_000_000).Draw(t, "off")
		zone := time.FixedZone("", 60*rapid.IntRange(-23*60, 23*60).Draw(t, "zone"))
		text := time.UnixMilli(ms).In(zone).Format(time.RFC3339Nano)
		var one, two shipped
		if Decode([]byte(`{"shipped_at":"`+text+`"}`), &one) != nil {
			return
		}
		body, err := Encode(one)
		if err != nil {
			t.Fatal(err)
		}
		if err := DecodeAnswer(body, &two); err != nil || one != two {
			t.Fatalf("%s was written as %s and read as %v: %v", text, body, two, err)
		}
	})
}
