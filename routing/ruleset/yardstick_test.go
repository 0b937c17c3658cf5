package ruleset

import (
	"os"
	"testing"
)

// TestYardstick proves that the yardstick says what the scores of the same card say, and which card is taken when none is named: by hand for one
// parcel, one that is too heavy, one nobody has a zone for, and cards without rates.
func TestYardstick(t *testing.T) {
	text, err := os.ReadFile("../../configs/routing/default.yaml")
	if err != nil {
		t.Fatal(err)
	}
	set, err := Load("default.yaml", text)
	if err != nil {
		t.Fatal(err)
	}
	y := set.Yardstick("")
	if y == nil || y.Card() != "parcel" || set.Yardstick("none") != nil {
		t.Fatalf("the cards are %v", set.Set.Cards)
	}
	y.To("US", "80202", "")
	site := &Site{ID: "A", Country: "US", DispatchAt: Known(1000)}
	for _, c := range []struct {
		name     string
		distance Number
		units    int64
		want     Parcel
	}{
		{"two units near", Known(500_000), 2, Parcel{1, Known(729), Known(180 + 24), Known(1000 + 48*hourMs)}},
		{"heavier than one box", Known(100_000), 100, Parcel{2, Known(1999 + 1999), Known(360 + 248), Known(1000 + 24*hourMs)}},
		{"off the map", Number{}, 2, Parcel{Boxes: 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := y.Measure(site, c.distance, c.units); got != c.want {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		})
	}
}
