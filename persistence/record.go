package persistence

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

// A record is a fixed header and a payload, little endian:
//
//	 0  4  magic "OYJR"
//	 4  1  format version
//	 5  1  kind
//	 6  2  partition, so that a record restored into the wrong lane is noticed
//	 8  8  number: 1 for the first record of the partition, then without gaps
//	16  8  epoch: of the takeover under which it was written
//	24 32  SHA-256 of the whole previous record, zero for the first
//	56  4  length of the payload
//	60  4  CRC32C over the header before it and the payload
//	64  .  payload
//
// The CRC finds a damaged record without its neighbors; the chain of hashes finds a missing or foreign one.
const (
	recordMagic   = "OYJR"
	recordVersion = 1
	headerSize    = 64
	crcAt         = 60
)

// RecordOverhead is what a record adds to its payload, in bytes.
const RecordOverhead = headerSize

// RecordKind tells what the payload is.
type RecordKind uint8

const (
	RecordCommit   RecordKind = 1 // the owner's payload
	RecordTakeover RecordKind = 2 // a new owner: see Takeover
)

func (k RecordKind) String() string {
	switch k {
	case RecordCommit:
		return "commit"
	case RecordTakeover:
		return "takeover"
	}
	return fmt.Sprintf("kind(%d)", uint8(k))
}

// Header is what a record says about itself.
type Header struct {
	Kind      RecordKind
	Partition int
	Number    uint64
	Epoch     uint64
	Prev      [32]byte
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// appendRecord encodes a record behind dst.
func appendRecord(dst []byte, h *Header, payload []byte) []byte {
	start := len(dst)
	dst = append(dst, recordMagic...)
	dst = append(dst, recordVersion, byte(h.Kind))
	dst = binary.LittleEndian.AppendUint16(dst, uint16(h.Partition))
	dst = binary.LittleEndian.AppendUint64(dst, h.Number)
	dst = binary.LittleEndian.AppendUint64(dst, h.Epoch)
	dst = append(dst, h.Prev[:]...)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(payload)))
	dst = binary.LittleEndian.AppendUint32(dst, 0)
	dst = append(dst, payload...)
	record := dst[start:]
	binary.LittleEndian.PutUint32(record[crcAt:], recordCRC(record))
	return dst
}

func recordCRC(record []byte) uint32 {
	crc := crc32.Update(0, castagnoli, record[:crcAt])
	return crc32.Update(crc, castagnoli, record[headerSize:])
}

// DecodeRecord reads one record and checks it by itself; Chain checks it against its neighbors. The payload shares the record's memory.
// Its error is a CorruptError without a place: the caller knows the place.
func DecodeRecord(b []byte) (Header, []byte, error) {
	var h Header
	if len(b) < headerSize {
		return h, nil, unplaced("a record of %d bytes is shorter than a header", len(b))
	}
	if string(b[:4]) != recordMagic {
		return h, nil, unplaced("not a record: it begins with %q", b[:4])
	}
	if b[4] != recordVersion {
		return h, nil, unplaced("record format %d is not known here, only %d", b[4], recordVersion)
	}
	if n := binary.LittleEndian.Uint32(b[56:]); uint64(n) != uint64(len(b)-headerSize) {
		return h, nil, unplaced("the header tells a payload of %d bytes, there are %d", n, len(b)-headerSize)
	}
	if want, got := binary.LittleEndian.Uint32(b[crcAt:]), recordCRC(b); want != got {
		return h, nil, unplaced("checksum %08x, the record says %08x", got, want)
	}
	h.Kind = RecordKind(b[5])
	if h.Kind != RecordCommit && h.Kind != RecordTakeover {
		return h, nil, unplaced("record kind %d is not known here", b[5])
	}
	h.Partition = int(binary.LittleEndian.Uint16(b[6:]))
	h.Number = binary.LittleEndian.Uint64(b[8:])
	h.Epoch = binary.LittleEndian.Uint64(b[16:])
	copy(h.Prev[:], b[24:56])
	return h, b[headerSize:], nil
}

func unplaced(format string, args ...any) error {
	return &CorruptError{Partition: -1, Reason: fmt.Sprintf(format, args...)}
}

// RecordHash is what the next record must hold as Prev.
func RecordHash(record []byte) [32]byte { return sha256.Sum256(record) }

// Takeover is the payload of a takeover record: who owns the partition from here on.
type Takeover struct {
	Node        string
	Incarnation string
	Nonce       uint64 // of the Log, so that two of one process never write the same bytes
	Term        uint64 // of the claim at the arbiter; 0 = there is none, and then it is not written
}

func (t Takeover) append(dst []byte) []byte {
	dst = binary.LittleEndian.AppendUint64(dst, t.Nonce)
	for _, s := range []string{t.Node, t.Incarnation} {
		dst = binary.AppendUvarint(dst, uint64(len(s)))
		dst = append(dst, s...)
	}
	if t.Term != 0 {
		dst = binary.AppendUvarint(dst, t.Term)
	}
	return dst
}

// DecodeTakeover reads the payload of a takeover record.
func DecodeTakeover(payload []byte) (Takeover, error) {
	var t Takeover
	if len(payload) < 8 {
		return t, unplaced("a takeover of %d bytes is too short", len(payload))
	}
	t.Nonce = binary.LittleEndian.Uint64(payload)
	payload = payload[8:]
	for _, s := range []*string{&t.Node, &t.Incarnation} {
		n, size := binary.Uvarint(payload)
		if size <= 0 || n > uint64(len(payload)-size) {
			return Takeover{}, unplaced("a takeover ends within a name")
		}
		*s = string(payload[size : size+int(n)])
		payload = payload[size+int(n):]
	}
	if len(payload) == 0 {
		return t, nil
	}
	term, size := binary.Uvarint(payload)
	if size != len(payload) || term == 0 {
		return Takeover{}, unplaced("a takeover has %d bytes that are no term", len(payload))
	}
	t.Term = term
	return t, nil
}
