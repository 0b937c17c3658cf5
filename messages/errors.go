package messages

import "fmt"

// The closed set of error codes (CONTRACT §2).
const (
	CodeInvalid     = "invalid"
	CodeNotFound    = "not_found"
	CodeConflict    = "conflict"
	CodeDeclined    = "declined"
	CodeRejected    = "rejected"
	CodeHeld        = "held"
	CodeTooLate     = "too_late"
	CodeLimit       = "limit"
	CodeUnavailable = "unavailable"
	CodeMoved       = "moved"
	CodeTimeout     = "timeout"
	CodeInternal    = "internal"
)

// Error lets a Failure travel as a Go error.
func (f *Failure) Error() string {
	if f.GetField() == "" {
		return f.GetCode() + ": " + f.GetMessage()
	}
	return f.GetCode() + ": " + f.GetField() + ": " + f.GetMessage()
}

// Fail makes a failure that is not worth retrying.
func Fail(code, field, format string, args ...any) *Failure {
	return &Failure{Code: code, Field: field, Message: fmt.Sprintf(format, args...)}
}

// Invalid says what is wrong with one field of a command.
func Invalid(field, format string, args ...any) *Failure {
	return Fail(CodeInvalid, field, format, args...)
}

// Retry makes a failure the caller may retry with the same command id after the given time.
func Retry(code string, afterMs int64, format string, args ...any) *Failure {
	return &Failure{Code: code, Retryable: true, RetryAfterMs: afterMs, Message: fmt.Sprintf(format, args...)}
}

// InvalidAll folds several field errors into one failure; nil when there are none. The first one gives field and message.
func InvalidAll(errs []*FieldError) *Failure {
	if len(errs) == 0 {
		return nil
	}
	f := &Failure{Code: CodeInvalid, Field: errs[0].Field, Message: errs[0].Message, Errors: errs}
	if len(errs) > 1 {
		f.Message = fmt.Sprintf("%s (and %d more)", errs[0].Message, len(errs)-1)
	}
	return f
}

// Refuse wraps a failure as a reply.
func Refuse(f *Failure) *Reply { return &Reply{Failure: f} }
