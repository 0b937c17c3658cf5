package ruleset

import (
	"math"
	"math/big"
	"testing"

	"pgregory.net/rapid"
)

// TestSaturation proves the arithmetic of scores against unbounded integers, clamped: at and around every extreme.
func TestSaturation(t *testing.T) {
	clamp := func(x *big.Int) int64 {
		if x.IsInt64() {
			return x.Int64()
		}
		if x.Sign() < 0 {
			return math.MinInt64
		}
		return math.MaxInt64
	}
	number := rapid.OneOf(rapid.Int64(), rapid.SampledFrom([]int64{math.MinInt64, math.MinInt64 + 1, -1, 0, 1, math.MaxInt64 - 1, math.MaxInt64}))
	rapid.Check(t, func(t *rapid.T) {
		a, b := number.Draw(t, "a"), number.Draw(t, "b")
		c := rapid.Int64Range(1, math.MaxInt64).Draw(t, "c")
		x, y := big.NewInt(a), big.NewInt(b)
		product := new(big.Int).Mul(x, y)
		for name, pair := range map[string][2]int64{
			"add": {addSat(a, b), clamp(new(big.Int).Add(x, y))},
			"sub": {subSat(a, b), clamp(new(big.Int).Sub(x, y))},
			"neg": {negSat(a), clamp(new(big.Int).Neg(x))},
			"mul": {mulSat(a, b), clamp(product)},
			"div": {mulDiv(a, b, c), clamp(new(big.Int).Quo(product, big.NewInt(c)))},
		} {
			if pair[0] != pair[1] {
				t.Fatalf("%s(%d, %d, %d) = %d, want %d", name, a, b, c, pair[0], pair[1])
			}
		}
	})
}

// TestCardPrices proves a card's prices against adding parcels up one by one, over every gram around the breaks.
func TestCardPrices(t *testing.T) {
	k := newCard(&Card{
		Zones: []Zone{{Name: "near", Km: 100}, {Name: "far", Open: true}}, Grams: []int64{500, 1000, 5000}, Service: "ground",
		Rates: []Rate{
			{Service: "air", Rows: []Price{{Fixed: 900, PerKg: 333}, {Fixed: 900, PerKg: 1000}}},
			{Service: "ground", Rows: []Price{{Breaks: []int64{5, 7, 11}}, {Breaks: []int64{50, 70, 110}}}},
		},
	}, 0)
	oneByOne := func(grams int64) int64 {
		price := int64(0)
		for ; grams > 5000; grams -= 5000 {
			price += 11
		}
		switch {
		case grams <= 500:
			return price + 5
		case grams <= 1000:
			return price + 7
		}
		return price + 11
	}
	for grams := int64(0); grams < 16_000; grams++ {
		if got, ok := k.price(0, "ground", grams); !ok || got != oneByOne(grams) {
			t.Fatalf("%d g cost %d, want %d", grams, got, oneByOne(grams))
		}
		parcels := max((grams+4999)/5000, 1)
		if got, _ := k.price(0, "air", grams); got != 900*parcels+(grams*333+999)/1000 {
			t.Fatalf("%d g by air cost %d", grams, got)
		}
	}
	if got, ok := k.price(1, "drone", 800); !ok || got != 70 {
		t.Errorf("a service the card lacks costs %d, %v; want the default's 70", got, ok)
	}
	if got, _ := k.price(0, "ground", math.MaxInt64); got <= 0 {
		t.Errorf("an absurd weight costs %d", got)
	}
	for meters, want := range map[int64]int32{0: 0, 100_000: 0, 100_001: 1, 20_000_000: 1} {
		if zone, ok := k.zone(nil, &Site{}, Known(meters)); !ok || zone != want {
			t.Errorf("%d m are in zone %d, want %d", meters, zone, want)
		}
	}
	if _, ok := k.zone(nil, &Site{}, Number{}); ok {
		t.Error("a site off the map has a zone by distance")
	}
}

// TestPrefixes proves which of several prefixes counts: the longest destination, then the longest origin, then the first written.
func TestPrefixes(t *testing.T) {
	k := newCard(&Card{
		Zones: []Zone{{Name: "0"}, {Name: "1"}, {Name: "2"}, {Name: "3"}, {Name: "4", Open: true}},
		Prefixes: []Prefix{
			{To: "US", Zone: "0"}, {From: "US", To: "US", Zone: "1"}, {From: "US 8", To: "US 9", Zone: "2"}, {To: "US 99", Zone: "3"}, {To: "US 99", Zone: "0"},
		},
	}, 0)
	for _, c := range []struct {
		from, postal, to, toPostal string
		zone                       int32
	}{
		{"US", "80202", "US", "10001", 1}, {"CA", "T2P", "US", "10001", 0}, {"US", "80202", "US", "90001", 2}, {"US", "70001", "US", "90001", 1},
		{"US", "80202", "US", "99501", 3}, {"US", "80202", "CA", "T2P", 4},
	} {
		o := &Order{Country: c.to, PostalCode: c.toPostal}
		got, ok := k.zone(k.lanesTo(nil, o), &Site{Country: c.from, PostalCode: c.postal}, Known(5))
		if !ok || got != c.zone {
			t.Errorf("%+v: zone %d, %v", c, got, ok)
		}
	}
}
