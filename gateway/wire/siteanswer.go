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

// Check looks at the values; Whole is needed to make the command.
func (r *SiteCapacityRequest) Check() *messages.Failure {
	var c checker
	c.token("id", r.ID)
	limits := []*int64{r.PerHour, r.PerDay, r.OpenMax}
	given := false
	for i, name := range []string{"per_hour", "per_day", "open_max"} {
		if limits[i] != nil {
			c.between(name, *limits[i], 0, QuantityMax)
			given = true
		}
	}
	if !given {
		c.add("per_hour", "or per_day or open_max is required")
	}
	return c.failure()
}

// Whole says whether every limit is given, so that the present ones need not be asked.
func (r *SiteCapacityRequest) Whole() bool {
	return r.PerHour != nil && r.PerDay != nil && r.OpenMax != nil
}

// Over makes the command from the limits given, over the present ones.
func (r *SiteCapacityRequest) Over(present *messages.SiteCapacity) *messages.SetSiteCapacity {
	limits := &messages.SiteCapacity{PerHour: present.GetPerHour(), PerDay: present.GetPerDay(), OpenMax: present.GetOpenMax()}
	for _, one := range []struct{ from, to *int64 }{
		{r.PerHour, &limits.PerHour}, {r.PerDay, &limits.PerDay}, {r.OpenMax, &limits.OpenMax},
	} {
		if one.from != nil {
			*one.to = *one.from
		}
	}
	return &messages.SetSiteCapacity{Capacity: limits}
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
