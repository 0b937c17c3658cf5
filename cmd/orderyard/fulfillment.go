package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"orderyard/gateway/wire"
	"orderyard/messages"
)

func newFulfillmentCmd(a *app) *cobra.Command {
	return group("fulfillment", "See the work of a site, and say what the site did",
		newFulfillmentListCmd(a),
		newFulfillmentVerbCmd(a, "accept", "The site takes the work"),
		newFulfillmentVerbCmd(a, "reject", "The site refuses the work, or some of its units"),
		newFulfillmentVerbCmd(a, "pick", "The units are picked"),
		newFulfillmentVerbCmd(a, "pack", "The parcel is packed"),
		newFulfillmentVerbCmd(a, "ship", "The parcel left the site"),
		newFulfillmentVerbCmd(a, "deliver", "The parcel arrived"))
}

// verbFlags are what a site may add to its word.
type verbFlags struct {
	site, reason, note, lines, carrier, service, tracking string
	retryAfter                                            time.Duration
}

func newFulfillmentVerbCmd(a *app, verb, short string) *cobra.Command {
	var f verbFlags
	cmd := &cobra.Command{
		Use:   verb + " ID",
		Short: short,
		Args:  want("ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			request, err := f.request(verb, args[0])
			if err != nil {
				return err
			}
			return a.fulfillmentVerb(cmd.Context(), verb, f.site, request)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.site, "site", "", "the site, if it is known (else the order is asked)")
	flags.StringVar(&f.note, "note", "", "in words")
	switch verb {
	case "reject":
		cmd.Use += " --reason R"
		cmd.Example = "  orderyard fulfillment reject web-1001.1 --reason damaged --lines 1=2"
		flags.StringVar(&f.reason, "reason", "", "not_in_stock, mismatch, damaged, capacity, closed, carrier or other")
		flags.StringVar(&f.lines, "lines", "", "only these units, as LINE=QTY,LINE=QTY (default: all)")
		flags.DurationVar(&f.retryAfter, "retry-after", 0, "with capacity or closed: no new work for so long")
	case "ship":
		cmd.Example = "  orderyard fulfillment ship web-1001.1 --carrier UPS --tracking 1Z999"
		flags.StringVar(&f.carrier, "carrier", "", "who carries the parcel")
		flags.StringVar(&f.service, "service", "", "the carrier's service")
		flags.StringVar(&f.tracking, "tracking", "", "the parcel's tracking number")
	}
	return a.withCommandID(cmd)
}

func (f *verbFlags) request(verb, id string) (wire.FulfillmentRequest, error) {
	request := wire.FulfillmentRequest{FulfillmentID: id, Reason: f.reason, Note: f.note, RetryAfterMs: f.retryAfter.Milliseconds()}
	if verb == "reject" && f.reason == "" {
		return request, usage("--reason is required: not_in_stock, mismatch, damaged, capacity, closed, carrier or other")
	}
	if f.carrier != "" || f.service != "" || f.tracking != "" {
		request.Shipment = &wire.Shipment{Carrier: f.carrier, Service: f.service, Tracking: f.tracking}
	}
	if f.lines == "" {
		return request, nil
	}
	for pair := range strings.SplitSeq(f.lines, ",") {
		line, quantity, ok := strings.Cut(pair, "=")
		n, err := strconv.ParseInt(quantity, 10, 64)
		if !ok || err != nil || n < 1 || line == "" {
			return request, usage("--lines must be LINE=QTY,LINE=QTY, not %q", f.lines)
		}
		request.Lines = append(request.Lines, wire.FulfillmentLine{LineID: line, Quantity: n})
	}
	return request, nil
}

// fulfillmentVerb says the site's word on the site's subject.
func (a *app) fulfillmentVerb(ctx context.Context, verb, site string, request wire.FulfillmentRequest) error {
	c, err := a.connect()
	if err != nil {
		return err
	}
	defer c.close()
	if site == "" {
		if site, err = c.siteOf(ctx, request.FulfillmentID); err != nil {
			return err
		}
	}
	if err := messages.CheckToken(site); err != nil {
		return usage("--site %q %v", site, err)
	}
	got, err := c.ask(ctx, messages.FulfillmentSubject(verb, site), a.newCommandID(), request)
	f, done, err := show[wire.FulfillmentAnswer](a, got, err)
	if done {
		return err
	}
	t := a.table("FULFILLMENT", "SITE", "STATUS", "REQUEST", "REASON")
	t.add(request.FulfillmentID, site, status(f.Status), status(f.RequestStatus), f.Reason)
	return t.print("")
}

// siteOf asks the order which site has its fulfillment order: people know the work's id, subjects need the site.
func (c *client) siteOf(ctx context.Context, id string) (string, error) {
	i := strings.LastIndexByte(id, '.')
	if i < 1 {
		return "", usage("%q is no fulfillment id: they look like web-1001.1", id)
	}
	got, err := c.ask(ctx, messages.OrderSubject("get"), "", wire.GetOrderRequest{OrderID: id[:i]})
	if err != nil {
		return "", err
	}
	var o wire.OrderAnswer
	if err := wire.DecodeAnswer(got.body, &o); err != nil || o.OrderView == nil {
		return "", fmt.Errorf("read the answer about order %s: %w", id[:i], err)
	}
	for _, f := range o.Fulfillments {
		if f.ID == id {
			return f.Site, nil
		}
	}
	return "", messages.Fail(messages.CodeNotFound, "", "order %s has no fulfillment order %s", id[:i], id)
}
