package entity

import (
	"bytes"
	"fmt"
	"testing"
)

// Proves that a batch never grows beyond what one append may hold: an entry that does not fit closes the batch before it, and one that is larger than
// a batch may be has one of its own, also behind a batch that was closed full. Sizes are in KiB, of each batch as it is taken.
func TestBatchStaysWithinItsSize(t *testing.T) {
	for _, c := range []struct {
		entries []int
		want    string
	}{
		{[]int{700, 500}, "[700 500]"},
		{[]int{700, 68, 1}, "[768 1]"},
		{[]int{768, 768}, "[768 768]"},
		{[]int{1, 900, 1, 1}, "[1 900 2]"},
		{[]int{900, 1}, "[900 1]"},
		{[]int{400, 400, 400, 300}, "[400 400 700]"},
	} {
		b := NewBatches[string]()
		var numbers, told []uint64
		for _, kib := range c.entries {
			last := uint64(0)
			if len(numbers) > 0 {
				last = numbers[len(numbers)-1]
			}
			numbers = append(numbers, b.Add(bytes.Repeat([]byte{1}, kib<<10), "who", last, 768<<10))
		}
		var sizes []int
		for batch := b.Take(768 << 10); batch != nil; batch = b.Take(768 << 10) {
			sizes = append(sizes, len(batch.Payload)>>10)
			if told = append(told, batch.Number); len(batch.Notify) != 1 {
				t.Errorf("%v: batch %d tells %d times", c.entries, batch.Number, len(batch.Notify))
			}
		}
		if got := fmt.Sprint(sizes); got != c.want {
			t.Errorf("%v became batches of %s, want %s", c.entries, got, c.want)
		}
		if numbers[0] != 1 || numbers[len(numbers)-1] != told[len(told)-1] {
			t.Errorf("%v went into batches %v, taken were %v", c.entries, numbers, told)
		}
	}
}

// What gathering entries costs: of 300 bytes, a few hundred to a batch, some batches full.
func BenchmarkBatches(b *testing.B) {
	entry := make([]byte, 300)
	batches := NewBatches[int]()
	last := uint64(0)
	b.ReportAllocs()
	for i := range b.N {
		if last = batches.Add(entry, 0, last, 64<<10); i%500 == 499 {
			for batches.Take(64<<10) != nil {
			}
		}
	}
}
