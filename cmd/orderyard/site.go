package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"orderyard/gateway/wire"
	"orderyard/messages"
)

func newSiteCmd(a *app) *cobra.Command {
	return group("site", "Describe, see and pause sites",
		newSiteApplyCmd(a), newSiteListCmd(a), newSiteGetCmd(a), newSitePauseCmd(a), newSiteResumeCmd(a), newSiteCapacityCmd(a))
}

func newSiteListCmd(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the sites with their present load",
		Args:  want(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			l, _, done, err := call[wire.SiteListAnswer](cmd.Context(), a, messages.SiteSubject("list"), "", wire.SiteListRequest{})
			if done {
				return err
			}
			t := a.siteTable()
			for _, s := range l.Sites {
				if s.SiteView != nil {
					t.site(s.SiteView)
				}
			}
			return t.print("No sites: `orderyard site apply FILE` describes one.")
		},
	}
}

func newSiteGetCmd(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "get ID",
		Short: "Show one site: its load, calendar and limits",
		Args:  want("ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, _, done, err := call[wire.SiteAnswer](cmd.Context(), a, messages.SiteSubject("get"), "", wire.GetSiteRequest{ID: args[0]})
			if done || s.SiteView == nil {
				return err
			}
			t := a.siteTable()
			t.site(s.SiteView)
			if err := t.print(""); err != nil {
				return err
			}
			return a.printCalendar(s.SiteView)
		},
	}
}

func newSitePauseCmd(a *app) *cobra.Command {
	var offline bool
	cmd := &cobra.Command{
		Use:   "pause ID",
		Short: "Give a site no new work",
		Long: "Give a site no new work. What it has begun goes on; with --offline what it has not begun is routed elsewhere too.\n" +
			"`orderyard site resume ID` ends it.",
		Args: want("ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			request := wire.PauseSiteRequest{ID: args[0]}
			if offline {
				request.Status = "offline"
			}
			return siteChange(cmd.Context(), a, "pause", request)
		},
	}
	cmd.Flags().BoolVar(&offline, "offline", false, "the site is gone: take back what it has not begun")
	return a.withCommandID(cmd)
}

func newSiteResumeCmd(a *app) *cobra.Command {
	return a.withCommandID(&cobra.Command{
		Use:   "resume ID",
		Short: "Give a paused site work again",
		Args:  want("ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return siteChange(cmd.Context(), a, "resume", wire.ResumeSiteRequest{ID: args[0]})
		},
	})
}

func newSiteCapacityCmd(a *app) *cobra.Command {
	var perHour, perDay, openMax int64
	cmd := &cobra.Command{
		Use:     "capacity ID --per-hour N",
		Short:   "Limit the work a site takes",
		Long:    "Limit the work a site takes. Limits that are not given stay as they are; 0 takes a limit away.",
		Example: "  orderyard site capacity DC-DENVER --per-hour 500 --open-max 2000",
		Args:    want("ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			request := wire.SiteCapacityRequest{ID: args[0]}
			given := false
			for name, limit := range map[string]struct {
				value *int64
				field **int64
			}{
				"per-hour": {&perHour, &request.PerHour}, "per-day": {&perDay, &request.PerDay}, "open-max": {&openMax, &request.OpenMax},
			} {
				if cmd.Flags().Changed(name) {
					*limit.field, given = limit.value, true
				}
			}
			if !given {
				return usage("at least one of --per-hour, --per-day and --open-max is required")
			}
			return siteChange(cmd.Context(), a, "capacity", request)
		},
	}
	cmd.Flags().Int64Var(&perHour, "per-hour", 0, "fulfillment orders accepted in an hour")
	cmd.Flags().Int64Var(&perDay, "per-day", 0, "fulfillment orders accepted in a day")
	cmd.Flags().Int64Var(&openMax, "open-max", 0, "fulfillment orders open at one time")
	return a.withCommandID(cmd)
}

// siteChange asks for a change of one site and shows the site after it.
func siteChange(ctx context.Context, a *app, verb string, request any) error {
	s, _, done, err := call[wire.SiteAnswer](ctx, a, messages.SiteSubject(verb), a.newCommandID(), request)
	if done {
		return err
	}
	t := a.siteTable()
	if s.SiteView != nil {
		t.site(s.SiteView)
	}
	return t.print("Done.")
}

func (a *app) siteTable() *rows {
	return a.table("SITE", "TYPE", "STATUS", "ACCEPT", "PLACE", "#OPEN", "#OPEN MAX", "#THIS HOUR", "#PER HOUR", "#TODAY", "#PER DAY", "PAUSED UNTIL")
}

func (r *rows) site(s *wire.SiteView) {
	limits := wire.SiteCapacity{}
	if s.Capacity != nil {
		limits = *s.Capacity
	}
	r.add(s.ID, s.Type, status(s.Status), s.Accept, strings.TrimSpace(s.PostalCode+" "+s.Country), s.Open, limit(limits.OpenMax), s.AcceptedThisHour,
		limit(limits.PerHour), s.AcceptedToday, limit(limits.PerDay), s.PausedUntil)
}

// limit shows a capacity: 0 is none.
func limit(n int64) any {
	if n == 0 {
		return "-"
	}
	return n
}

func (a *app) printCalendar(s *wire.SiteView) error {
	t := a.table("TIME ZONE", "MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN", "CUT-OFF", "CLOSED ON", "GROUPS")
	k := wire.SiteCalendar{}
	if s.Calendar != nil {
		k = *s.Calendar
	}
	week := wire.Week{Mon: "always", Tue: "always", Wed: "always", Thu: "always", Fri: "always", Sat: "always", Sun: "always"}
	if k.Open != nil {
		week = *k.Open
	}
	t.add(k.TimeZone, week.Mon, week.Tue, week.Wed, week.Thu, week.Fri, week.Sat, week.Sun, k.CutOff, list(k.Closed), list(s.Groups))
	return t.section()
}
