package ingress

import (
	"bytes"
	"sync"
	"testing"

	"github.com/nats-io/nats.go"

	"orderyard/gateway/admission"
	"orderyard/messages"
)

// BenchmarkDoor measures the door alone, with and without the gate: requests over NATS, 256 in flight, actors that answer at once. Client,
// server and door share the machine.
func BenchmarkDoor(b *testing.B) {
	reserve := `{"reservation_id":"r-1","sku":"A","site":"den","quantity":1,"hold_for_ms":60000}`
	gate := &admission.Options{}
	for _, c := range []struct {
		name, subject, body string
		gate                *admission.Options
	}{
		{"reserve", messages.StockSubject("reserve"), reserve, nil},
		{"reserve gated", messages.StockSubject("reserve"), reserve, gate},
		{"place", messages.PlaceSubject("web"), goodOrder, nil},
		{"place gated", messages.PlaceSubject("web"), goodOrder, gate},
	} {
		b.Run(c.name, func(b *testing.B) {
			h := openHouseWith(b, func(o *Options) { o.Admission = c.gate })
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
