package link

import (
	"fmt"
	"strings"
	"testing"

	"orderyard/cluster"
	"orderyard/messages"
)

// BenchmarkLocal is a client's request to an entity of this node, through the router: what every request pays.
func BenchmarkLocal(b *testing.B) {
	view := &cluster.Map{Self: "A", Members: []*messages.NodeSession{{Incarnation: "A"}}, Owners: make([]cluster.OwnerAt, 32)}
	for i := range view.Owners {
		view.Owners[i] = cluster.OwnerAt{PartitionOwner: &messages.PartitionOwner{Incarnation: "A", Phase: messages.OwnerPhase_OWNER_OWNED}}
	}
	reply := &messages.Reply{}
	deliver := func(req messages.Request) {
		if req.Done != nil {
			req.Done(reply)
		}
	}
	l := &Links{o: Options{Self: "A", Map: func() *cluster.Map { return view }, Deliver: deliver}, limits: DefaultLimits()}
	l.router = newRouter(l)
	refs := make([]messages.Ref, 1024)
	for i := range refs {
		refs[i] = messages.OrderRef(fmt.Sprint("web-", i))
	}
	command := &messages.GetOrder{}
	done := func(*messages.Reply) {}
	for name, req := range map[string]messages.Request{
		"client": {Command: command, CommandID: "client/1", Done: done},
		"task":   {Command: command, CommandID: "web-1/1", From: messages.OrderRef("web-1")},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				req.To = refs[i%len(refs)]
				l.router.Send(req)
			}
		})
	}
}

// BenchmarkRemote is a client's request to another process and its answer, with so many clients at a time. Both processes share the
// machine.
func BenchmarkRemote(b *testing.B) {
	a := newAsker(b, Limits{}, nil)
	_, addr := a.process("PEER", "127.0.0.1:0")
	a.owns("PEER", addr)
	large := &messages.ReserveStock{
		Sku: "SKU-000123", Site: "denver-1", ReservationId: "web-123456/1/0", Quantity: 3, HoldForMs: 600_000, OrderId: "web-123456",
	}
	orderSized := &messages.HoldOrder{Note: strings.Repeat("x", 280)}
	for _, size := range []struct {
		name    string
		command messages.Command
	}{{"reserve", large}, {"291B", orderSized}} {
		for _, clients := range []int{1, 16, 64, 256, 1024} {
			b.Run(fmt.Sprintf("%s/c=%d", size.name, clients), func(b *testing.B) {
				b.ReportAllocs()
				free := make(chan struct{}, clients)
				for range clients {
					free <- struct{}{}
				}
				before := a.links.Stats()
				failed := 0
				done := func(r *messages.Reply) {
					if r.GetFailure() != nil {
						failed++
					}
					free <- struct{}{}
				}
				for i := 0; b.Loop(); i++ {
					<-free
					a.links.Router().Send(messages.Request{To: messages.OrderRef("web-123456"), Command: size.command, CommandID: "client/123456", Done: done})
				}
				for range clients {
					<-free
				}
				after := a.links.Stats()
				b.ReportMetric(float64(after.Items-before.Items)/float64(max(1, after.Batches-before.Batches)), "items/batch")
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "req/s")
				if failed > 0 {
					b.Errorf("%d failed", failed)
				}
			})
		}
	}
}
