package jetstream

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"iter"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"
	js "github.com/nats-io/nats.go/jetstream"

	"orderyard/persistence"
)

// A slice's message is its index and its CRC32C, then the slice.
const sliceHeader = 8

// kept is how many checkpoints of a partition stay: the newest and the one before.
const kept = 2

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// storedManifest is the manifest as it lies in the stream: JSON, for the operator who looks. Check is the CRC32C of the JSON with Check 0.
type storedManifest struct {
	Name     string `json:"name"` // of the slices' subject
	Position uint64 `json:"position"`
	Number   uint64 `json:"number"`
	Epoch    uint64 `json:"epoch"`
	Term     uint64 `json:"term,omitempty"`
	Hash     string `json:"hash"`
	Slices   int    `json:"slices"`
	Bytes    int64  `json:"bytes"`
	Digest   string `json:"digest"`
	AtMs     int64  `json:"at_ms"`
	Check    uint32 `json:"check"`

	sequence uint64 // where it lies
}

func manifestSubject(partition int) string {
	return subjectCheckpoint + strconv.Itoa(partition) + ".m"
}
func sliceSubject(partition int, name string) string {
	return subjectCheckpoint + strconv.Itoa(partition) + ".s." + name
}

// Write implements persistence.Snapshots. The slices go one after the other: a checkpoint is background work and must leave the disk to the journal.
func (s *Store) Write(ctx context.Context, partition int, manifest persistence.Manifest, slices iter.Seq2[[]byte, error]) error {
	if err := persistence.CheckPartition(partition); err != nil {
		return err
	}
	fail := func(err error) error {
		return fmt.Errorf("write checkpoint of partition %d at position %d: %w", partition, manifest.Position, err)
	}
	manifests, err := s.manifests(ctx, partition)
	if err != nil {
		return fail(err)
	}
	var expect uint64
	if n := len(manifests); n > 0 {
		expect = manifests[n-1].sequence
		if manifests[n-1].Position > manifest.Position {
			return fail(persistence.ErrSuperseded)
		}
	}
	name := fmt.Sprintf("%d-%s", manifest.Position, rand.Text())
	if err := s.writeSlices(ctx, sliceSubject(partition, name), &manifest, slices); err != nil {
		return fail(err)
	}
	// The expectation orders rival writers: the second one looks again, and a retry of this Write is refused if the first was newer.
	sequence, err := s.publish(ctx, manifestSubject(partition), expect, "", encodeManifest(name, manifest))
	if err != nil {
		return fail(err)
	}
	newest := storedManifest{Name: name, Position: manifest.Position, sequence: sequence}
	if err := s.tidy(ctx, partition, append(manifests, newest)); err != nil {
		return fmt.Errorf("partition %d at position %d: %w: %w", partition, manifest.Position, persistence.ErrUntidy, err)
	}
	return nil
}

func (s *Store) writeSlices(ctx context.Context, subject string, manifest *persistence.Manifest, slices iter.Seq2[[]byte, error]) error {
	digest := persistence.NewSliceDigest()
	var buf []byte
	index := uint32(0)
	for slice, err := range slices {
		if err != nil {
			return err
		}
		if err := digest.Add(slice); err != nil {
			return err
		}
		buf = binary.LittleEndian.AppendUint32(buf[:0], index)
		buf = binary.LittleEndian.AppendUint32(buf, crc32.Checksum(slice, castagnoli))
		buf = append(buf, slice...)
		if _, err := s.js.PublishMsg(ctx, &nats.Msg{Subject: subject, Data: buf}); err != nil {
			return fmt.Errorf("slice %d: %w", index, err)
		}
		index++
	}
	digest.Fill(manifest)
	return nil
}

// tidy removes all but the newest manifests and the slices none of those names: of older checkpoints, and of attempts that ended early. Slices
// of a higher position belong to a writer at work.
func (s *Store) tidy(ctx context.Context, partition int, manifests []storedManifest) error {
	stay := manifests[max(0, len(manifests)-kept):]
	newest := stay[len(stay)-1]
	if len(manifests) > kept {
		err := s.checkpoint.Purge(ctx, js.WithPurgeSubject(manifestSubject(partition)), js.WithPurgeSequence(stay[0].sequence))
		if err != nil {
			return err
		}
	}
	subjects, err := s.sliceCounts(ctx, partition, ">")
	if err != nil {
		return err
	}
	for subject := range subjects {
		name := subject[len(sliceSubject(partition, "")):]
		if named(stay, name) || positionOf(name) > newest.Position {
			continue
		}
		if err := s.checkpoint.Purge(ctx, js.WithPurgeSubject(subject)); err != nil {
			return err
		}
	}
	return nil
}

func named(manifests []storedManifest, name string) bool {
	for _, m := range manifests {
		if m.Name == name {
			return true
		}
	}
	return false
}

func positionOf(name string) uint64 {
	digits, _, _ := strings.Cut(name, "-")
	position, _ := strconv.ParseUint(digits, 10, 64) // 0 for a foreign name: it is removed
	return position
}

// sliceCounts gives the slice subjects and how many messages each has, as the leader knows them.
func (s *Store) sliceCounts(ctx context.Context, partition int, name string) (map[string]uint64, error) {
	info, err := s.checkpoint.Info(ctx, js.WithSubjectFilter(sliceSubject(partition, name)))
	if err != nil {
		return nil, err
	}
	return info.State.Subjects, nil
}

// manifests reads the manifests of a partition, oldest first; at most a few.
func (s *Store) manifests(ctx context.Context, partition int) ([]storedManifest, error) {
	var found []storedManifest
	r := reader{store: s, stream: s.checkpoint, subject: manifestSubject(partition), partition: partition}
	err := r.run(ctx, 0, func(sequence uint64, data []byte) error {
		m, err := decodeManifest(data)
		if err != nil {
			return &persistence.CorruptError{Partition: partition, Position: sequence, Reason: "manifest of a checkpoint: " + err.Error()}
		}
		m.sequence = sequence
		found = append(found, m)
		return nil
	})
	return found, err
}

// Load implements persistence.Snapshots. Whether all slices are there is asked before the first is given away.
func (s *Store) Load(ctx context.Context, partition int, slice func([]byte) error) (persistence.Manifest, bool, error) {
	none := persistence.Manifest{}
	fail := func(err error) error { return fmt.Errorf("load checkpoint of partition %d: %w", partition, err) }
	if err := persistence.CheckPartition(partition); err != nil {
		return none, false, err
	}
	manifests, err := s.manifests(ctx, partition)
	if err != nil {
		return none, false, fail(err)
	}
	for i := len(manifests) - 1; i >= 0; i-- {
		m := manifests[i]
		counts, err := s.sliceCounts(ctx, partition, m.Name)
		if err != nil {
			return none, false, fail(err)
		}
		if counts[sliceSubject(partition, m.Name)] != uint64(m.Slices) {
			continue // incomplete: the former one, if the journal still reaches back to it
		}
		manifest, err := m.manifest()
		if err == nil {
			err = s.loadSlices(ctx, partition, m.Name, manifest, slice)
		}
		if err != nil {
			return manifest, false, fail(err)
		}
		return manifest, true, nil
	}
	if n := len(manifests); n > 0 {
		return none, false, fail(&persistence.CorruptError{Partition: partition, Position: manifests[n-1].Position, Reason: "no checkpoint is whole: slices are missing"})
	}
	return none, false, nil
}

func (s *Store) loadSlices(ctx context.Context, partition int, name string, manifest persistence.Manifest, fn func([]byte) error) error {
	digest := persistence.NewSliceDigest()
	index := uint32(0)
	r := reader{store: s, stream: s.checkpoint, subject: sliceSubject(partition, name), partition: partition}
	err := r.run(ctx, 0, func(_ uint64, data []byte) error {
		damaged := len(data) < sliceHeader || binary.LittleEndian.Uint32(data) != index ||
			binary.LittleEndian.Uint32(data[4:]) != crc32.Checksum(data[sliceHeader:], castagnoli)
		if damaged {
			return &persistence.CorruptError{Partition: partition, Position: manifest.Position, Reason: fmt.Sprintf("slice %d of the checkpoint is damaged", index)}
		}
		index++
		if err := digest.Add(data[sliceHeader:]); err != nil {
			return err
		}
		return fn(data[sliceHeader:])
	})
	if err != nil {
		return err
	}
	return digest.Check(partition, manifest)
}

func encodeManifest(name string, m persistence.Manifest) []byte {
	stored := storedManifest{
		Name: name, Position: m.Position, Number: m.Number, Epoch: m.Epoch, Term: m.Term, Hash: hex.EncodeToString(m.Hash[:]),
		Slices: m.Slices, Bytes: m.Bytes, Digest: hex.EncodeToString(m.Digest[:]), AtMs: m.AtMs,
	}
	stored.Check = stored.sum()
	b, _ := json.Marshal(stored) // strings and numbers: cannot fail
	return b
}

func (m storedManifest) sum() uint32 {
	m.Check = 0
	b, _ := json.Marshal(m)
	return crc32.Checksum(b, castagnoli)
}

func decodeManifest(data []byte) (storedManifest, error) {
	var m storedManifest
	if err := json.Unmarshal(data, &m); err != nil {
		return m, err
	}
	if m.sum() != m.Check {
		return m, errors.New("its checksum differs")
	}
	return m, nil
}

func (m storedManifest) manifest() (persistence.Manifest, error) {
	out := persistence.Manifest{Position: m.Position, Number: m.Number, Epoch: m.Epoch, Term: m.Term, Slices: m.Slices, Bytes: m.Bytes, AtMs: m.AtMs}
	for _, f := range []struct {
		hex string
		to  *[32]byte
	}{{m.Hash, &out.Hash}, {m.Digest, &out.Digest}} {
		b, err := hex.DecodeString(f.hex)
		if err != nil || len(b) != len(f.to) {
			return out, fmt.Errorf("manifest at position %d: %q is not a hash", m.Position, f.hex)
		}
		copy(f.to[:], b)
	}
	return out, nil
}
