// Package probe keeps one small writer at work on every partition and writes down when each commit was acknowledged. From that it tells, to
// a few hundredths of a second, how long each partition could not commit around a fault.
//
// Writers do not wait for answers: they send at a fixed pace, so that one request that died with its node does not hide when the
// partition came back. At the end every acknowledged unit must be in its bucket, and none that was never sent.
package probe
