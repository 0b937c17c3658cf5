package messages

import (
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// protocol1 is what nodes of link protocol 1 tell each other, as they encoded it then: testdata/protocol1/<name>.hex.
func protocol1() map[string]Message {
	encoded := func(c Command) []byte {
		data, err := c.MarshalVT()
		if err != nil {
			panic(err)
		}
		return data
	}
	reserve := &ReserveStock{Sku: "SKU-1", Site: "den-1", ReservationId: "web-1/1/0", Quantity: 3, HoldForMs: 600_000, OrderId: "web-1"}
	place := &PlaceOrder{Order: &Order{
		Channel: "web", ExternalId: "1", Lines: []*OrderLine{{Id: "1", Sku: "SKU-1", Quantity: 3, UnitPrice: 1999}},
	}, Fingerprint: 77}
	return map[string]Message{
		"link_batch": &LinkBatch{
			From: "NODEA0000000000000001", To: "NODEB0000000000000001", FromAddr: "10.0.0.1:7101", Number: 41, Seen: 40,
			Requests: []*LinkRequest{
				{Call: 1, Kind: 2, Id: "SKU-1@den-1", Command: 50, Data: encoded(reserve), CommandId: "web-1/1/0/r", FromKind: 1, FromId: "web-1"},
				{Call: 2, Kind: 1, Id: "web-1", Command: 1, Data: encoded(place), CommandId: "place/web-1", RemainingMs: 4_800},
				{Call: 3, Kind: 3, Id: "den-1", Command: 88, RemainingMs: 1_000},
				{Kind: 1, Id: "web-2", Command: 40, Data: encoded(&TaskResult{TaskId: "web-2/1", Reply: &Reply{Replayed: true}})},
			},
			Replies: []*LinkReply{
				{Call: 9, Reply: &Reply{Body: &Reply_Order{Order: &OrderReply{OrderId: "web-3", Status: "placed", Version: 1}}}},
				{Call: 10, Reply: &Reply{
					Failure: &Failure{Code: CodeDeclined, Message: "not enough", Errors: []*FieldError{{Field: "quantity", Code: CodeDeclined, Message: "2 left"}}},
					Body:    &Reply_Stock{Stock: &StockReply{Atp: 2}},
				}},
				{Call: 11, Reply: &Reply{Failure: &Failure{Code: CodeMoved, Retryable: true, RetryAfterMs: 20, Message: "moving"}}},
				{Call: 12, Reply: &Reply{Body: &Reply_Site{Site: &SiteReply{NextPage: "x"}}}},
				{Call: 13, Reply: &Reply{Body: &Reply_Fulfillment{Fulfillment: &FulfillmentReply{FulfillmentId: "web-1-1", WorkDate: "2026-11-27"}}}},
			},
		},
		"link_batch_refused": &LinkBatch{From: "NODEB0000000000000001", To: "NODEA0000000000000001", FromAddr: "10.0.0.2:7101", Refused: true},
		"node_session": &NodeSession{
			Node: "oy-0", Incarnation: "NODEA0000000000000001", RemoteAddr: "10.0.0.1:7101", GossipAddr: "10.0.0.1:7102", Weight: 2, Draining: true,
			Ready: true, StartedAtMs: 1_795_000_000_000, Version: "1.2.3", Protocol: 1,
		},
		"partition_owner": &PartitionOwner{
			Node: "oy-0", Incarnation: "NODEA0000000000000001", Phase: OwnerPhase_OWNER_MOVING, Next: "NODEB0000000000000001", Position: 900,
			Number: 88, AtMs: 1_795_000_000_001,
		},
		"view_delta": &ViewDelta{
			From: "NODEA0000000000000001", Number: 7, Stock: []*StockLevel{{Sku: "SKU-1", Site: "den-1", Atp: -2, Version: 12}, {Sku: "S2", Site: "x"}},
			Sites: [][]byte{{1, 2, 3}, {}}, Last: true,
		},
		"site_view": &SiteView{
			Doc: &SiteDoc{
				Id: "den", Name: "Denver", Type: "dc", Lat: 39.5, Lon: -104.75, PostalCode: "80202", Country: "US",
				Capacity: &SiteCapacity{PerHour: 500, PerDay: 4000, OpenMax: 2000},
				Calendar: &SiteCalendar{
					TimeZone: "America/Denver", Open: []string{"08:00-18:00", "08:00-18:00", "08:00-18:00", "08:00-18:00", "08:00-18:00", "", ""},
					CutOff: "15:00", Closed: []string{"2026-12-25"},
				},
				Groups: []string{"us", "dc"}, LabelsAllowed: []string{"apparel"}, CostPerOrder: 150, CostPerUnit: 30, Accept: "auto",
				Status: "online", AnswerWithinMs: 60_000,
			},
			Open: 17, AcceptedThisHour: 5, AcceptedToday: 12, PausedUntilMs: 1_795_000_000_000, Version: 88,
		},
	}
}

// TestProtocol1 proves that this version reads what nodes of protocol 1 say, and passes over what a newer one adds, by bytes that were
// encoded once. Never write them anew: `WRITE_GOLDEN=1 go test ./messages` only adds files that are missing.
func TestProtocol1(t *testing.T) {
	for name, want := range protocol1() {
		file := filepath.Join("testdata", "protocol1", name+".hex")
		if _, err := os.Stat(file); os.IsNotExist(err) && os.Getenv("WRITE_GOLDEN") != "" {
			writeGolden(t, file, want)
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		data, err := hex.DecodeString(strings.Join(strings.Fields(string(text)), ""))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		got := want.ProtoReflect().New().Interface().(Message)
		if err := got.UnmarshalVT(data); err != nil || !proto.Equal(got, want) {
			t.Errorf("%s: got %v, %v", name, got, err)
		}
		newer := protowire.AppendTag(data, 900, protowire.BytesType)
		newer = protowire.AppendString(newer, "a field of a later version")
		newer = protowire.AppendTag(newer, 901, protowire.VarintType)
		newer = protowire.AppendVarint(newer, 1)
		got = want.ProtoReflect().New().Interface().(Message)
		if err := got.UnmarshalVT(newer); err != nil {
			t.Errorf("%s with fields of a later version: %v", name, err)
		}
		got.ProtoReflect().SetUnknown(nil)
		if !proto.Equal(got, want) {
			t.Errorf("%s with fields of a later version: got %v", name, got)
		}
	}
}

// TestProtocol1Commands proves that the requests of a batch of protocol 1 still are the same commands, by decoding each by its number.
func TestProtocol1Commands(t *testing.T) {
	var names []string
	for _, r := range protocol1()["link_batch"].(*LinkBatch).Requests {
		c, err := DecodeCommand(r.Command, r.Data)
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, EventName(c))
	}
	if got := strings.Join(names, " "); got != "ReserveStock PlaceOrder GetSite TaskResult" {
		t.Errorf("got %s", got)
	}
}

func writeGolden(t *testing.T, file string, m Message) {
	t.Helper()
	data, err := m.MarshalVT()
	if err != nil {
		t.Fatal(err)
	}
	text := hex.EncodeToString(data)
	var b strings.Builder
	for len(text) > 100 {
		b.WriteString(text[:100] + "\n")
		text = text[100:]
	}
	b.WriteString(text + "\n")
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}
