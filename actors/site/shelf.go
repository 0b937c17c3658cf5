package site

import "slices"

// shelf keeps values in key order, in chunks: an insertion moves at most one chunk's worth of entries, so 20,000 open
// fulfillment orders cost the same microsecond as twenty. A sorted slice moved 300 KB per insertion; a heap cannot be read in
// order without being emptied, and Decide must only read.
type shelf[K, V any] struct {
	compare func(a, b K) int
	chunks  [][]shelved[K, V] // each non-empty and sorted, keys rising from chunk to chunk
	size    int
}

type shelved[K, V any] struct {
	key   K
	value V
}

const chunkMax = 256

// place finds the chunk and position where key is or would be.
func (s *shelf[K, V]) place(key K) (chunk, at int, found bool) {
	chunk, _ = slices.BinarySearchFunc(s.chunks, key, func(c []shelved[K, V], k K) int {
		return s.compare(c[len(c)-1].key, k)
	})
	if chunk == len(s.chunks) {
		return chunk, 0, false
	}
	at, found = slices.BinarySearchFunc(s.chunks[chunk], key, func(e shelved[K, V], k K) int { return s.compare(e.key, k) })
	return chunk, at, found
}

// put adds a value; a key that is there already gets the new value.
func (s *shelf[K, V]) put(key K, value V) {
	chunk, at, found := s.place(key)
	if found {
		s.chunks[chunk][at].value = value
		return
	}
	s.size++
	entry := shelved[K, V]{key, value}
	if chunk == len(s.chunks) { // beyond the last key
		if last := chunk - 1; last >= 0 && len(s.chunks[last]) < chunkMax {
			s.chunks[last] = append(s.chunks[last], entry)
			return
		}
		s.chunks = append(s.chunks, append(make([]shelved[K, V], 0, 8), entry))
		return
	}
	c := slices.Insert(s.chunks[chunk], at, entry)
	s.chunks[chunk] = c
	if len(c) > chunkMax {
		half := len(c) / 2
		right := slices.Clone(c[half:])
		clear(c[half:])
		s.chunks[chunk] = c[:half]
		s.chunks = slices.Insert(s.chunks, chunk+1, right)
	}
}

// drop removes a key; removing what is not there does nothing.
func (s *shelf[K, V]) drop(key K) {
	chunk, at, found := s.place(key)
	if !found {
		return
	}
	s.size--
	s.chunks[chunk] = slices.Delete(s.chunks[chunk], at, at+1)
	if len(s.chunks[chunk]) == 0 {
		s.chunks = slices.Delete(s.chunks, chunk, chunk+1)
	}
}

// first is the entry with the lowest key.
func (s *shelf[K, V]) first() (key K, value V, ok bool) {
	if len(s.chunks) == 0 {
		return key, value, false
	}
	e := s.chunks[0][0]
	return e.key, e.value, true
}

// from visits the entries with keys ≥ key in order until visit returns false.
func (s *shelf[K, V]) from(key K, visit func(K, V) bool) {
	chunk, at, _ := s.place(key)
	for ; chunk < len(s.chunks); chunk, at = chunk+1, 0 {
		for _, e := range s.chunks[chunk][at:] {
			if !visit(e.key, e.value) {
				return
			}
		}
	}
}

// each visits all entries in order until visit returns false.
func (s *shelf[K, V]) each(visit func(K, V) bool) {
	for _, c := range s.chunks {
		for _, e := range c {
			if !visit(e.key, e.value) {
				return
			}
		}
	}
}
