// Package load is the outside world of the fault suite: channels that place orders in a closed loop, customers who send twice and who
// cancel, sites that accept and reject, goods that arrive.
//
// SKUs are drawn by Zipf's law, with one hot SKU in 30 % of the lines and too little of it; 10 % of the orders come twice, 5 % are
// cancelled, 5 % of the work is rejected by its site. Every client repeats what it may under the same command id until the outcome is
// known. The load keeps what it was told; Audit compares that with what is there when the faults are over: every acknowledged order
// under its acknowledged id, nothing moving by itself any more, every claim of an order held by its bucket and every claim of a bucket
// counted on by its order. It looks through the public doors only; the journal is for `orderyard verify`.
package load
