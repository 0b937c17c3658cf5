// Package flood sends far more requests than Orderyard can answer, and says what became of each. It speaks the NATS protocol by itself
// over one connection: a request costs it the copying of its bytes and an answer the reading of a line, for on a machine where the
// generator shares the cores with what it measures, every microsecond of its own is taken from the other.
//
// Run is open-loop when it is given a rate: requests leave at their times, by chance but on average at that rate, however late the answers
// are, and latencies count from the time at which a request had to leave, not from when it did (G. Tene's "coordinated omission"). It is
// closed-loop when it is given a window, to find out what the peak is. Sell is a crowd of buyers who ask until they know, each under one command
// id, through the death of whoever they asked.
//
// A line is used by one writer and one reader. What is sent on a broken line is lost, as it is for every client.
package flood
