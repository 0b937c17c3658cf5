package wire

import (
	"math"
	"time"

	"orderyard/messages"
)

// Site is any place that can fulfill (CONTRACT §4).
type Site struct {
	ID             string               `json:"id"`
	Name           string               `json:"name,omitempty"`
	Type           string               `json:"type,omitempty"`
	Lat            *float64             `json:"lat,omitzero"`
	Lon            *float64             `json:"lon,omitzero"`
	PostalCode     string               `json:"postal_code,omitempty"`
	Country        string               `json:"country,omitempty"`
	Region         string               `json:"region,omitempty"`
	Capacity       *SiteCapacity        `json:"capacity,omitzero"`
	Calendar       *SiteCalendar        `json:"calendar,omitzero"`
	Groups         []string             `json:"groups,omitempty"`
	LabelsAllowed  []string             `json:"labels_allowed,omitempty"`
	Markets        []string             `json:"markets,omitempty"`
	Carriers       []SiteCarrier        `json:"carriers,omitempty"`
	Cost           *SiteCost            `json:"cost,omitzero"`
	Rank           int64                `json:"rank,omitzero"`
	Accept         string               `json:"accept,omitempty"`
	Status         string               `json:"status,omitempty"`
	AnswerWithinMs int64                `json:"answer_within_ms,omitzero"`
	Attributes     map[string]SiteValue `json:"attributes,omitempty"`
}

// SiteCapacity bounds a site's work; 0 = no limit.
type SiteCapacity struct {
	PerHour int64 `json:"per_hour,omitzero"`
	PerDay  int64 `json:"per_day,omitzero"`
	OpenMax int64 `json:"open_max,omitzero"`
}

// SiteCalendar says when a site works. Without open it always does; with it, a day that is not named is closed.
type SiteCalendar struct {
	TimeZone string   `json:"time_zone,omitempty"`
	Open     *Week    `json:"open,omitzero"`
	CutOff   string   `json:"cut_off,omitempty"`
	Closed   []string `json:"closed,omitempty"`
}

// Week holds opening hours per day, "08:00-18:00".
type Week struct {
	Mon string `json:"mon,omitempty"`
	Tue string `json:"tue,omitempty"`
	Wed string `json:"wed,omitempty"`
	Thu string `json:"thu,omitempty"`
	Fri string `json:"fri,omitempty"`
	Sat string `json:"sat,omitempty"`
	Sun string `json:"sun,omitempty"`
}

// SiteCost is what an order costs there, in minor units.
type SiteCost struct {
	PerOrder int64 `json:"per_order,omitzero"`
	PerUnit  int64 `json:"per_unit,omitzero"`
}

var weekdays = [7]string{"mon", "tue", "wed", "thu", "fri", "sat", "sun"}

func (w *Week) days() [7]*string {
	return [7]*string{&w.Mon, &w.Tue, &w.Wed, &w.Thu, &w.Fri, &w.Sat, &w.Sun}
}

// Message converts and checks the document. locate finds a place by its postal code when the document gives no position; nil
// means that the position is required.
func (d *Site) Message(locate func(postalCode, country string) (lat, lon float64, ok bool)) (*messages.SiteDoc, *messages.Failure) {
	var c checker
	m := &messages.SiteDoc{
		Id: d.ID, Name: d.Name, Type: d.Type, PostalCode: d.PostalCode, Country: d.Country, Groups: d.Groups,
		LabelsAllowed: d.LabelsAllowed, Accept: d.Accept, Status: d.Status, AnswerWithinMs: d.AnswerWithinMs,
	}
	d.ruled(m)
	c.token("id", d.ID)
	c.oneOf("type", d.Type, "dc", "store", "3pl", "vendor")
	c.oneOf("accept", d.Accept, "auto", "manual")
	c.oneOf("status", d.Status, siteStatuses...)
	c.between("answer_within_ms", d.AnswerWithinMs, 0, 30*24*3600*1000)
	d.position(&c, m, locate)
	if d.Capacity != nil {
		m.Capacity = d.Capacity.message(&c)
	}
	if d.Calendar != nil {
		m.Calendar = d.Calendar.message(&c)
	}
	if d.Cost != nil {
		c.between("cost.per_order", d.Cost.PerOrder, 0, MoneyMax)
		c.between("cost.per_unit", d.Cost.PerUnit, 0, MoneyMax)
		m.CostPerOrder, m.CostPerUnit = d.Cost.PerOrder, d.Cost.PerUnit
	}
	return m, c.failure()
}

var siteStatuses = []string{"online", "suspended", "offline"}

func (d *Site) position(c *checker, m *messages.SiteDoc, locate func(string, string) (float64, float64, bool)) {
	switch {
	case d.Lat != nil && d.Lon != nil:
		if m.Lat, m.Lon = *d.Lat, *d.Lon; !(math.Abs(m.Lat) <= 90) {
			c.add("lat", "is %v, between -90 and 90 is required", m.Lat)
		}
		if !(math.Abs(m.Lon) <= 180) {
			c.add("lon", "is %v, between -180 and 180 is required", m.Lon)
		}
	case d.Lat != nil:
		c.add("lon", "is required with lat")
	case d.Lon != nil:
		c.add("lat", "is required with lon")
	default:
		if locate != nil && d.PostalCode != "" {
			if lat, lon, ok := locate(d.PostalCode, d.Country); ok {
				m.Lat, m.Lon = lat, lon
				return
			}
		}
		c.add("lat", "is required: postal code %q is not on the map", clip(d.PostalCode))
	}
}

func (s *SiteCapacity) message(c *checker) *messages.SiteCapacity {
	c.between("capacity.per_hour", s.PerHour, 0, QuantityMax)
	c.between("capacity.per_day", s.PerDay, 0, QuantityMax)
	c.between("capacity.open_max", s.OpenMax, 0, QuantityMax)
	return &messages.SiteCapacity{PerHour: s.PerHour, PerDay: s.PerDay, OpenMax: s.OpenMax}
}

func (s *SiteCalendar) message(c *checker) *messages.SiteCalendar {
	m := &messages.SiteCalendar{TimeZone: s.TimeZone, CutOff: s.CutOff, Closed: s.Closed}
	if len(s.TimeZone) > 64 {
		c.add("calendar.time_zone", "is longer than any zone's name")
	}
	if s.CutOff != "" && !isClock(s.CutOff) {
		c.add("calendar.cut_off", "is %q, a time such as 15:00 is required", clip(s.CutOff))
	}
	if len(s.Closed) > closedMax {
		c.add("calendar.closed", "has %d entries, at most %d are allowed", len(s.Closed), closedMax)
	}
	for i, day := range s.Closed {
		c.date("calendar.closed"+indexPath(i, ""), day)
	}
	if s.Open != nil {
		for i, hours := range s.Open.days() {
			if *hours != "" && !isHours(*hours) {
				c.add("calendar.open."+weekdays[i], "is %q, hours such as 08:00-18:00 are required", clip(*hours))
			}
			m.Open = append(m.Open, *hours)
		}
	}
	return m
}

// closedMax bounds the days off a calendar lists: several years of them.
const closedMax = 400

func isClock(s string) bool {
	_, err := time.Parse("15:04", s)
	return err == nil && len(s) == 5
}

// isHours: 24:00 is the end of the day.
func isHours(s string) bool {
	if len(s) != 11 || s[5] != '-' {
		return false
	}
	from, to := s[:5], s[6:]
	return isClock(from) && (isClock(to) || to == "24:00") && from < to
}

// SiteOf is the document of a site.
func SiteOf(m *messages.SiteDoc) *Site {
	lat, lon := m.GetLat(), m.GetLon()
	d := &Site{
		ID: m.GetId(), Name: m.GetName(), Type: m.GetType(), Lat: &lat, Lon: &lon, PostalCode: m.GetPostalCode(),
		Country: m.GetCountry(), Groups: m.GetGroups(), LabelsAllowed: m.GetLabelsAllowed(), Accept: m.GetAccept(),
		Status: m.GetStatus(), AnswerWithinMs: m.GetAnswerWithinMs(),
	}
	if p := m.GetCapacity(); p != nil {
		d.Capacity = &SiteCapacity{PerHour: p.GetPerHour(), PerDay: p.GetPerDay(), OpenMax: p.GetOpenMax()}
	}
	if k := m.GetCalendar(); k != nil {
		d.Calendar = &SiteCalendar{TimeZone: k.GetTimeZone(), CutOff: k.GetCutOff(), Closed: k.GetClosed()}
		if len(k.GetOpen()) == len(weekdays) {
			d.Calendar.Open = &Week{}
			for i, day := range d.Calendar.Open.days() {
				*day = k.GetOpen()[i]
			}
		}
	}
	if m.GetCostPerOrder() != 0 || m.GetCostPerUnit() != 0 {
		d.Cost = &SiteCost{PerOrder: m.GetCostPerOrder(), PerUnit: m.GetCostPerUnit()}
	}
	d.tellRuled(m)
	return d
}
