package actors

import (
	"bytes"
	"maps"
	"slices"
	"sync/atomic"

	"orderyard/messages"
	"orderyard/routing"
	"orderyard/routing/ruleset"
)

// A site says something new with every fulfillment order it accepts, thousands of times an hour. What it says is made of a document that
// hardly ever changes, and of a few counts. So the document is turned into what routing knows once, the counts are put beside it, and the
// one slot of the site takes the result: the table of all sites is copied for a new site only. Here routing therefore sees every count at
// once. Other nodes are told at once what matters and the rest with the next heartbeat, a second later (see sameForOthers).

// siteSlot is the place of one site in the table; nil never.
type siteSlot struct {
	known atomic.Pointer[knownSite]
	told  *knownSite // what other nodes were told at once; under View.mu
}

// knownSite is what a site said last, made ready. It is read only.
type knownSite struct {
	routing.Site
	view *messages.SiteView
}

// Site gives one site.
func (v *View) Site(id string) (*routing.Site, bool) {
	slot, ok := v.sites.Load().byID[id]
	if !ok {
		return nil, false
	}
	return &slot.known.Load().Site, true
}

// asks says that a site's people answer for themselves.
func (v *View) asks(id string) bool {
	slot, ok := v.sites.Load().byID[id]
	return ok && slot.known.Load().view.Doc.Accept == "manual"
}

// setSite notes what a site says of itself, and says whether it may now take what it did not take before. Versions and own are as with
// setStock.
func (v *View) setSite(m *messages.SiteView, own bool) (opened bool) {
	if m.Doc == nil {
		return false
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	slot := v.sites.Load().byID[m.Doc.Id]
	if slot == nil {
		k := learnSite(m, nil)
		v.addSite(k)
		if own {
			v.news.Load().site(m.Doc.Id, true)
		}
		return k.Status == "online"
	}
	was := slot.known.Load()
	if m.Version <= was.view.Version {
		if own && m.Version == was.view.Version {
			v.news.Load().site(m.Doc.Id, false)
		}
		return false
	}
	k := learnSite(m, was)
	slot.known.Store(k)
	same := sameForOthers(slot.told, k)
	if !same {
		slot.told = k
	}
	if own {
		v.news.Load().site(m.Doc.Id, !same)
	}
	return k.Status == "online" && !sameButCounts(was, k)
}

// addSite copies the table. The caller holds mu.
func (v *View) addSite(k *knownSite) {
	old := v.sites.Load()
	next := &siteTable{byID: maps.Clone(old.byID)}
	slot := &siteSlot{told: k}
	slot.known.Store(k)
	next.byID[k.ID] = slot
	next.ids = slices.Sorted(maps.Keys(next.byID))
	v.sites.Store(next)
}

// learnSite makes what a site says ready. was, which may be nil, is what it said before: what is the same is shared.
func learnSite(m *messages.SiteView, was *knownSite) *knownSite {
	k := &knownSite{view: m}
	if was != nil && sameDoc(was.view.Doc, m.Doc) {
		k.Site = was.Site
	} else {
		k.Site = siteOf(m.Doc)
		k.Calendar = &calendar{doc: m.Doc.Calendar}
	}
	k.PausedUntil = m.PausedUntilMs
	k.Open, k.OpenLoadPermille = m.Open, 0
	if k.OpenMax > 0 {
		k.OpenLoadPermille = m.Open * 1000 / k.OpenMax
	}
	k.Hour.Taken, k.Hour.Until = m.AcceptedThisHour, m.HourUntilMs
	k.Day.Taken, k.Day.Until = m.AcceptedToday, m.DayUntilMs
	return k
}

// siteOf is what the document alone says.
func siteOf(d *messages.SiteDoc) routing.Site {
	s := routing.Site{
		ID: d.Id, Name: d.Name, Type: d.Type, Country: d.Country, Lat: d.Lat, Lon: d.Lon, Groups: d.Groups, LabelsAllowed: d.LabelsAllowed,
		CostPerOrder: d.CostPerOrder, CostPerUnit: d.CostPerUnit, Status: d.Status, Region: d.Region, PostalCode: d.PostalCode, Rank: d.Rank,
		Markets: d.Markets, OpenMax: d.Capacity.GetOpenMax(),
		Hour: routing.Window{Limit: d.Capacity.GetPerHour()}, Day: routing.Window{Limit: d.Capacity.GetPerDay()},
	}
	s.Locate()
	for _, c := range d.Carriers {
		s.Carriers = append(s.Carriers, ruleset.Carrier{Name: c.GetName(), Service: c.GetService()})
	}
	if len(d.Attributes) > 0 {
		s.Attributes = make(map[string]any, len(d.Attributes))
	}
	for _, a := range d.Attributes {
		switch value := a.GetValue().(type) {
		case *messages.SiteAttribute_Text:
			s.Attributes[a.Name] = value.Text
		case *messages.SiteAttribute_Number:
			s.Attributes[a.Name] = value.Number
		case *messages.SiteAttribute_Truth:
			s.Attributes[a.Name] = value.Truth
		}
	}
	return s
}

// sameDoc compares by content. A site served here shares its document among everything it says until it changes.
func sameDoc(a, b *messages.SiteDoc) bool {
	if a == b {
		return true
	}
	x, errX := a.MarshalVT()
	y, errY := b.MarshalVT()
	return errX == nil && errY == nil && bytes.Equal(x, y)
}

// sameButCounts: the site would take the same work as before, as far as routing looks.
func sameButCounts(a, b *knownSite) bool {
	return a.PausedUntil == b.PausedUntil && sameDoc(a.view.Doc, b.view.Doc)
}

const (
	// hintPermille is how much of a limit may come or go before other nodes must hear of it at once.
	hintPermille = 10
	// nearPermille is what a site has left of a limit when they must hear of everything: then an order more or less decides. Small limits
	// are always near in that sense, for one order is more than a hint of a hundred.
	nearPermille = 50
)

// sameForOthers spares a telling when only counts moved, and by so little that they still are a good hint until the next heartbeat.
func sameForOthers(told, now *knownSite) bool {
	return sameButCounts(told, now) && told.Hour.Until == now.Hour.Until && told.Day.Until == now.Day.Until &&
		hint(told.Open, now.Open, now.OpenMax) && hint(told.Hour.Taken, now.Hour.Taken, now.Hour.Limit) &&
		hint(told.Day.Taken, now.Day.Taken, now.Day.Limit)
}

func hint(told, now, limit int64) bool {
	if limit <= 0 || told == now {
		return true
	}
	if now > limit-limit*nearPermille/1000 || told > limit-limit*nearPermille/1000 {
		return false
	}
	apart := told - now
	return max(apart, -apart)*1000 < limit*hintPermille
}

// reopened says whether a site's pause has run out between two moments.
func (v *View) reopened(after, until int64) bool {
	for _, slot := range v.sites.Load().byID {
		if paused := slot.known.Load().PausedUntil; paused > after && paused <= until {
			return true
		}
	}
	return false
}

// siteView gives the newest a site said of itself; nil when it is not known.
func (v *View) siteView(id string) *messages.SiteView {
	if slot := v.sites.Load().byID[id]; slot != nil {
		return slot.known.Load().view
	}
	return nil
}

// siteViews gives all of them, by site.
func (v *View) siteViews() []*messages.SiteView {
	table := v.sites.Load()
	views := make([]*messages.SiteView, len(table.ids))
	for i, id := range table.ids {
		views[i] = table.byID[id].known.Load().view
	}
	return views
}
