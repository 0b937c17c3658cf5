package routing

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"orderyard/messages"
	"orderyard/routing/geo"
)

// test is a hard test a site must pass, in the order they are made.
type test uint8

const (
	testNone test = iota
	testStatus
	testPaused
	testCountry
	testExcluded
	// The rest is asked for each SKU or item; a site fails when nothing is left that it could give.
	testLabels
	testStock
	testTogether
	testComplete
)

var testNames = [...]string{"", "status", "paused", "country", "excluded", "labels", "stock", "keep_together", "complete"}

const statusOnline = "online"

// readSites tests every site for what does not depend on a SKU, measures its distance and sorts the sites, nearest first.
func (r *run) readSites() {
	to := r.req.ShipTo
	destination, country := r.destination(), to.GetCountry()
	r.ids = r.view.SiteIDs()
	r.rank = resize(r.rank, len(r.ids))
	r.keys, r.scanned = r.keys[:0], r.scanned[:0]
	step := max(r.rules.EqualWithinKm*1000, 1)
	domestic := false
	for i, id := range r.ids {
		r.rank[i] = -1
		s, ok := r.view.Site(id)
		if !ok {
			continue
		}
		p := place{site: s, id: int32(i), fail: r.testSite(s, country)}
		domestic = domestic || country != "" && s.Country == country
		if !r.out.offMap {
			at := s.Place
			if at.IsZero() {
				at = geo.PointOf(s.Lat, s.Lon)
			}
			p.meters = at.DistanceM(destination)
			p.step = p.meters / step
		}
		r.keys = append(r.keys, uint64(p.meters)<<32|uint64(len(r.scanned)))
		r.scanned = append(r.scanned, p)
	}
	slices.Sort(r.keys)
	for at, key := range r.keys {
		p := r.scanned[uint32(key)]
		if p.fail == testCountry && !domestic {
			p.fail, r.out.abroad = testNone, true
		}
		r.rank[p.id] = int32(at)
		r.places = append(r.places, p)
	}
	for _, id := range r.req.SitesUsed {
		if at, ok := r.placeOf(id); ok {
			r.places[at].used = true
		}
	}
	r.excludeSites()
}

// destination is where the order goes; off the map every distance counts as zero.
func (r *run) destination() geo.Point {
	to := r.req.ShipTo
	var at geo.Point
	if to.GetHasPosition() {
		at = geo.PointOf(to.Lat, to.Lon)
	} else if lat, lon, ok := geo.Locate(to.GetCountry(), to.GetPostalCode()); ok {
		at = geo.PointOf(lat, lon)
	}
	r.out.offMap = at.IsZero()
	return at
}

// testSite makes the tests of the site itself. A site that names no country serves all; so does every site when the network has
// none in the destination's country, which readSites finds out.
func (r *run) testSite(s *Site, country string) test {
	switch {
	case s.Status != statusOnline:
		return testStatus
	case s.PausedUntil > r.now:
		return testPaused
	case s.Country != "" && country != "" && s.Country != country:
		return testCountry
	}
	return testNone
}

// placeOf finds a site by its id.
func (r *run) placeOf(id string) (int32, bool) {
	i, ok := slices.BinarySearch(r.ids, id)
	if !ok || r.rank[i] < 0 {
		return 0, false
	}
	return r.rank[i], true
}

func (r *run) active(e *messages.Exclusion) bool { return e.UntilMs == 0 || e.UntilMs > r.now }

// excludeSites applies the exclusions of whole sites.
func (r *run) excludeSites() {
	for i, e := range r.req.Exclusions {
		if e.Sku != "" || !r.active(e) {
			continue
		}
		at, ok := r.placeOf(e.Site)
		if !ok {
			continue
		}
		p := &r.places[at]
		switch {
		case p.fail == testNone:
			p.fail, p.cause = testExcluded, int32(i)
		case p.fail == testExcluded && longer(e, r.req.Exclusions[p.cause]):
			p.cause = int32(i)
		}
	}
}

// longer reports whether a lasts longer than b; of equally long ones the first by reason is named, whatever the order given.
func longer(a, b *messages.Exclusion) bool {
	if a.UntilMs != b.UntilMs {
		return a.UntilMs == 0 || b.UntilMs != 0 && a.UntilMs > b.UntilMs
	}
	return a.Reason < b.Reason
}

// readStock fills the matrix of what each place can promise of each SKU: the view's word, unless a bucket has told the order less
// a moment ago; nothing where the SKU is excluded or its labels are not allowed.
func (r *run) readStock() {
	n := len(r.places)
	r.avail = resize(r.avail, n*len(r.skus))
	clear(r.avail)
	for k := range r.skus {
		s := &r.skus[k]
		row := r.avail[k*n : k*n+n]
		i := 0
		for _, stock := range r.view.Stock(s.sku) {
			for i < len(r.ids) && r.ids[i] < stock.Site {
				i++
			}
			if i == len(r.ids) {
				break
			}
			if r.ids[i] != stock.Site || r.rank[i] < 0 {
				continue
			}
			if at := r.rank[i]; stock.ATP > 0 && r.places[at].fail == testNone {
				row[at] = min(stock.ATP, s.total)
			}
			i++
		}
		if s.labels {
			for at := range row {
				if row[at] > 0 && !r.labelsAllowed(int32(k), r.places[at].site) {
					row[at] = 0
				}
			}
		}
	}
	r.excludeSKUs()
	r.hearBuckets()
}

// labelsAllowed asks for every line of the SKU, because labels speak of the product.
func (r *run) labelsAllowed(sku int32, s *Site) bool {
	return r.forbiddenLabel(sku, s) == ""
}

func (r *run) forbiddenLabel(sku int32, s *Site) string {
	if len(s.LabelsAllowed) == 0 {
		return ""
	}
	for i := range r.needs {
		if r.needs[i].sku != sku {
			continue
		}
		for _, l := range r.needs[i].labels {
			if !slices.Contains(s.LabelsAllowed, l) {
				return l
			}
		}
	}
	return ""
}

func (r *run) excludeSKUs() {
	for _, e := range r.req.Exclusions {
		if e.Sku == "" || !r.active(e) {
			continue
		}
		at, known := r.placeOf(e.Site)
		if sku, ok := r.lookUpSKU(e.Sku); ok && known {
			r.avail[int(sku)*len(r.places)+int(at)] = 0
		}
	}
}

// hearBuckets lets what buckets told outrank the view while it is young. Of several words of one bucket the latest counts, of
// equally late ones the lowest.
func (r *run) hearBuckets() {
	for i, k := range r.req.Known {
		if r.now-k.AtMs >= r.rules.KnownForMs || superseded(r.req.Known, i) {
			continue
		}
		at, known := r.placeOf(k.Site)
		if sku, ok := r.lookUpSKU(k.Sku); ok && known {
			cell := &r.avail[int(sku)*len(r.places)+int(at)]
			*cell = min(*cell, max(k.Atp, 0))
		}
	}
}

// knownMax bounds how many words of buckets are compared with each other.
const knownMax = 256

// superseded reports whether a later word of the same bucket is known than the i-th. Orders know a handful of words, so looking at each will
// do; beyond knownMax every young word counts, which errs on the side of the lower.
func superseded(known []*messages.KnownStock, i int) bool {
	if len(known) > knownMax {
		return false
	}
	k := known[i]
	for _, o := range known {
		if o.AtMs > k.AtMs && o.Site == k.Site && o.Sku == k.Sku {
			return true
		}
	}
	return false
}

// explainTest says what a failed site was asked and what it answered. It runs only for the sites a record names.
func (r *run) explainTest(at int32) (name, expected, actual string) {
	p := &r.places[at]
	switch p.fail {
	case testNone:
		return "", "", ""
	case testStatus:
		expected, actual = statusOnline, p.site.Status
	case testPaused:
		expected, actual = "not paused", "until "+timeText(p.site.PausedUntil)
	case testCountry:
		expected, actual = r.req.ShipTo.GetCountry(), p.site.Country
	case testExcluded:
		expected, actual = "not excluded", exclusionText(r.req.Exclusions[p.cause])
	case testLabels:
		expected, actual = r.forbiddenLabel(p.cause, p.site), strings.Join(p.site.LabelsAllowed, " ")
	case testStock:
		expected, actual = r.neededText(), "0"
	case testTogether:
		expected, actual = "all of group "+r.items[p.cause].group, "a part"
	case testComplete:
		expected, actual = strconv.FormatInt(r.needed, 10), strconv.FormatInt(r.unitsOf(at), 10)
	}
	return testNames[p.fail], expected, actual
}

func (r *run) neededText() string {
	if len(r.skus) == 1 {
		return strconv.FormatInt(r.needed, 10) + " of " + r.skus[0].sku
	}
	return "any of " + strconv.Itoa(len(r.skus)) + " SKUs"
}

func exclusionText(e *messages.Exclusion) string {
	reason := e.Reason
	if reason == "" {
		reason = "excluded"
	}
	if e.UntilMs == 0 {
		return reason
	}
	return reason + " until " + timeText(e.UntilMs)
}

func timeText(ms int64) string { return time.UnixMilli(ms).UTC().Format(time.RFC3339) }

func resize[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n, n+n/2)
	}
	return s[:n]
}
