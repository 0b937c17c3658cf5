// Package link carries requests between the nodes of a cluster and finds the node a request belongs to.
//
// Links holds one peer per incarnation it talks to. What is to be said gathers in the peer's queue, already encoded; one goroutine
// per peer takes whatever has gathered and sends it as one messages.LinkBatch inside one protoactor message. So batches are small while
// nothing goes on and grow by themselves under load, and the cost of a protoactor message (marshaling twice, reflection, a map per
// name) is paid per batch and not per request.
//
// A request that wants an answer is a call: its number points into the peer's table of flights, and the reply finds it there. The table is
// what makes failures fast. When the peer's stream ends, when the process at its address says that it is somebody else, when what we sent is
// not acknowledged in time, or when the arbiter's map no longer has the peer, every call that was sent is answered `moved` at once,
// instead of waiting for a deadline. The outcome of such a call is unknown; asking again under the same command id is safe.
//
// # Two ways
//
// Each peer is reached directly, over the actor remote, and by a detour over NATS. The direct way is taken while it works. When it
// breaks, batches take the detour and the direct way is probed until a probe is acknowledged. Both ways number and acknowledge their own batches,
// and acknowledgements travel on the way they are about: a way counts as good when it carries batches there and acknowledgements back.
// (One numbering over both ways was tried on paper: an acknowledgement then does not tell which way works, and a batch overtaken
// on the other way looks lost.)
//
// # What is lost
//
// Batches are never sent again. Whoever finds a gap in the numbers answers its own flights `moved`, because the answers to
// them may have been in the lost batch, and tells the other with its next batch (refused, with a number), which then does the same: its
// requests may have been in it. Whoever gives a way up (it broke, or was silent) leaves out a number on the other way, and says so at once
// with an empty batch, so that the gap is found while the broken way stays broken. So a loss is noticed by both ends as soon as any
// way carries anything, and no flight waits for its deadline. A batch that comes late is ignored: its sender has given it up already.
//
// A batch without requests and replies is a probe or tells of a gap, and is acknowledged at once; one without a number is only an
// acknowledgement. One without a number that is refused comes from another process at the peer's address.
//
// # Router
//
// Router sends a request to the owner of its partition as the present cluster.Map has it: this node by a plain call, another by its link. It
// asks again for clients while an owner is moving, and leaves that to entities themselves, whose tasks are repeated until settled.
//
// What this package does not do: it does not decide who owns or who lives (it only hints, through Suspect), it does not keep order between
// requests, and it promises nothing about a request nobody waits for.
package link
