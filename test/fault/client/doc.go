// Package client asks Orderyard over NATS as an outsider does: with a deadline, the same command id for every try, and no knowledge of
// nodes. It writes down what became of every attempt, because the fault suite judges what clients saw.
//
// A Client may be used concurrently. It survives the death of its NATS server: while there is no connection, attempts end at once as
// Offline and nothing is kept for later, so that no request is sent that its caller has given up.
package client
