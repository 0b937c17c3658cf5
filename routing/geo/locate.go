package geo

import "strings"

// Locate places a postal code on the map. In the US (and its territories, which share its postal codes) it answers with the
// code's own position, and not at all for a code nobody uses; a ZIP+4 is read as its first five digits. For the countries it
// knows it answers with a point in the middle, whatever the postal code; for others ok is false. Safe for concurrent use.
func Locate(country, postal string) (lat, lon float64, ok bool) {
	switch country {
	case "US", "PR", "VI", "GU", "MP", "AS":
		code, ok := fiveDigits(postal)
		if !ok {
			return 0, 0, false
		}
		t := usTable()
		i, ok := t.row(code)
		if !ok {
			return 0, 0, false
		}
		return float64(t.lat[i]) / 1000, float64(t.lon[i]) / 1000, true
	}
	c, ok := centroids[country]
	return c[0], c[1], ok
}

// City names the place a US postal code belongs to: city and two-letter region.
func City(postal string) (city, region string, ok bool) {
	code, ok := fiveDigits(postal)
	if !ok {
		return "", "", false
	}
	t := usTable()
	i, ok := t.row(code)
	if !ok {
		return "", "", false
	}
	return t.cities[t.city[i]], t.regions[t.region[i]], true
}

// fiveDigits reads "80202", " 80202 ", "80202-1234" and "802021234".
func fiveDigits(s string) (uint32, bool) {
	s = strings.TrimSpace(s)
	if len(s) != 5 && len(s) != 9 && !(len(s) == 10 && s[5] == '-') {
		return 0, false
	}
	var code uint32
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			if i == 5 && s[i] == '-' {
				continue
			}
			return 0, false
		}
		if i < 5 {
			code = code*10 + uint32(s[i]-'0')
		}
	}
	return code, true
}

// centroids are points near the middle of the countries orders most often go to, to about a degree.
var centroids = map[string][2]float64{
	"AE": {24.0, 54.0}, "AR": {-34.0, -64.0}, "AT": {47.6, 14.1}, "AU": {-25.0, 134.0}, "BE": {50.6, 4.7}, "BG": {42.8, 25.2},
	"BR": {-10.0, -53.0}, "CA": {57.0, -101.0}, "CH": {46.8, 8.2}, "CL": {-33.5, -71.0}, "CN": {35.0, 103.0}, "CO": {4.0, -73.0},
	"CY": {35.0, 33.2}, "CZ": {49.8, 15.4}, "DE": {51.1, 10.4}, "DK": {56.0, 9.6}, "EE": {58.7, 25.5}, "EG": {26.5, 29.9},
	"ES": {40.2, -3.6}, "FI": {63.0, 26.0}, "FR": {46.6, 2.4}, "GB": {53.8, -2.0}, "GR": {39.0, 22.6}, "HK": {22.3, 114.2},
	"HR": {45.3, 16.0}, "HU": {47.2, 19.4}, "ID": {-2.3, 117.3}, "IE": {53.2, -8.1}, "IL": {31.4, 35.0}, "IN": {22.9, 79.6},
	"IS": {65.0, -18.6}, "IT": {42.8, 12.1}, "JP": {36.5, 138.0}, "KE": {0.5, 37.9}, "KR": {36.4, 127.8}, "LT": {55.3, 23.9},
	"LU": {49.8, 6.1}, "LV": {56.9, 24.9}, "MA": {31.9, -6.3}, "MT": {35.9, 14.4}, "MX": {23.9, -102.5}, "MY": {4.0, 109.5},
	"NG": {9.6, 8.1}, "NL": {52.2, 5.5}, "NO": {64.5, 13.0}, "NZ": {-41.8, 172.8}, "PE": {-9.2, -74.4}, "PH": {12.0, 122.9},
	"PL": {52.1, 19.4}, "PT": {39.6, -8.4}, "RO": {45.9, 25.0}, "RS": {44.2, 20.8}, "SA": {24.1, 44.5}, "SE": {62.0, 16.5},
	"SG": {1.35, 103.8}, "SI": {46.1, 14.8}, "SK": {48.7, 19.5}, "TH": {15.1, 101.0}, "TR": {39.1, 35.2}, "TW": {23.8, 121.0},
	"UA": {49.0, 31.4}, "VN": {16.6, 106.3}, "ZA": {-29.0, 25.1},
}
