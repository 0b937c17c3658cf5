package main

import "testing"

// Proves that a small store may pile up all the garbage there is room for, and a large one is collected before it has grown by a quarter.
func TestGCPercent(t *testing.T) {
	const garbage = 1 << 30
	for _, tt := range []struct {
		live float64
		want int
	}{{0, gcPercentMax}, {64 << 20, gcPercentMax}, {512 << 20, 200}, {1 << 30, 100}, {8 << 30, gcPercentMin}} {
		if got := gcPercentFor(garbage, tt.live); got != tt.want {
			t.Errorf("%v bytes alive: %d %%, want %d", tt.live, got, tt.want)
		}
	}
}
