package egress

import (
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"orderyard/gateway/wire"
)

// The payloads are written by hand: reflection costs more than everything else an event needs. A name is always a constant of
// this package and is written as it is; a value is quoted.

func appendName(b []byte, name string) []byte {
	b = append(b, ',', '"')
	b = append(b, name...)
	return append(b, '"', ':')
}

// appendString quotes a value. What is not valid UTF-8 cannot come in by the doors; should it be there, it is made readable.
func appendString(b []byte, s string) []byte {
	before := len(b)
	b, err := jsontext.AppendQuote(b, s)
	if err != nil {
		b, _ = jsontext.AppendQuote(b[:before], strings.ToValidUTF8(s, "\uFFFD"))
	}
	return b
}

func appendText(b []byte, name, value string) []byte { return appendString(appendName(b, name), value) }

func appendTextIf(b []byte, name, value string) []byte {
	if value == "" {
		return b
	}
	return appendText(b, name, value)
}

func appendNumber(b []byte, n int64) []byte { return strconv.AppendInt(b, n, 10) }

func appendInt(b []byte, name string, n int64) []byte { return appendNumber(appendName(b, name), n) }

func appendUint(b []byte, name string, n uint64) []byte {
	return strconv.AppendUint(appendName(b, name), n, 10)
}

func appendFloat(b []byte, name string, f float64) []byte {
	return strconv.AppendFloat(appendName(b, name), f, 'f', -1, 64)
}

// appendTime leaves out a time that is not given.
func appendTime(b []byte, name string, ms int64) []byte {
	if ms == 0 {
		return b
	}
	b = append(appendName(b, name), '"')
	return append(wire.AppendTime(b, ms), '"')
}
