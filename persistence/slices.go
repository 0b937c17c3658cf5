package persistence

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
)

// SliceDigest adds up the slices of a checkpoint; every store uses it, so that a Manifest means the same everywhere.
type SliceDigest struct {
	sum    hash.Hash
	slices int
	bytes  int64
}

// NewSliceDigest starts with no slices.
func NewSliceDigest() *SliceDigest { return &SliceDigest{sum: sha256.New()} }

// Add takes the next slice; ErrTooLarge above SliceMax.
func (d *SliceDigest) Add(slice []byte) error {
	if len(slice) > SliceMax {
		return fmt.Errorf("slice %d of a checkpoint has %d bytes, at most %d are allowed: %w", d.slices, len(slice), SliceMax, ErrTooLarge)
	}
	var length [4]byte
	binary.LittleEndian.PutUint32(length[:], uint32(len(slice)))
	d.sum.Write(length[:])
	d.sum.Write(slice)
	d.slices++
	d.bytes += int64(len(slice))
	return nil
}

// Fill writes count, bytes and digest into a manifest.
func (d *SliceDigest) Fill(m *Manifest) {
	m.Slices, m.Bytes = d.slices, d.bytes
	d.sum.Sum(m.Digest[:0])
}

// Check compares what was added with what a manifest says.
func (d *SliceDigest) Check(partition int, m Manifest) error {
	got := m
	d.Fill(&got)
	if got == m {
		return nil
	}
	return &CorruptError{Partition: partition, Position: m.Position, Reason: fmt.Sprintf(
		"the checkpoint has %d slices of %d bytes that do not add up to the %d slices of %d bytes it was written with", got.Slices, got.Bytes, m.Slices, m.Bytes)}
}
