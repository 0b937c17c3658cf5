package memory

import "slices"

// Records gives a partition's records, to look at or to damage a copy of. The data is shared: clone before changing it.
func (s *Store) Records(partition int) []Record {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.journal[partition])
}

// Replace puts other records in a partition's place, as a damaged disk or a wrong restore would. Tests only.
func (s *Store) Replace(partition int, records []Record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.journal[partition] = slices.Clone(records)
}

// DamageCheckpoint lets a test change the slices of the newest checkpoint; false when there is none. Slices are shared: clone before
// changing one.
func (s *Store) DamageCheckpoint(partition int, change func(slices [][]byte) [][]byte) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	points := slices.Clone(s.checkpoints[partition])
	if len(points) == 0 {
		return false
	}
	last := &points[len(points)-1]
	last.slices = change(slices.Clone(last.slices))
	s.checkpoints[partition] = points
	return true
}
