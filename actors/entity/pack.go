package entity

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"unsafe"

	"github.com/klauspost/compress/s2"
	"google.golang.org/protobuf/encoding/protowire"

	"orderyard/messages"
)

// Idle entities lie in memory as packed bytes: an order takes 0.5 KB instead of 1.2, a bucket 0.2 instead of 0.4. Entities of a kind look much alike, so
// the first ones a store hears of become a dictionary for the rest; without one the gain would be a third of that. Packing an order costs 2 µs,
// unpacking 1 µs, beside some 30 µs for each of its commands. A checkpoint holds them as they lie, with the dictionary, so that whoever reads it back packs
// nothing; from then on the dictionary stays.
type packer struct {
	sample []byte // the dictionary in the making
	dict   *s2.Dict
}

// rooms are for what is made of an entity on its way into memory or out of it: a busy site is a megabyte.
var rooms = sync.Pool{New: func() any { return new([]byte) }}

// borrow gives room for n bytes; give it back when what was made in it has been copied.
func borrow(n int) *[]byte {
	room := rooms.Get().(*[]byte)
	if cap(*room) < n {
		*room = make([]byte, n)
	}
	*room = (*room)[:n]
	return room
}

func giveBack(room *[]byte) {
	if cap(*room) <= roomMost {
		rooms.Put(room)
	}
}

const (
	dictionaryBytes = 8 << 10
	sampleBytes     = 1 << 10  // of one entity, so that the dictionary knows several
	packLeast       = 64       // bytes; less is not worth it
	dictionaryMost  = 32 << 10 // bytes; more is packed without: it is its own dictionary
	roomMost        = 8 << 20  // bytes that are kept for the next one
)

// How bytes are packed: the first byte.
const (
	packedNot   = 0
	packedDict  = 1
	packedAlone = 2
)

// pack gives the bytes in their own memory; they are not kept.
func (p *packer) pack(blob []byte) string {
	p.learn(blob)
	how, encoded := byte(packedNot), blob
	room := borrow(s2.MaxEncodedLen(len(blob)))
	defer giveBack(room)
	switch {
	case len(blob) > dictionaryMost:
		how, encoded = packedAlone, s2.Encode(*room, blob)
	case len(blob) >= packLeast && p.dict != nil:
		how, encoded = packedDict, p.dict.Encode(*room, blob)
	}
	if len(encoded) >= len(blob) {
		how, encoded = packedNot, blob
	}
	var out strings.Builder // the one that makes a string without copying it
	out.Grow(len(encoded) + 1)
	out.WriteByte(how)
	out.Write(encoded)
	return out.String()
}

// learn takes the first blobs as a dictionary.
func (p *packer) learn(blob []byte) {
	if p.dict != nil {
		return
	}
	p.sample = append(p.sample, blob[:min(len(blob), sampleBytes)]...)
	if len(p.sample) >= dictionaryBytes {
		p.dict, p.sample = s2.MakeDict(p.sample, nil), nil
	}
}

// adopt takes the dictionary of a checkpoint, which was made here once; the bytes are kept.
func (p *packer) adopt(dict []byte) error {
	if p.dict != nil {
		return errors.New("a second dictionary for a kind of entity")
	}
	if p.dict, p.sample = s2.NewDict(dict), nil; p.dict == nil {
		return errors.New("the dictionary for a kind of entity is none")
	}
	return nil
}

// unpack gives the bytes as they were, in their own memory.
func (p *packer) unpack(packed string) ([]byte, error) {
	if packed == "" {
		return nil, nil
	}
	if packed[0] == packedNot {
		return []byte(packed[1:]), nil
	}
	return p.open(nil, packed[0], bytesOf(packed)[1:])
}

// bytesOf gives a string's bytes as they lie, to read.
func bytesOf(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }

// open is unpack for bytes that lie in memory of the caller's, which the result may share, or in dst when that has room.
func (p *packer) open(dst []byte, how byte, body []byte) (blob []byte, err error) {
	switch {
	case how == packedNot:
		return body, nil
	case how == packedDict && p.dict != nil:
		blob, err = p.dict.Decode(dst, body)
	case how == packedAlone:
		blob, err = s2.Decode(dst, body)
	default:
		err = fmt.Errorf("packed in a way (%d) that cannot be undone here", how)
	}
	if err != nil {
		return nil, fmt.Errorf("unpack an entity: %w", err) // memory that nobody else writes to: never seen
	}
	return blob, nil
}

// outline is what a store must know of an entity without bringing it to life.
type outline struct {
	ref     messages.Ref
	wake    int64
	waits   []string
	summary []byte // a part of the blob
}

var errSnapshot = errors.New("decode entity snapshot: its bytes are none")

// outlineOf reads it from an encoded EntitySnapshot. State and answers, which are most of it, are passed over.
func outlineOf(blob []byte) (o outline, err error) {
	for len(blob) > 0 {
		number, kind, n := protowire.ConsumeTag(blob)
		if n < 0 {
			return o, errSnapshot
		}
		blob = blob[n:]
		size := protowire.ConsumeFieldValue(number, kind, blob)
		if size < 0 {
			return o, errSnapshot
		}
		value := blob[:size]
		blob = blob[size:]
		switch {
		case kind == protowire.VarintType:
			x, _ := protowire.ConsumeVarint(value)
			switch number {
			case 1:
				o.ref.Kind = messages.Kind(x)
			case 6:
				o.wake = int64(x)
			}
		case kind == protowire.BytesType:
			x, _ := protowire.ConsumeBytes(value)
			switch number {
			case 2:
				o.ref.ID = string(x)
			case 7:
				o.waits = append(o.waits, string(x))
			case 8:
				o.summary = x
			}
		}
	}
	return o, nil
}
