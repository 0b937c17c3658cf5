// Package ingress is the door where channels, sites and operators come in over NATS: three micro services for request and reply
// (orderyard-order, orderyard-stock, orderyard-site), the durable intake queue, and the shelf of dead letters.
//
// It promises that every request is answered exactly once, in words of the contract: by the actor, or by the door itself with
// `invalid` when the request cannot be understood, `limit` when too much is in flight, `timeout` when nobody answered in time. A
// timeout says nothing about the outcome; the same command id asks again. A message of the intake queue is acknowledged only
// after its order is durable, or after its bytes are durable among the dead letters; until then it is delivered again.
//
// Several nodes open the same doors: the services share a queue group and the intake one consumer, so each request reaches one of them.
// A node leaves without failing a request by Drain, then Stop.
//
// It keeps no state that matters and decides nothing about orders or stock. It reaches the actors through the small interfaces
// below, which any node, local or routed, can satisfy.
//
// Threads: every endpoint has one goroutine of the NATS client, which decodes and hands over, and never waits. Answers come
// back on the actors' goroutines, which only store them; a few responders per door encode and publish. A queue between them
// cannot fill up, because it is as long as the number of calls the door lets in.
package ingress
