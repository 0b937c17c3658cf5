package ingress

import "orderyard/messages"

// tooLong is said instead of an answer that the server does not carry: the caller would else wait for nothing, and ask again. Asking again
// gives the same answer, so it is not to be retried. It is the question that is wrong where less can be asked for. A list of changes is another
// thing: it was decided, and only the answer is lost.
func (q *query) tooLong(bytes int) *messages.Failure {
	most := q.door.in.nc.MaxPayload()
	switch {
	case q.fewer == "":
		return messages.Fail(messages.CodeInternal, "", "the answer has %d bytes, and the server carries at most %d: raise its max_payload", bytes, most)
	case q.kind == changing:
		return messages.Fail(messages.CodeInternal, q.fewer,
			"the answer has %d bytes, and the server carries at most %d: all of it was decided, look at what is there, and send fewer at once", bytes, most)
	}
	return messages.Invalid(q.fewer, "asks for an answer of %d bytes, and the server carries at most %d: ask for fewer", bytes, most)
}

// tooMany is said to a question that asks more entities than the door ever lets in at once. `limit` would have the caller come back for ever.
func (q *query) tooMany(n int, most int64) *messages.Failure {
	if q.fewer == "" {
		return messages.Fail(messages.CodeInternal, "", "it takes %d commands, and this door takes at most %d at once: raise limits.inflight_max", n, most)
	}
	return messages.Invalid(q.fewer, "asks for %d commands, and this door takes at most %d at once: ask for fewer", n, most)
}
