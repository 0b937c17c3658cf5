package wire

import (
	"cmp"
	"slices"

	"github.com/go-json-experiment/json/jsontext"

	"orderyard/messages"
)

// OrderView is the answer to order.get: the order and all that has become of it.
type OrderView struct {
	OrderID string `json:"order_id"`
	Status  string `json:"status"`
	Version uint64 `json:"version"`
	Axes    Axes   `json:"axes"`

	Channel    string         `json:"channel"`
	ExternalID string         `json:"external_id"`
	PlacedAt   Time           `json:"placed_at,omitzero"`
	AcceptedAt Time           `json:"accepted_at,omitzero"`
	Currency   string         `json:"currency"`
	Customer   *Customer      `json:"customer,omitzero"`
	ShipTo     Address        `json:"ship_to"`
	Lines      []LineView     `json:"lines"`
	Shipping   *Shipping      `json:"shipping,omitzero"`
	Tax        int64          `json:"tax,omitzero"`
	Discount   int64          `json:"discount,omitzero"`
	Payment    *Payment       `json:"payment,omitzero"`
	Policy     *Policy        `json:"policy,omitzero"`
	Priority   int32          `json:"priority,omitzero"`
	Labels     []string       `json:"labels,omitempty"`
	Attributes jsontext.Value `json:"attributes,omitempty"`

	Fulfillments []Fulfillment   `json:"fulfillments"`
	Holds        []Hold          `json:"holds"`
	Exceptions   []Exception     `json:"exceptions"`
	Exclusions   []Exclusion     `json:"exclusions,omitempty"`
	Decisions    []Plan          `json:"decisions"`
	Timeline     []TimelineEntry `json:"timeline,omitempty"`
	Rejections   uint32          `json:"rejections,omitzero"`
	Attempts     uint32          `json:"attempts,omitzero"`
	CancelReason string          `json:"cancel_reason,omitempty"`
}

// Axes are the order's independent states (GLOSSARY §2).
type Axes struct {
	Life       string   `json:"life"`
	Payment    string   `json:"payment,omitempty"`
	Holds      []string `json:"holds"`
	Exceptions []string `json:"exceptions"`
}

// LineView is a line with its units per state.
type LineView struct {
	ID         string         `json:"id"`
	SKU        string         `json:"sku"`
	Quantity   int64          `json:"quantity"`
	UnitPrice  int64          `json:"unit_price"`
	Labels     []string       `json:"labels,omitempty"`
	Group      string         `json:"group,omitempty"`
	Attributes jsontext.Value `json:"attributes,omitempty"`
	Units      Units          `json:"units"`
}

// Units is a quantity per state; the sum of all is the quantity ordered.
type Units struct {
	Open        int64 `json:"open,omitzero"`
	Planned     int64 `json:"planned,omitzero"`
	Reserved    int64 `json:"reserved,omitzero"`
	Allocated   int64 `json:"allocated,omitzero"`
	Released    int64 `json:"released,omitzero"`
	Picked      int64 `json:"picked,omitzero"`
	Packed      int64 `json:"packed,omitzero"`
	Shipped     int64 `json:"shipped,omitzero"`
	Delivered   int64 `json:"delivered,omitzero"`
	Backordered int64 `json:"backordered,omitzero"`
	Exception   int64 `json:"exception,omitzero"`
	Cancelled   int64 `json:"cancelled,omitzero"`
}

// Hold is an open hold.
type Hold struct {
	Reason   string `json:"reason"`
	Note     string `json:"note,omitempty"`
	PlacedAt Time   `json:"placed_at,omitzero"`
	Until    Time   `json:"until,omitzero"`
	Actor    string `json:"actor,omitempty"`
}

// Exception is a state that needs a person or a policy.
type Exception struct {
	Kind     string `json:"kind"`
	Detail   string `json:"detail,omitempty"`
	Owner    string `json:"owner,omitempty"`
	OpenedAt Time   `json:"opened_at,omitzero"`
}

// Exclusion keeps a site, or one SKU there, out of this order's plans.
type Exclusion struct {
	Site   string `json:"site"`
	SKU    string `json:"sku,omitempty"`
	Until  Time   `json:"until,omitzero"`
	Reason string `json:"reason,omitempty"`
}

// TimelineEntry is one thing that happened.
type TimelineEntry struct {
	At     Time   `json:"at"`
	What   string `json:"what"`
	Detail string `json:"detail,omitempty"`
}

// OrderViewOf is the document of a view; candidates adds the sites that each decision looked at.
func OrderViewOf(v *messages.OrderView, candidates bool) *OrderView {
	o := OrderOf(v.GetOrder())
	d := &OrderView{
		OrderID: v.GetOrderId(), Status: v.GetStatus(), Version: v.GetVersion(), AcceptedAt: Time(v.GetAcceptedAtMs()),
		Channel: o.Channel, ExternalID: o.ExternalID, PlacedAt: o.PlacedAt, Currency: o.Currency, Customer: o.Customer,
		ShipTo: o.ShipTo, Shipping: o.Shipping, Tax: o.Tax, Discount: o.Discount, Payment: o.Payment, Policy: o.Policy,
		Priority: o.Priority, Labels: o.Labels, Attributes: o.Attributes, Axes: Axes{Life: v.GetLife()},
		Fulfillments: fulfillmentsOf(v.GetFulfillments()), Rejections: v.GetRejections(), Attempts: v.GetAttempts(),
		CancelReason: v.GetCancelReason(), Decisions: decisionsOf(v, candidates),
	}
	if o.Payment != nil {
		d.Axes.Payment = "pending" // nothing captures yet: an intent stays as it was declared
	}
	for i, l := range o.Lines {
		line := LineView{
			ID: l.ID, SKU: l.SKU, Quantity: l.Quantity, UnitPrice: *l.UnitPrice, Labels: l.Labels, Group: l.Group, Attributes: l.Attributes,
		}
		if i < len(v.GetUnits()) {
			line.Units = unitsOf(v.GetUnits()[i])
		}
		d.Lines = append(d.Lines, line)
	}
	addStops(d, v)
	for _, t := range v.GetTimeline() {
		d.Timeline = append(d.Timeline, TimelineEntry{At: Time(t.GetAtMs()), What: t.GetWhat(), Detail: t.GetDetail()})
	}
	return d
}

// addStops copies all that may stop an order: holds, exceptions, exclusions.
func addStops(d *OrderView, v *messages.OrderView) {
	for _, h := range v.GetHolds() {
		d.Holds = append(d.Holds, Hold{
			Reason: h.GetReason(), Note: h.GetNote(), PlacedAt: Time(h.GetPlacedAtMs()), Until: Time(h.GetUntilMs()), Actor: h.GetActor(),
		})
		d.Axes.Holds = append(d.Axes.Holds, h.GetReason())
	}
	for _, e := range v.GetExceptions() {
		d.Exceptions = append(d.Exceptions, Exception{
			Kind: e.GetKind(), Detail: e.GetDetail(), Owner: e.GetOwner(), OpenedAt: Time(e.GetOpenedAtMs()),
		})
		d.Axes.Exceptions = append(d.Axes.Exceptions, e.GetKind())
	}
	for _, x := range v.GetExclusions() {
		d.Exclusions = append(d.Exclusions, Exclusion{
			Site: x.GetSite(), SKU: x.GetSku(), Until: Time(x.GetUntilMs()), Reason: x.GetReason(),
		})
	}
}

func unitsOf(u *messages.UnitCounts) Units {
	return Units{
		Open: u.GetOpen(), Planned: u.GetPlanned(), Reserved: u.GetReserved(), Allocated: u.GetAllocated(), Released: u.GetReleased(),
		Picked: u.GetPicked(), Packed: u.GetPacked(), Shipped: u.GetShipped(), Delivered: u.GetDelivered(),
		Backordered: u.GetBackordered(), Exception: u.GetException(), Cancelled: u.GetCancelled(),
	}
}

// decisionsOf lists the plans latest first, whatever order the view has them in.
func decisionsOf(v *messages.OrderView, candidates bool) []Plan {
	plans := make([]Plan, 0, len(v.GetDecisions()))
	for _, p := range v.GetDecisions() {
		plans = append(plans, PlanOf(p, v.GetOrder().GetLines(), candidates))
	}
	slices.SortStableFunc(plans, func(a, b Plan) int { return cmp.Compare(b.PlanNo, a.PlanNo) })
	return plans
}

// Plan is the outcome of one routing run, with its evidence.
type Plan struct {
	PlanNo       uint32         `json:"plan_no,omitzero"`
	Cause        string         `json:"cause,omitempty"`
	Assignments  []Assignment   `json:"assignments"`
	Short        []LineQuantity `json:"short,omitempty"`
	RulesVersion string         `json:"rules_version,omitempty"`
	Actions      []PlanAction   `json:"actions,omitempty"`
	Decision     *Decision      `json:"decision,omitzero"`
}

// PlanAction is what a rule wanted done beside the assignments.
type PlanAction struct {
	Do   string `json:"do"`
	Word string `json:"word,omitempty"`
	Days int64  `json:"days,omitzero"`
}

// Assignment gives units to a site.
type Assignment struct {
	Site      string         `json:"site"`
	Lines     []LineQuantity `json:"lines"`
	DistanceM int64          `json:"distance_m,omitzero"`
}

// LineQuantity is units of one line.
type LineQuantity struct {
	LineID   string `json:"line_id"`
	SKU      string `json:"sku,omitempty"`
	Quantity int64  `json:"quantity"`
}

// Decision is the immutable evidence of a routing run.
type Decision struct {
	Strategy   string      `json:"strategy,omitempty"`
	DecidedBy  string      `json:"decided_by,omitempty"`
	DistanceM  int64       `json:"distance_m,omitzero"`
	Cost       int64       `json:"cost,omitzero"`
	Exact      bool        `json:"exact"`
	Note       string      `json:"note,omitempty"`
	DurationUs int64       `json:"duration_us,omitzero"`
	Candidates []Candidate `json:"candidates,omitempty"`

	// By operators' rules: the objective is a list of levels, of which the first that differs decided. Bound is proven: no plan is better.
	Rule              string   `json:"rule,omitempty"`
	Outcome           string   `json:"outcome,omitempty"`
	Levels            []string `json:"levels,omitempty"`
	Objective         []int64  `json:"objective,omitempty"`
	BoundShort        int64    `json:"bound_short,omitzero"`
	Bound             []int64  `json:"bound,omitempty"`
	RunnerUp          []string `json:"runner_up,omitempty"`
	RunnerUpShort     int64    `json:"runner_up_short,omitzero"`
	RunnerUpObjective []int64  `json:"runner_up_objective,omitempty"`
	Dropped           []string `json:"dropped,omitempty"`
	Muted             []string `json:"muted,omitempty"`
	Scores            []string `json:"scores,omitempty"`
}

// Candidate is a site that was looked at; Filter is the first hard test it failed.
type Candidate struct {
	Site      string  `json:"site"`
	Chosen    bool    `json:"chosen,omitzero"`
	Filter    string  `json:"filter,omitempty"`
	Expected  string  `json:"expected,omitempty"`
	Actual    string  `json:"actual,omitempty"`
	DistanceM int64   `json:"distance_m,omitzero"`
	Units     int64   `json:"units,omitzero"`
	Scores    []int64 `json:"scores,omitempty"`

	Abstained []string `json:"abstained,omitempty"` // filters that had no fact to go by
	Penalty   int64    `json:"penalty,omitzero"`
}

// Flip is what would have to be otherwise for a site to give.
type Flip struct {
	Site    string   `json:"site"`
	Won     bool     `json:"won"` // it gives as things are
	Changes []Change `json:"changes,omitempty"`
	Plan    *Plan    `json:"plan,omitzero"` // that would follow
	Reason  string   `json:"reason,omitempty"`
}

// Change is one thing that would have to be otherwise.
type Change struct {
	What string `json:"what"`
	Op   string `json:"op"`
	Was  string `json:"was"`
	Now  string `json:"now"`
}

// PlanOf is the document of a plan over the given lines.
func PlanOf(p *messages.Plan, lines []*messages.OrderLine, candidates bool) Plan {
	d := Plan{
		PlanNo: p.GetPlanNo(), Cause: p.GetCause(), RulesVersion: p.GetRulesVersion(), Short: lineQuantities(p.GetShort(), lines),
	}
	for _, a := range p.GetAssignments() {
		d.Assignments = append(d.Assignments, Assignment{
			Site: a.GetSite(), Lines: lineQuantities(a.GetLines(), lines), DistanceM: a.GetDistanceM(),
		})
	}
	for _, a := range p.GetActions() {
		d.Actions = append(d.Actions, PlanAction{Do: a.GetDo(), Word: a.GetWord(), Days: a.GetDays()})
	}
	if r := p.GetDecision(); r != nil {
		d.Decision = &Decision{
			Strategy: r.GetStrategy(), DecidedBy: r.GetDecidedBy(), DistanceM: r.GetDistanceM(), Cost: r.GetCost(),
			Exact: r.GetExact(), Note: r.GetNote(), DurationUs: r.GetDurationUs(), Rule: r.GetRule(), Outcome: r.GetOutcome(),
		}
		if candidates {
			d.Decision.evidence(r)
			d.Decision.Candidates = candidatesOf(r.GetCandidates())
		}
	}
	return d
}

// evidence adds what only an explanation shows.
func (d *Decision) evidence(r *messages.DecisionRecord) {
	d.Levels, d.Objective, d.Bound, d.BoundShort = r.GetLevels(), r.GetObjective(), r.GetBound(), r.GetBoundShort()
	d.RunnerUp, d.RunnerUpObjective, d.RunnerUpShort = r.GetRunnerUp(), r.GetRunnerUpObjective(), r.GetRunnerUpShort()
	d.Dropped, d.Muted, d.Scores = r.GetDropped(), r.GetMuted(), r.GetScores()
}

func candidatesOf(list []*messages.Candidate) []Candidate {
	docs := make([]Candidate, 0, len(list))
	for _, c := range list {
		docs = append(docs, Candidate{
			Site: c.GetSite(), Chosen: c.GetChosen(), Filter: c.GetFilter(), Expected: c.GetExpected(), Actual: c.GetActual(),
			DistanceM: c.GetDistanceM(), Units: c.GetUnits(), Scores: c.GetScores(), Abstained: c.GetAbstained(), Penalty: c.GetPenalty(),
		})
	}
	return docs
}

func lineQuantities(list []*messages.LineQuantity, lines []*messages.OrderLine) []LineQuantity {
	docs := make([]LineQuantity, 0, len(list))
	for _, q := range list {
		d := LineQuantity{Quantity: q.GetQuantity()}
		if i := int(q.GetLine()); i < len(lines) {
			d.LineID, d.SKU = lines[i].GetId(), lines[i].GetSku()
		}
		docs = append(docs, d)
	}
	return docs
}
