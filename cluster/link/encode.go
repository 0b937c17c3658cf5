package link

import (
	"slices"

	"google.golang.org/protobuf/encoding/protowire"

	"orderyard/messages"
)

// Field numbers of nodes.proto. Items are written straight into the batch's bytes, and its other fields behind them: the order
// of fields means nothing, and nothing is copied. encode_test.go proves that the generated code reads what is written here.
const (
	fieldRequests = 6 // of LinkBatch
	fieldReplies  = 7
	fieldData     = 5 // of LinkRequest
	fieldCall     = 1 // of LinkReply
	fieldReply    = 2
)

// chunk is the body of a batch while it gathers.
type chunk struct {
	seq   uint64 // counts the peer's chunks: a flight was sent when its chunk was
	data  []byte
	items int
	call  uint64 // of the only item, when it is a call
	reply uint64 // of the only item, when it answers a call of the other
}

// requestSize is how many bytes appendRequest will add at most.
func requestSize(req *messages.Request) int {
	return req.Command.SizeVT() + len(req.To.ID) + len(req.CommandID) + len(req.From.ID) + 80
}

// appendRequest adds one LinkRequest to a batch.
func appendRequest(b []byte, call uint64, req *messages.Request, command uint32, remainingMs int64) ([]byte, error) {
	head := messages.LinkRequest{
		Call: call, Kind: uint32(req.To.Kind), Id: req.To.ID, Command: command, CommandId: req.CommandID,
		FromKind: uint32(req.From.Kind), FromId: req.From.ID, RemainingMs: remainingMs,
	}
	headSize, bodySize := head.SizeVT(), req.Command.SizeVT()
	size := headSize
	if bodySize > 0 {
		size += protowire.SizeTag(fieldData) + protowire.SizeBytes(bodySize)
	}
	b = protowire.AppendTag(b, fieldRequests, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(size))
	b = slices.Grow(b, size)
	n := len(b)
	b = b[:n+headSize]
	if _, err := head.MarshalToSizedBufferVT(b[n:]); err != nil {
		return nil, err
	}
	if bodySize == 0 {
		return b, nil
	}
	b = protowire.AppendTag(b, fieldData, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(bodySize))
	return appendMessage(b, req.Command, bodySize)
}

func replySize(r *messages.Reply) int { return r.SizeVT() + 40 }

// appendReply adds one LinkReply to a batch.
func appendReply(b []byte, call uint64, r *messages.Reply) ([]byte, error) {
	bodySize := r.SizeVT()
	size := protowire.SizeTag(fieldCall) + protowire.SizeVarint(call) + protowire.SizeTag(fieldReply) + protowire.SizeBytes(bodySize)
	b = protowire.AppendTag(b, fieldReplies, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(size))
	b = protowire.AppendTag(b, fieldCall, protowire.VarintType)
	b = protowire.AppendVarint(b, call)
	b = protowire.AppendTag(b, fieldReply, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(bodySize))
	return appendMessage(b, r, bodySize)
}

func appendMessage(b []byte, m messages.Message, size int) ([]byte, error) {
	b = slices.Grow(b, size)
	n := len(b)
	b = b[:n+size]
	_, err := m.MarshalToSizedBufferVT(b[n:])
	return b, err
}

// appendHead adds a batch's own fields behind its items.
func appendHead(b []byte, head *messages.LinkBatch) []byte {
	size := head.SizeVT()
	b = slices.Grow(b, size)
	n := len(b)
	b = b[:n+size]
	if _, err := head.MarshalToSizedBufferVT(b[n:]); err != nil {
		panic("link: encode a batch's head: " + err.Error()) // strings and numbers: it cannot fail
	}
	return b
}
