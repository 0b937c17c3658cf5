package probe

import (
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"orderyard/cluster"
	"orderyard/gateway/wire"
	"orderyard/messages"
	"orderyard/persistence/jetstream/embedded"
	"orderyard/test/fault/client"
)

// TestSKUs proves that the writers cover every partition once.
func TestSKUs(t *testing.T) {
	for p, sku := range SKUs(32, "den") {
		if cluster.PartitionOf(messages.BucketRef(sku, "den"), 32) != p {
			t.Errorf("%s does not lie in partition %d", sku, p)
		}
	}
}

// TestGap proves the arithmetic of silence, at both edges and between.
func TestGap(t *testing.T) {
	at := func(ms ...int) (acks []Ack) {
		for _, n := range ms {
			acks = append(acks, Ack{Told: time.UnixMilli(int64(n))})
		}
		return acks
	}
	for _, c := range []struct {
		acks []Ack
		want int
	}{
		{nil, 1000}, {at(1100, 1200, 1900), 700}, {at(1500), 500}, {at(900, 1700, 2500), 700}, {at(1000, 1010, 1020, 2000), 980},
	} {
		if got := gap(c.acks, time.UnixMilli(1000), time.UnixMilli(2000)); got.Milliseconds() != int64(c.want) {
			t.Errorf("%v: %v, want %d ms", c.acks, got, c.want)
		}
	}
}

// TestProbe proves that the writers see an outage where it is and a lost unit when there is one, by a house that is silent for a while on
// one partition and then forgets what it acknowledged.
func TestProbe(t *testing.T) {
	srv, err := embedded.Start(embedded.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer srv.Shutdown()
	ask, err := client.Dial(srv.ClientURL(), "test")
	if err != nil {
		t.Fatal(err)
	}
	defer ask.Close()
	mute, forgets := SKUs(4, "den")[2], false
	var from, to time.Time
	stock := map[string]int64{}
	say := func(m *nats.Msg, a wire.StockAnswer) {
		a.OK = true
		_ = m.Respond(client.Encode(a)) // the writers notice
	}
	if _, err := ask.Conn().Subscribe("oy.v1.stock.*", func(m *nats.Msg) {
		switch messages.LastToken(m.Subject) {
		case "set":
			var r wire.SetStockRequest
			_ = wire.DecodeAnswer(m.Data, &r) // made by the probe
			stock[r.SKU] = *r.OnHand
			say(m, wire.StockAnswer{})
		case "adjust":
			var r wire.AdjustStockRequest
			_ = wire.DecodeAnswer(m.Data, &r)
			if now := time.Now(); r.SKU == mute && now.After(from) && now.Before(to) {
				return
			}
			stock[r.SKU]++
			say(m, wire.StockAnswer{})
		case "get":
			var r wire.GetStockRequest
			_ = wire.DecodeAnswer(m.Data, &r)
			n := stock[r.SKU]
			if forgets && r.SKU == mute {
				n--
			}
			say(m, wire.StockAnswer{Bucket: &wire.Bucket{SKU: r.SKU, Site: "den", OnHand: n}})
		}
	}); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	from, to = began.Add(200*time.Millisecond), began.Add(600*time.Millisecond)
	p, err := Start(t.Context(), ask, Options{Partitions: 4, Site: "den", Pace: 20 * time.Millisecond, Patience: 500 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Until(to)) // the outage is the subject
	took, err := p.Everywhere(from, 5*time.Second)
	if err != nil || took < 300*time.Millisecond {
		t.Errorf("back everywhere %v after the fault, %v", took, err)
	}
	p.Stop()
	for i, g := range p.Gaps(began, to) {
		if long := g > 300*time.Millisecond; long != (i == 2) {
			t.Errorf("partition %d was silent for %v", i, g)
		}
	}
	if n := p.Tally().Between(began, time.Now()); n[client.Silence] < 5 || n["ok"] < 50 {
		t.Errorf("outcomes %v", n)
	}
	if err := p.Audit(t.Context()); err != nil {
		t.Error(err)
	}
	forgets = true
	if err := p.Audit(t.Context()); err == nil || !strings.Contains(err.Error(), mute) {
		t.Errorf("a lost unit: %v", err)
	}
}
