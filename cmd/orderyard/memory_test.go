package main

import "testing"

// Proves that a small store may pile up all the garbage there is room for, and a large one is collected before it has grown by a quarter.
func TestGCPercent(t *testing.T) {
	const garbage = 1 << 30
	for _, tt := range []struct {
		live float64
		want int
	}{{0, gcPercentMax}, {128 << 20, gcPercentMax}, {512 << 20, 200}, {1 << 30, 100}, {8 << 30, gcPercentMin}} {
		if got := gcPercentFor(garbage, tt.live); got != tt.want {
			t.Errorf("%v bytes alive: %d %%, want %d", tt.live, got, tt.want)
		}
	}
}

// Proves that garbage may pile up as fast as it is made, that a busy node stays within its part of the machine however fast that is, and that a large store
// has room left.
func TestGarbageFor(t *testing.T) {
	const mib, gib = 1 << 20, 1 << 30
	for _, tt := range []struct {
		what              string
		rate, live, total float64
		want              float64
	}{
		{"a node at rest", 0, 100 * mib, 24 * gib, garbageMin},
		{"one of three", 100 * mib, 500 * mib, 24 * gib, 800 * mib},
		{"one that does it all", 300 * mib, 500 * mib, 24 * gib, 2400 * mib},
		{"faster than there is room", 1000 * mib, 500 * mib, 24 * gib, 3*gib - 500*mib},
		{"a large store", 1000 * mib, 10 * gib, 24 * gib, 1 * gib},
		{"a small machine", 1000 * mib, 100 * mib, 2 * gib, 156 * mib},
		{"a full small machine", 1000 * mib, 200 * mib, 2 * gib, 128 * mib},
		{"an unknown machine", 1000 * mib, 500 * mib, 0, 1 * gib},
	} {
		if got := garbageFor(tt.rate, tt.live, tt.total); got != tt.want {
			t.Errorf("%s: %.0f MiB, want %.0f", tt.what, got/mib, tt.want/mib)
		}
	}
}
