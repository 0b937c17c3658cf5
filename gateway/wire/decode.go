package wire

import (
	"bytes"
	"errors"
	"io"
	"reflect"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"orderyard/messages"
)

// Limits of a document at the door.
const (
	// OrderBytesMax is the contract's bound of one order document.
	OrderBytesMax = 256 << 10
	// RequestBytesMax bounds every other single request: none of them holds more than a site's calendar.
	RequestBytesMax = 64 << 10
	// BatchBytesMax bounds a list of requests; NATS itself refuses more than 1 MiB by default.
	BatchBytesMax = 1 << 20
	// BatchMax is the contract's bound of a list.
	BatchMax = 1000
	// DepthMax bounds nesting: the contract's own documents need five, the rest is left to attributes.
	DepthMax = 16
	// LinesMax is the contract's bound of an order's lines.
	LinesMax = 500
)

// wholeBody names the document itself where no field can be named.
const wholeBody = "body"

var strict = json.JoinOptions(json.RejectUnknownMembers(true))

// Decode reads one request strictly into dst. The failure names the field.
func Decode(body []byte, dst any) *messages.Failure {
	return decode(body, RequestBytesMax, dst)
}

// DecodeLong reads one document that may hold a long list, such as a thousand SKUs.
func DecodeLong(body []byte, dst any) *messages.Failure {
	return decode(body, BatchBytesMax, dst)
}

func decode(body []byte, bytesMax int, dst any) *messages.Failure {
	if f := checkShape(body, bytesMax); f != nil {
		return f
	}
	if err := json.Unmarshal(body, dst, strict); err != nil {
		return failureOf(err)
	}
	return nil
}

// DecodeOneOrMany reads one request or a list of at most BatchMax; many tells which it was.
func DecodeOneOrMany[T any](body []byte) (items []T, many bool, f *messages.Failure) {
	if trimmed := bytes.TrimLeft(body, " \t\r\n"); len(trimmed) == 0 || trimmed[0] != '[' {
		items = make([]T, 1)
		return items, false, Decode(body, &items[0])
	}
	if f := decode(body, BatchBytesMax, &items); f != nil {
		return nil, true, f
	}
	if len(items) == 0 {
		return nil, true, messages.Invalid(wholeBody, "the list is empty")
	}
	if len(items) > BatchMax {
		return nil, true, messages.Invalid(wholeBody, "the list has %d entries, at most %d are allowed", len(items), BatchMax)
	}
	return items, true, nil
}

// DecodeAnswer reads an answer leniently: fields this version does not know are skipped.
func DecodeAnswer(body []byte, dst any) error { return json.Unmarshal(body, dst) }

// Encode writes any document of this package. It cannot fail on values built from messages; an error means that raw
// attributes were not valid JSON. Equal values give equal bytes.
func Encode(v any) ([]byte, error) { return json.Marshal(v, json.Deterministic(true)) }

// checkShape bounds size and nesting before anything is allocated for the document.
func checkShape(body []byte, bytesMax int) *messages.Failure {
	if len(body) > bytesMax {
		return messages.Invalid(wholeBody, "has %d bytes, at most %d are allowed", len(body), bytesMax)
	}
	depth, inString := 0, false
	for i := 0; i < len(body); i++ {
		switch c := body[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case inString:
		case c == '{' || c == '[':
			if depth++; depth > DepthMax {
				return messages.Invalid(wholeBody, "nests deeper than %d levels", DepthMax)
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return nil
}

// failureOf turns a decoding error into words for people, with the path of the field.
func failureOf(err error) *messages.Failure {
	var semantic *json.SemanticError
	var syntactic *jsontext.SyntacticError
	var told *messages.Failure
	switch {
	case errors.As(err, &syntactic):
		return syntaxFailure(syntactic)
	case errors.As(err, &semantic):
		path := fieldPath(semantic.JSONPointer)
		if errors.As(semantic.Err, &told) {
			return messages.Invalid(path, "%s", told.Message)
		}
		return messages.Invalid(path, "%s", meaning(semantic))
	}
	return messages.Invalid(wholeBody, "cannot be read: %v", err)
}

func syntaxFailure(err *jsontext.SyntacticError) *messages.Failure {
	path := fieldPath(err.JSONPointer)
	switch {
	case errors.Is(err.Err, jsontext.ErrDuplicateName):
		return messages.Invalid(path, "is given twice")
	case errors.Is(err.Err, io.ErrUnexpectedEOF):
		return messages.Invalid(path, "the document ends too early, after %d bytes", err.ByteOffset)
	case strings.Contains(err.Err.Error(), "UTF-8"):
		return messages.Invalid(path, "holds invalid UTF-8 at byte %d", err.ByteOffset)
	}
	return messages.Invalid(path, "is not valid JSON at byte %d: %v", err.ByteOffset, err.Err)
}

func meaning(err *json.SemanticError) string {
	switch {
	case errors.Is(err.Err, json.ErrUnknownName):
		return "is not a field of this document"
	case errors.Is(err.Err, strconv.ErrRange):
		return "is out of range: whole numbers have at most 64 bits"
	}
	got := kindName(err.JSONKind)
	if want := typeName(err.GoType); want != "" && got != "" {
		if err.JSONKind == '0' && want == "a whole number" {
			return "must be a whole number without fraction or exponent"
		}
		return "must be " + want + ", not " + got
	}
	if err.Err != nil {
		return err.Err.Error()
	}
	return "has the wrong type"
}

func kindName(k jsontext.Kind) string {
	switch k {
	case 'n':
		return "null"
	case 't', 'f':
		return "true or false"
	case '"':
		return "a string"
	case '0':
		return "a number"
	case '{', '}':
		return "an object"
	case '[', ']':
		return "a list"
	}
	return ""
}

func typeName(t reflect.Type) string {
	if t == nil || t == reflect.TypeFor[Time]() || t == reflect.TypeFor[jsontext.Value]() {
		return ""
	}
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch t.Kind() {
	case reflect.Int, reflect.Int32, reflect.Int64, reflect.Uint32, reflect.Uint64:
		return "a whole number"
	case reflect.Float64:
		return "a number"
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice:
		return "a list"
	case reflect.Struct, reflect.Map:
		return "an object"
	}
	return ""
}

// fieldPath turns the JSON pointer "/lines/2/quantity" into "lines[2].quantity".
func fieldPath(p jsontext.Pointer) string {
	if p == "" {
		return wholeBody
	}
	var path []byte
	for token := range p.Tokens() {
		switch {
		case isIndex(token):
			path = append(append(append(path, '['), token...), ']')
		case len(path) == 0:
			path = append(path, printable(token)...)
		default:
			path = append(append(path, '.'), printable(token)...)
		}
		if len(path) > pathMax {
			return string(path[:pathMax])
		}
	}
	return string(path)
}

// pathMax bounds the path of an error: a sender's own key may be as long as its document.
const pathMax = 200

func isIndex(token string) bool {
	for i := 0; i < len(token); i++ {
		if token[i] < '0' || token[i] > '9' {
			return false
		}
	}
	return token != ""
}

// printable keeps a path valid UTF-8 even when the sender's key is not, and visible even when it is empty.
func printable(token string) string {
	if token == "" {
		return `""`
	}
	return strings.ToValidUTF8(token, "\uFFFD")
}
