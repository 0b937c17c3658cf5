package benchmark

import (
	_ "embed"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"orderyard/routing/geo"
)

// The 99 largest US urban areas and ten fulfillment centers: public geography.
var (
	//go:embed cities.csv
	citiesCSV string
	//go:embed fcs.csv
	centersCSV string
)

// The published cost model, in micro-dollars; distances are in miles.
const (
	packageCost  = 8_759_000
	itemCost     = 423_000
	itemMileCost = 541
	metersMile   = 1610
)

// Network is the fixed part of a setting: where things are and how many of them.
type Network struct {
	Name        string  `json:"name"`
	Centers     []Place `json:"-"`
	Cities      []Place `json:"-"`
	Items       int     `json:"items"`
	SizeMax     int     `json:"size_max"`      // items in the largest order
	TypesOfSize int     `json:"types_of_size"` // order types of each size
	Orders      int     `json:"orders"`        // the horizon T
	Carry       float64 `json:"carry"`         // the chance that a center carries an item
}

// Place is a city or a center.
type Place struct {
	ID         string
	Lat, Lon   float64
	Population float64
}

// Networks are the names NetworkOf knows.
func Networks() []string { return []string{"small", "big-50", "big-25"} }

// NetworkOf is the published network of that name.
func NetworkOf(name string) (Network, error) {
	cities, err := readPlaces(citiesCSV, 0, 2, 3, 4)
	if err != nil {
		return Network{}, fmt.Errorf("read cities: %w", err)
	}
	centers, err := readPlaces(centersCSV, 0, 1, 2, -1)
	if err != nil {
		return Network{}, fmt.Errorf("read centers: %w", err)
	}
	big := Network{Name: name, Centers: centers, Cities: cities, Items: 100, SizeMax: 10, TypesOfSize: 10, Orders: 100_000}
	switch name {
	case "small":
		var five []Place
		for _, id := range []string{"OAK4", "IND1", "AVP3", "CAE1", "DFW7"} {
			five = append(five, centers[slices.IndexFunc(centers, func(p Place) bool { return p.ID == id })])
		}
		return Network{
			Name: name, Centers: five, Cities: cities[:10], Items: 20, SizeMax: 5, TypesOfSize: 5, Orders: 10_000, Carry: 0.75,
		}, nil
	case "big-50":
		big.Carry = 0.50
		return big, nil
	case "big-25":
		big.Carry = 0.25
		return big, nil
	}
	return Network{}, fmt.Errorf("no network %q; there is %s", name, strings.Join(Networks(), ", "))
}

func readPlaces(csv string, id, lat, lon, population int) ([]Place, error) {
	var out []Place
	for _, line := range strings.Split(strings.TrimSpace(csv), "\n")[1:] {
		f := strings.Split(strings.TrimSpace(line), ",")
		if len(f) <= max(id, lat, lon, population) {
			return nil, fmt.Errorf("line %q", line)
		}
		p := Place{ID: f[id]}
		var errs [3]error
		p.Lat, errs[0] = strconv.ParseFloat(f[lat], 64)
		p.Lon, errs[1] = strconv.ParseFloat(f[lon], 64)
		if population >= 0 {
			p.Population, errs[2] = strconv.ParseFloat(f[population], 64)
		}
		if errs != [3]error{} {
			return nil, fmt.Errorf("line %q", line)
		}
		out = append(out, p)
	}
	return out, nil
}

// miles is the great circle in the published mile of 1.61 km.
func miles(a, b Place) float64 {
	return float64(geo.DistanceM(a.Lat, a.Lon, b.Lat, b.Lon)) / metersMile
}

// itemCostAt is what one more item in a package costs over a distance.
func itemCostAt(miles float64) int64 { return itemCost + int64(math.Round(itemMileCost*miles)) }
