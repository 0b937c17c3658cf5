// Package audit re-checks the promises of a yard over its history: it replays commits through the same state machines that made them
// and, beside them, through small models of its own that know nothing but addition. The simulator, the fault tests and
// `orderyard verify` use it.
//
// It checks I1 (no oversell), I3 (units conserved), I5 (capacity never exceeded), I6 (one order per id), I7 (each hold ends once and in
// time), I8 (money is conserved), I9 (versions without gaps), I10 (replay gives the live state), and that claims of buckets and orders, and orders and the work of
// sites, agree once nothing is under way. It does not know what was acknowledged to whom (I2): callers who do ask Has.
package audit
