package ingress

import (
	"bytes"
	"sync"
	"testing"

	"github.com/nats-io/nats.go"

	"orderyard/messages"
)

// BenchmarkDoor measures the door alone: requests over NATS, 256 in flight, actors that answer at once. Client, server and door
// share the machine.
func BenchmarkDoor(b *testing.B) {
	for _, c := range []struct{ name, subject, body string }{
		{"reserve", messages.StockSubject("reserve"), `{"reservation_id":"r-1","sku":"A","site":"den","quantity":1,"hold_for_ms":60000}`},
		{"place", messages.PlaceSubject("web"), goodOrder},
	} {
		b.Run(c.name, func(b *testing.B) {
			h := openHouse(b, Limits{})
			h.actors.quick = true
			room := make(chan struct{}, 256)
			var left sync.WaitGroup
			inbox := h.nc.NewInbox()
			if _, err := h.nc.Subscribe(inbox, func(m *nats.Msg) {
				if !bytes.HasPrefix(m.Data, []byte(`{"ok":true`)) {
					b.Errorf("answer %s", m.Data)
				}
				<-room
				left.Done()
			}); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				room <- struct{}{}
				left.Add(1)
				if err := h.nc.PublishRequest(c.subject, inbox, []byte(c.body)); err != nil {
					b.Fatal(err)
				}
			}
			left.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "requests/s")
		})
	}
}
