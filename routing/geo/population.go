package geo

import (
	_ "embed"
	"fmt"
	"math/bits"
	"strconv"
	"strings"
	"sync"
)

// The 99 largest US urban areas with their population (public geography).
//
//go:embed us_cities.csv
var citiesCSV string

// suburbM is how far from a city's middle its customers live.
const suburbM = 40_000

type cityCodes struct {
	upTo  uint64 // the running sum of population, this city included
	codes []uint32
}

// usCities finds the postal codes around each city once, in a few milliseconds, on first use.
var usCities = sync.OnceValue(func() []cityCodes {
	cities, err := gatherCities(citiesCSV, usTable())
	if err != nil {
		panic("geo: embedded cities: " + err.Error())
	}
	return cities
})

// PopulationPostal turns a seed into a US postal code, so that seeds are spread as people are: first a city by its population,
// then a postal code within 40 km of it. The same seed gives the same code, always and everywhere. Safe for concurrent use.
func PopulationPostal(seed uint64) string {
	cities := usCities()
	pick := below(mix(seed), cities[len(cities)-1].upTo)
	i := 0
	for cities[i].upTo <= pick {
		i++
	}
	codes := cities[i].codes
	return fmt.Sprintf("%05d", codes[below(mix(seed^0x5851f42d4c957f2d), uint64(len(codes)))])
}

// mix is the finalizer of splitmix64: neighboring seeds become unrelated numbers.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// below scales a hash to [0, n).
func below(h, n uint64) uint64 {
	hi, _ := bits.Mul64(h, n)
	return hi
}

func gatherCities(csv string, t *table) ([]cityCodes, error) {
	points := make([]Point, len(t.codes))
	for i := range points {
		points[i] = PointOf(float64(t.lat[i])/1000, float64(t.lon[i])/1000)
	}
	var out []cityCodes
	var sum uint64
	for _, line := range strings.Split(strings.TrimSpace(csv), "\n")[1:] {
		f := strings.Split(strings.TrimSpace(line), ",")
		if len(f) != 5 {
			return nil, fmt.Errorf("line %q", line)
		}
		lat, err1 := strconv.ParseFloat(f[2], 64)
		lon, err2 := strconv.ParseFloat(f[3], 64)
		people, err3 := strconv.ParseUint(f[4], 10, 32)
		if err1 != nil || err2 != nil || err3 != nil {
			return nil, fmt.Errorf("line %q", line)
		}
		c := cityCodes{}
		middle, south, north := PointOf(lat, lon), int32(lat*1000)-400, int32(lat*1000)+400
		for i, p := range points {
			// Four tenths of a degree of latitude are 44 km: most codes are ruled out without measuring.
			if t.lat[i] >= south && t.lat[i] <= north && middle.DistanceM(p) <= suburbM {
				c.codes = append(c.codes, t.codes[i])
			}
		}
		if len(c.codes) == 0 {
			continue
		}
		sum += people
		c.upTo = sum
		out = append(out, c)
	}
	if sum == 0 {
		return nil, fmt.Errorf("no city")
	}
	return out, nil
}
