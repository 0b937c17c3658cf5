// Package geo knows where things are: it places a postal code on the map and measures great circles in whole meters.
//
// It promises the same bits on every machine. Plans compare distances, so a distance must not depend on whether a compiler fused
// a multiplication with an addition: every product below is rounded by an explicit conversion, which the language forbids to fuse,
// and positions are integers before they meet. It holds 42,049 US postal codes (0.001°) with their city and region, decoded once,
// on first use, from a table of about 240 KB; for other countries it knows one point in the middle.
//
// It leaves to others: routes on roads, time zones, whether an address exists. It reads no file and no clock.
package geo
