// Package peers runs the databases that benchmarks compare Orderyard with, and does Orderyard's work on them: PostgreSQL and Redis from the
// system's packages, as child processes with a store of their own, told to sync before they answer.
//
// It promises to give the peer its best: one round trip where one is enough, prepared statements, a connection per client, default tuning
// with a larger cache. What it does can be checked afterwards: sold and left must add up to what was there.
//
// It leaves measuring and comparing to the benchmarks, and installing to a person: a missing program is an ErrMissing that says how.
package peers
