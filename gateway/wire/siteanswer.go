package wire

import "orderyard/messages"

// GetSiteRequest asks for one site.
type GetSiteRequest struct {
	ID string `json:"id"`
}

// PauseSiteRequest stops new work: suspended (the default) finishes what is open, offline gives unstarted work back.
type PauseSiteRequest struct {
	ID     string `json:"id"`
	Status string `json:"status,omitempty"`
}

// ResumeSiteRequest puts a site back online.
type ResumeSiteRequest struct {
	ID string `json:"id"`
}

// SiteCapacityRequest sets limits; those not given stay as they are, 0 = no limit.
type SiteCapacityRequest struct {
	ID      string `json:"id"`
	PerHour *int64 `json:"per_hour,omitzero"`
	PerDay  *int64 `json:"per_day,omitzero"`
	OpenMax *int64 `json:"open_max,omitzero"`
}

// SiteListRequest asks for every site.
type SiteListRequest struct{}

// Command implements Request.
func (r *GetSiteRequest) Command() (messages.Ref, messages.Command, *messages.Failure) {
	var c checker
	c.token("id", r.ID)
	return messages.SiteRef(r.ID), &messages.GetSite{}, c.failure()
}

// Command implements Request.
func (r *PauseSiteRequest) Command() (messages.Ref, messages.Command, *messages.Failure) {
	var c checker
	c.token("id", r.ID)
	c.oneOf("status", r.Status, "suspended", "offline")
	status := r.Status
	if status == "" {
		status = "suspended"
	}
	return messages.SiteRef(r.ID), &messages.SetSiteStatus{Status: status}, c.failure()
}

// Command implements Request.
func (r *ResumeSiteRequest) Command() (messages.Ref, messages.Command, *messages.Failure) {
	var c checker
	c.token("id", r.ID)
	return messages.SiteRef(r.ID), &messages.SetSiteStatus{Status: "online"}, c.failure()
}

// Command implements Request. The site itself keeps the limits that are not given: they may have been changed a moment ago.
func (r *SiteCapacityRequest) Command() (messages.Ref, messages.Command, *messages.Failure) {
	var c checker
	c.token("id", r.ID)
	limits := []*int64{r.PerHour, r.PerDay, r.OpenMax}
	given := 0
	for i, name := range []string{"per_hour", "per_day", "open_max"} {
		if limits[i] != nil {
			c.between(name, *limits[i], 0, QuantityMax)
			given++
		}
	}
	cmd := &messages.SetSiteCapacity{}
	switch given {
	case 0:
		c.add("per_hour", "or per_day or open_max is required")
	case len(limits):
		cmd.Capacity = &messages.SiteCapacity{PerHour: *r.PerHour, PerDay: *r.PerDay, OpenMax: *r.OpenMax}
	default:
		cmd.Change = &messages.CapacityChange{PerHour: r.PerHour, PerDay: r.PerDay, OpenMax: r.OpenMax}
	}
	return messages.SiteRef(r.ID), cmd, c.failure()
}

// SiteView is a site with its present load.
type SiteView struct {
	Site
	Open             int64  `json:"open"`
	AcceptedThisHour int64  `json:"accepted_this_hour"`
	AcceptedToday    int64  `json:"accepted_today"`
	PausedUntil      Time   `json:"paused_until,omitzero"`
	Version          uint64 `json:"version"`
}

// SiteAnswer answers every request about one site.
type SiteAnswer struct {
	Head
	*SiteView
}

// SiteListAnswer answers list, and apply of several sites (in its order, with an error where one failed).
type SiteListAnswer struct {
	Head
	Sites []SiteAnswer `json:"sites"`
}

// SiteViewOf is the document of a view.
func SiteViewOf(v *messages.SiteView) *SiteView {
	return &SiteView{
		Site: *SiteOf(v.GetDoc()), Open: v.GetOpen(), AcceptedThisHour: v.GetAcceptedThisHour(), AcceptedToday: v.GetAcceptedToday(),
		PausedUntil: Time(v.GetPausedUntilMs()), Version: v.GetVersion(),
	}
}

// SiteAnswerOf converts a reply.
func SiteAnswerOf(r *messages.Reply) SiteAnswer {
	a := SiteAnswer{Head: HeadOf(r)}
	if v := r.GetSite().GetSite(); v != nil {
		a.SiteView = SiteViewOf(v)
	}
	return a
}

// SiteListAnswerOf converts the replies of several sites.
func SiteListAnswerOf(replies []*messages.Reply) SiteListAnswer {
	a := SiteListAnswer{Head: listHead(replies), Sites: make([]SiteAnswer, len(replies))}
	for i, r := range replies {
		a.Sites[i] = SiteAnswerOf(r)
	}
	return a
}
