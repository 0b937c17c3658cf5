package wire

import "orderyard/messages"

// Head opens every answer.
type Head struct {
	OK    bool   `json:"ok"`
	Error *Error `json:"error,omitzero"`
}

// Error is the public shape of every "no".
type Error struct {
	Code         string       `json:"code"`
	Message      string       `json:"message"`
	Field        string       `json:"field,omitempty"`
	Retryable    bool         `json:"retryable"`
	RetryAfterMs int64        `json:"retry_after_ms,omitzero"`
	Errors       []FieldError `json:"errors,omitempty"`
}

// FieldError is one of several things wrong.
type FieldError struct {
	Field   string `json:"field"`
	Code    string `json:"code"`
	Message string `json:"message"`
}

// HeadOf is the head of a reply: ok without a failure. A missing reply is the house's own fault.
func HeadOf(r *messages.Reply) Head {
	if r == nil {
		return FailureHead(messages.Fail(messages.CodeInternal, "", "no answer was made"))
	}
	if r.GetFailure() == nil {
		return Head{OK: true}
	}
	return FailureHead(r.GetFailure())
}

// FailureHead is the head of a failure.
func FailureHead(f *messages.Failure) Head {
	e := &Error{
		Code: f.GetCode(), Message: f.GetMessage(), Field: f.GetField(), Retryable: f.GetRetryable(), RetryAfterMs: f.GetRetryAfterMs(),
	}
	for _, one := range f.GetErrors() {
		e.Errors = append(e.Errors, FieldError{Field: one.GetField(), Code: one.GetCode(), Message: one.GetMessage()})
	}
	return Head{Error: e}
}

// Failure is the way back, for clients; nil when the answer is ok.
func (h *Head) Failure() *messages.Failure {
	if h.OK {
		return nil
	}
	if h.Error == nil {
		return messages.Fail(messages.CodeInternal, "", "the answer holds neither ok nor an error")
	}
	f := &messages.Failure{
		Code: h.Error.Code, Message: h.Error.Message, Field: h.Error.Field, Retryable: h.Error.Retryable, RetryAfterMs: h.Error.RetryAfterMs,
	}
	for _, one := range h.Error.Errors {
		f.Errors = append(f.Errors, &messages.FieldError{Field: one.Field, Code: one.Code, Message: one.Message})
	}
	return f
}

// EncodeFailure writes the error envelope.
func EncodeFailure(f *messages.Failure) []byte {
	b, err := Encode(FailureHead(f))
	if err != nil { // a message that is not valid UTF-8
		return []byte(`{"ok":false,"error":{"code":"internal","message":"the error cannot be written","retryable":false}}`)
	}
	return b
}

// batchFailure says for a whole list how many of its entries failed; nil when none did.
func batchFailure(failed, of, first int, f *messages.Failure) *messages.Failure {
	if failed == 0 {
		return nil
	}
	whole := messages.Fail(f.GetCode(), indexPath(first, f.GetField()), "%d of %d failed; the first: %s", failed, of, f.GetMessage())
	whole.Retryable, whole.RetryAfterMs = f.GetRetryable(), f.GetRetryAfterMs()
	return whole
}
