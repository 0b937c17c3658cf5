package main

import "testing"

// Proves that a small heap keeps the usual percentage, and that a large one gets no more garbage than the headroom, but always some.
func TestGarbageHasALimit(t *testing.T) {
	for _, live := range []uint64{0, 1 << 20, 100 << 20, 256 << 20, 300 << 20, 1 << 30, 3 << 30, 100 << 30} {
		percent := percentFor(live)
		garbage := live * uint64(percent) / 100
		switch {
		case live <= gcHeadroom*100/gcPercent && percent != gcPercent:
			t.Errorf("%d MiB live: %d %%", live>>20, percent)
		case garbage > gcHeadroom && percent > 10 || percent < 10:
			t.Errorf("%d MiB live: %d %% are %d MiB of garbage", live>>20, percent, garbage>>20)
		}
	}
}
