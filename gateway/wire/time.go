package wire

import (
	"errors"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// Time is a moment in Unix milliseconds, written as RFC 3339 in UTC. Zero is "not given".
type Time int64

// IsZero lets omitzero leave the field out.
func (t Time) IsZero() bool { return t == 0 }

// Time gives the moment to people.
func (t Time) Time() time.Time { return time.UnixMilli(int64(t)).UTC() }

// String is the RFC 3339 form, "" when not given.
func (t Time) String() string {
	if t == 0 {
		return ""
	}
	return string(AppendTime(nil, int64(t)))
}

// AppendTime appends Unix milliseconds as RFC 3339 in UTC, with milliseconds only where there are any.
func AppendTime(dst []byte, ms int64) []byte {
	return time.UnixMilli(ms).UTC().AppendFormat(dst, time.RFC3339Nano)
}

// MarshalJSONTo writes RFC 3339, or null when not given.
func (t Time) MarshalJSONTo(enc *jsontext.Encoder) error {
	if t == 0 {
		return enc.WriteToken(jsontext.Null)
	}
	var buf [48]byte
	b := append(buf[:0], '"')
	b = append(AppendTime(b, int64(t)), '"')
	return enc.WriteValue(b)
}

// timeMax is the last millisecond that RFC 3339 can write in UTC.
const timeMax = 253_402_300_799_999

var (
	errTime  = errors.New("must be a time as RFC 3339, such as 2026-11-22T09:00:00Z")
	errEarly = errors.New("must be later than the beginning of 1970 in UTC")
	errLate  = errors.New("must not be after 9999 in UTC")
)

// UnmarshalJSONFrom reads RFC 3339 strictly; null is "not given". The bounds are those of UTC, in which the time is written again: a year of the sender's
// zone may be another one there.
func (t *Time) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	tok, err := dec.ReadToken()
	if err != nil {
		return err
	}
	switch tok.Kind() {
	case 'n':
		*t = 0
		return nil
	case '"':
	default:
		return errTime
	}
	var at time.Time
	if err := at.UnmarshalText([]byte(tok.String())); err != nil {
		return errTime
	}
	ms := at.UnixMilli()
	switch {
	case ms <= 0: // the first moment of 1970 too: it stands for no time at all, here and in many a sender's empty field
		return errEarly
	case ms > timeMax:
		return errLate
	}
	*t = Time(ms)
	return nil
}
