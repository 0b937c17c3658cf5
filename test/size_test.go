//go:build !race

package test

import "time"

// The sizes of the issue. Under the race detector they are smaller: see size_race_test.go.
const (
	raceBuild  = false
	crowd      = 10_000 // buyers, and orders
	stocked    = 1_000  // units they compete for
	killRounds = 20
	slack      = time.Second // how late "at once" may be
)
