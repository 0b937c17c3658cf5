package geo

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

func haversine(lat1, lon1, lat2, lon2 float64) float64 {
	r := math.Pi / 180
	a := math.Pow(math.Sin((lat2-lat1)*r/2), 2) + math.Cos(lat1*r)*math.Cos(lat2*r)*math.Pow(math.Sin((lon2-lon1)*r/2), 2)
	return 2 * EarthRadiusM * math.Asin(math.Min(1, math.Sqrt(a)))
}

// TestDistanceKnown proves that distances are great circles in meters, by pairs whose distance is published or follows from the
// circumference.
func TestDistanceKnown(t *testing.T) {
	quarter := int64(math.Round(math.Pi * EarthRadiusM / 2))
	for _, c := range []struct {
		name                   string
		lat1, lon1, lat2, lon2 float64
		want, within           int64
	}{
		{"same place", 39.75, -104.99, 39.75, -104.99, 0, 0},
		{"equator to pole", 0, 0, 90, 0, quarter, 0},
		{"antipodes", 0, 0, 0, 180, 2 * quarter, 1},
		{"antipodes aslant", 40, -75, -40, 105, 2 * quarter, 1},
		{"across the date line", 0, 179.5, 0, -179.5, 111_195, 1},
		{"a thousandth of a degree", 45, 0, 45.001, 0, 111, 0},
		{"New York to Los Angeles", 40.7128, -74.0060, 34.0522, -118.2437, 3_935_746, 100},
		{"London to Sydney", 51.5074, -0.1278, -33.8688, 151.2093, 16_993_933, 200},
		{"nowhere", math.NaN(), 0, 0, 0, farM, 0},
		{"off the map", 91, 0, 0, 0, farM, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := DistanceM(c.lat1, c.lon1, c.lat2, c.lon2); got < c.want-c.within || got > c.want+c.within {
				t.Errorf("got %d m, want %d", got, c.want)
			}
		})
	}
}

// TestDistanceIsHaversine proves that the integer vectors give the textbook haversine to a meter, and the same both ways, on
// random pairs of places.
func TestDistanceIsHaversine(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		lat, lon := rapid.Float64Range(-90, 90), rapid.Float64Range(-180, 180)
		a, b, c, d := lat.Draw(t, "lat1"), lon.Draw(t, "lon1"), lat.Draw(t, "lat2"), lon.Draw(t, "lon2")
		got, want := DistanceM(a, b, c, d), haversine(a, b, c, d)
		if want < 20_000_000 && math.Abs(float64(got)-want) > 1 {
			t.Errorf("got %d, want %.2f", got, want)
		}
		if back := DistanceM(c, d, a, b); back != got {
			t.Errorf("there %d, back %d", got, back)
		}
	})
}

// TestSeries proves that the unfused series agree with the standard library to a few units in the last place.
func TestSeries(t *testing.T) {
	for d := -180.0; d <= 180; d += 0.37 {
		s, c := sincosDegrees(d)
		if math.Abs(s-math.Sin(d*math.Pi/180)) > 1e-15 || math.Abs(c-math.Cos(d*math.Pi/180)) > 1e-15 {
			t.Fatalf("sincos(%v) = %v, %v", d, s, c)
		}
	}
	for x := 0.0; x <= 0.7072; x += 0.00037 {
		if math.Abs(asin(x)-math.Asin(x)) > 1e-15 {
			t.Fatalf("asin(%v) = %v, want %v", x, asin(x), math.Asin(x))
		}
	}
}

// TestLocate proves what can be placed on the map and what cannot, by one case per way of writing a postal code.
func TestLocate(t *testing.T) {
	for _, c := range []struct {
		name, country, postal string
		lat, lon              float64
		ok                    bool
	}{
		{"first of the table", "US", "00501", 40.922, -72.637, true},
		{"Denver", "US", "80202", 39.749, -104.996, true},
		{"ZIP+4", "US", "80202-1234", 39.749, -104.996, true},
		{"nine digits", "US", " 802021234 ", 39.749, -104.996, true},
		{"territory", "PR", "00601", 18.165, -66.723, true},
		{"unused code", "US", "00000", 0, 0, false},
		{"last number", "US", "99999", 0, 0, false},
		{"too short", "US", "8020", 0, 0, false},
		{"letters", "US", "8020X", 0, 0, false},
		{"dash in the wrong place", "US", "802-0212345", 0, 0, false},
		{"empty", "US", "", 0, 0, false},
		{"another country", "DE", "10115", 51.1, 10.4, true},
		{"unknown country", "ZZ", "1", 0, 0, false},
		{"no country", "", "80202", 0, 0, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			lat, lon, ok := Locate(c.country, c.postal)
			if ok != c.ok || math.Abs(lat-c.lat) > 0.02 || math.Abs(lon-c.lon) > 0.02 {
				t.Errorf("got %v %v %v", lat, lon, ok)
			}
		})
	}
}

// TestTable proves that the whole table came through the packing: its size, its order, every row found by its code, every
// position in the Americas or the Pacific, and known cities at known codes.
func TestTable(t *testing.T) {
	table := usTable()
	if len(table.codes) != 42_049 || len(packed) > 250<<10 {
		t.Fatalf("%d codes in %d bytes", len(table.codes), len(packed))
	}
	for i, code := range table.codes {
		if at, ok := table.row(code); !ok || at != i {
			t.Fatalf("code %05d is at %d, found at %d %v", code, i, at, ok)
		}
		if table.lat[i] < -15_000 || table.lat[i] > 72_000 || table.lon[i] < -180_000 || table.lon[i] > 180_000 {
			t.Fatalf("code %05d at %d %d", code, table.lat[i], table.lon[i])
		}
	}
	for postal, want := range map[string]string{"00501": "Holtsville NY", "10001": "New York NY", "90210": "Beverly Hills CA",
		"60601": "Chicago IL", "96913": "Barrigada GU", "99950": "Ketchikan AK"} {
		if city, region, ok := City(postal); !ok || city+" "+region != want {
			t.Errorf("%s is %s %s, want %s", postal, city, region, want)
		}
	}
	if _, _, ok := City("00000"); ok {
		t.Error("00000 has a city")
	}
}

// TestUnpackBroken proves that a cut or altered table is an error and never a panic, by cutting it at many places.
func TestUnpackBroken(t *testing.T) {
	for _, n := range []int{0, 3, 4, 5, 100, 10_000, len(packed) / 2, len(packed) - 1} {
		if _, err := unpack(packed[:n]); err == nil {
			t.Errorf("the first %d bytes were taken for a table", n)
		}
	}
}

// TestPopulationPostal proves that the choice repeats with its seed, always gives a code that can be placed, and follows
// population: New York's share of 100,000 seeds is within a tenth of its share of people.
func TestPopulationPostal(t *testing.T) {
	const n = 100_000
	newYork := 0
	for seed := range uint64(n) {
		postal := PopulationPostal(seed)
		lat, lon, ok := Locate("US", postal)
		if !ok || postal != PopulationPostal(seed) {
			t.Fatalf("seed %d gives %q", seed, postal)
		}
		if DistanceM(lat, lon, 40.6943, -73.9249) <= suburbM {
			newYork++
		}
	}
	cities := usCities()
	if len(cities) < 95 {
		t.Errorf("only %d cities have postal codes", len(cities))
	}
	// The four boroughs are in the list a second time, and other cities' suburbs reach in.
	if share := float64(newYork) / n; share < 0.09 || share > 0.16 {
		t.Errorf("New York has a share of %.3f", share)
	}
	if got := PopulationPostal(1); got != PopulationPostal(1) || len(got) != 5 {
		t.Errorf("seed 1 gives %q", got)
	}
}

func BenchmarkDistance(b *testing.B) {
	p, q := PointOf(40.7128, -74.0060), PointOf(34.0522, -118.2437)
	for b.Loop() {
		p.DistanceM(q)
	}
}

func BenchmarkLocateAndPlace(b *testing.B) {
	usTable()
	for b.Loop() {
		lat, lon, _ := Locate("US", "80202")
		PointOf(lat, lon)
	}
}

func BenchmarkUnpack(b *testing.B) {
	for b.Loop() {
		if _, err := unpack(packed); err != nil {
			b.Fatal(err)
		}
	}
}
