//go:build race

package test

import "time"

// Under the race detector the child is built with it too and everything takes several times as long.
const (
	raceBuild  = true
	crowd      = 2_000
	stocked    = 200
	killRounds = 6
	slack      = 4 * time.Second
)
