package entity

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"

	"orderyard/messages"
)

// A checkpoint is one stream of frames, each behind its length, cut into slices without regard to their borders: an entity of any size fits. The
// first byte of a frame says what it is. No encoded snapshot begins with one of these, for they would be fields with the number 0; so what
// begins otherwise is a snapshot as it is: of an entity that was awake, or in a checkpoint from before there were other frames.
const (
	frameCount = 1 // how many entities the stream holds, about: uvarint
	frameDict  = 2 // a kind's dictionary, before all entities: kind as uvarint, dictionary
	frameIdle  = 3 // an idle entity as it lies in memory: length of its outline as uvarint, outline, packed snapshot
)

// countMost bounds what is believed of a frameCount, which only saves a map from growing: room for so many is a hundred megabytes.
const countMost = 1 << 20

var errFrame = errors.New("checkpoint stream: a frame is cut or of an unknown kind")

// frameWriter makes the frames of idle entities. It belongs to one goroutine. What it gives away is not to be kept.
type frameWriter struct {
	told    map[messages.Kind]bool // whose dictionary stands in the stream
	frame   []byte
	outline []byte
}

// begin adds what stands before the entities. A dictionary that is made later is not in the stream: reading back, plain entities may have made
// another one by then.
func (w *frameWriter) begin(s *Store, add func(frame []byte)) {
	add(binary.AppendUvarint([]byte{frameCount}, uint64(len(s.slots))))
	w.told = make(map[messages.Kind]bool)
	for _, kind := range slices.Sorted(maps.Keys(s.packs)) {
		if dict := s.packs[kind].dict; dict != nil {
			w.told[kind] = true
			add(append(binary.AppendUvarint([]byte{frameDict}, uint64(kind)), dict.Bytes()...))
		}
	}
}

// idle adds an entity's frame and gives the size of its plain snapshot; nothing for an entity of which nothing is known.
func (w *frameWriter) idle(s *Store, sl *slot, add func(frame []byte)) (size int, err error) {
	if sl.blob == "" {
		return 0, nil
	}
	packed := bytesOf(sl.blob)
	if packed[0] == packedNot {
		add(packed[1:])
		return len(packed), nil
	}
	room := borrow(0)
	defer giveBack(room)
	blob, err := s.packer(sl.ref.Kind).open(*room, packed[0], packed[1:])
	if err != nil {
		return 0, fmt.Errorf("%s: %w", sl.ref, err)
	}
	*room = blob
	if packed[0] == packedDict && !w.told[sl.ref.Kind] {
		add(blob)
		return len(blob), nil
	}
	if w.outline, err = appendOutline(w.outline[:0], blob); err != nil {
		return 0, fmt.Errorf("%s: %w", sl.ref, err)
	}
	w.frame = binary.AppendUvarint(append(w.frame[:0], frameIdle), uint64(len(w.outline)))
	w.frame = append(append(w.frame, w.outline...), packed...)
	add(w.frame)
	return len(blob), nil
}

// appendOutline appends an encoded snapshot without its state, its answers and its version.
func appendOutline(dst, blob []byte) ([]byte, error) {
	for len(blob) > 0 {
		number, _, n := protowire.ConsumeField(blob)
		if n < 0 {
			return nil, errSnapshot
		}
		if number < 3 || number > 5 {
			dst = append(dst, blob[:n]...)
		}
		blob = blob[n:]
	}
	return dst, nil
}

// StreamReader puts the slices of a checkpoint together again.
type StreamReader struct {
	rest  []byte // of a frame that the last slice did not hold whole
	packs map[messages.Kind]*packer
}

// Take adds a slice and calls fn for every snapshot that is now whole, with its plain bytes; they are fn's until it returns.
func (r *StreamReader) Take(slice []byte, fn func(blob []byte) error) error {
	if r.packs == nil {
		r.packs = make(map[messages.Kind]*packer)
	}
	return r.frames(slice, func(frame []byte) error {
		switch kindOf(frame) {
		case frameCount:
			return nil
		case frameDict:
			return adoptDict(r.packs, frame)
		case frameIdle:
			o, packed, err := idleFrame(frame)
			if err != nil {
				return err
			}
			blob, err := packerIn(r.packs, o.ref.Kind).open(nil, packed[0], packed[1:])
			if err != nil {
				return fmt.Errorf("%s: %w", o.ref, err)
			}
			return fn(blob)
		}
		return fn(frame)
	})
}

// frames adds a slice and calls fn for every frame that is now whole; its bytes are fn's until it returns.
func (r *StreamReader) frames(slice []byte, fn func(frame []byte) error) error {
	for len(r.rest) > 0 {
		size, n := binary.Uvarint(r.rest)
		lacks := uint64(1) // byte of the length itself
		if n > 0 {
			lacks = size - min(size, uint64(len(r.rest)-n))
		}
		switch {
		case n < 0:
			return errFrame
		case lacks > uint64(len(slice)):
			r.rest = append(r.rest, slice...)
			return nil
		}
		r.rest = append(r.rest, slice[:lacks]...)
		slice = slice[lacks:]
		if n > 0 {
			if err := fn(r.rest[n:]); err != nil {
				return err
			}
			r.rest = r.rest[:0]
		}
	}
	for len(slice) > 0 {
		size, n := binary.Uvarint(slice)
		switch {
		case n < 0:
			return errFrame
		case n == 0 || size > uint64(len(slice)-n):
			r.rest = append(r.rest[:0], slice...)
			return nil
		}
		end := n + int(size)
		if err := fn(slice[n:end:end]); err != nil {
			return err
		}
		slice = slice[end:]
	}
	return nil
}

// whole says that no frame was begun and not ended.
func (r *StreamReader) whole() bool { return len(r.rest) == 0 }

func kindOf(frame []byte) byte {
	if len(frame) == 0 {
		return 0
	}
	return frame[0]
}

// countOf reads a frameCount.
func countOf(frame []byte) (int, error) {
	n, size := binary.Uvarint(frame[1:])
	if size <= 0 {
		return 0, errFrame
	}
	return int(min(n, countMost)), nil
}

// adoptDict takes the dictionary of a frameDict for its kind.
func adoptDict(packs map[messages.Kind]*packer, frame []byte) error {
	kind, n := binary.Uvarint(frame[1:])
	if n <= 0 || kind > uint64(^messages.Kind(0)) {
		return errFrame
	}
	return packerIn(packs, messages.Kind(kind)).adopt(slices.Clone(frame[1+n:]))
}

// idleFrame reads a frameIdle. The packed bytes, one at least, share the frame's memory.
func idleFrame(frame []byte) (o outline, packed []byte, err error) {
	size, n := binary.Uvarint(frame[1:])
	if n <= 0 || size >= uint64(len(frame)-1-n) {
		return o, nil, errFrame
	}
	rest := frame[1+n:]
	o, err = outlineOf(rest[:size])
	return o, rest[size:], err
}
