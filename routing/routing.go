package routing

import (
	"orderyard/messages"
	"orderyard/routing/geo"
	"orderyard/routing/ruleset"
)

// SiteStock is what one site can promise of a SKU.
type SiteStock struct {
	Site string
	ATP  int64
}

// Site is what routing knows of a fulfillment site. It is read only; make a new one to change it: what follows from a site is kept for as long as it
// is the same one.
type Site struct {
	ID, Name, Type, Country string
	Lat, Lon                float64
	Place                   geo.Point // of Lat, Lon; see Locate. Without it Route computes it on every call
	Groups                  []string
	LabelsAllowed           []string // empty = every label
	CostPerOrder            int64    // minor units per fulfillment order
	CostPerUnit             int64    // minor units per unit
	Status                  string   // online suspended offline
	PausedUntil             int64    // Unix milliseconds; 0 = not paused
	OpenLoadPermille        int64    // share of open_max in use, a hint

	// What rules of operators ask about besides; FactsAt makes it into facts of a moment.
	Region, PostalCode string
	Rank               int64             // lower first
	Markets            []string          // empty = every market
	Carriers           []ruleset.Carrier // empty = nobody told
	Attributes         map[string]any    // own fields: string, int64 or bool
	Open, OpenMax      int64             // fulfillment orders in the building, and most of them; 0 = no limit
	Hour, Day          Window            // of the throttle
	Calendar           Calendar          // nil = nobody told

	// Recorded puts the numbers of a decision record in the place of today's; nil = today's count.
	Recorded *messages.Candidate
}

// Locate fills in the place from the degrees. Call it once, before the site is shared.
func (s *Site) Locate() { s.Place = geo.PointOf(s.Lat, s.Lon) }

// View is the node's picture of the network. What it answers does not change any more, but others may write it meanwhile: Route asks for everything
// once. Who makes several decisions that must fit together hands in Still(v).
type View interface {
	// Stock lists the sites that carry a SKU, sorted by site id. The caller only reads it.
	Stock(sku string) []SiteStock
	Site(id string) (*Site, bool)
	// SiteIDs lists all sites, sorted.
	SiteIDs() []string
}

// Priced is a View that may also know shadow prices. It is asked once for each decision under a rule set with the score `opportunity`.
type Priced interface {
	// Prices are those of this moment, which do not change any more; nil = nobody knows any.
	Prices(now int64) Prices
}

// Prices say what a unit is worth to orders yet to come. Whoever has them has all: what is plentiful is worth 0.
type Prices interface {
	// Price is that of a SKU at a site that has atp units of it, in minor units.
	Price(sku, site string, atp, now int64) int64
}

// Rules are the dials of a decision. Rules in use are read only.
type Rules struct {
	Version string
	// SplitsMax is how many sites an order may use when its request does not say.
	SplitsMax int32
	// EqualWithinKm makes distances of the same step of that many kilometers equal, so that cost and load can decide. 0 = meters.
	EqualWithinKm int64
	// KnownForMs is how long what a bucket told the order outranks the view.
	KnownForMs int64
	// StepsMax bounds the exact search, in elementary steps (one to two nanoseconds each).
	StepsMax int64
	// CandidatesMax bounds the sites named in a decision record, which is kept with the order.
	CandidatesMax int
	Set           *ruleset.Compiled // the operators' rule set; nil = the built-in one
}

// DefaultRules are the rules of a network that has configured none.
func DefaultRules() *Rules {
	return &Rules{
		Version:       "builtin-1",
		SplitsMax:     3,         // a third parcel is where customers begin to complain
		KnownForMs:    5_000,     // a delta reaches the view long before that; afterwards the view knows better
		StepsMax:      1_000_000, // 8 lines × 100 sites stay exact (TestExactSizes); ends within three milliseconds
		CandidatesMax: 20,
	}
}

// Policies of an order about partial fulfillment.
const (
	partialSplit    = "split"
	partialComplete = "complete_only"
	partialShip     = "ship_available"
)

// Route plans a request. It never fails: what cannot be assigned is listed as short, and the record says why. The request is
// answered as if by ship_available when sites_used is not empty, because then something has been accepted already. A
// splits_left of 0 without used sites counts as not set. Units of a need that is not positive are ignored. Safe for concurrent use.
func Route(req *messages.PlanRequest, v View, r *Rules, now int64) *messages.Plan {
	if r.Set != nil {
		return routeByRules(req, v, r, now)
	}
	run := runs.Get().(*run)
	defer run.done()
	run.begin(req, v, r, now)
	run.decide()
	return run.plan()
}

func (r *run) decide() {
	r.readNeeds()
	if len(r.needs) == 0 {
		r.out.decidedBy, r.out.exact = stepNothing, true
		return
	}
	r.readSites()
	r.readStock()
	r.makeItems()
	r.choose()
}

// choose runs the searches the policy asks for and leaves the chosen sites in run.best.
func (r *run) choose() {
	r.cap = r.req.SplitsLeft
	if r.cap <= 0 && len(r.req.SitesUsed) == 0 {
		r.cap = r.rules.SplitsMax
	}
	r.cap = max(r.cap, 0)
	switch r.policy {
	case partialComplete:
		r.cap = 1
		r.chooseAll(stepComplete)
	case partialShip:
		r.chooseMost()
	default:
		r.chooseAll(stepSplitsMax)
	}
}

// chooseAll covers every unit or assigns nothing.
func (r *run) chooseAll(refusal string) {
	if r.target < r.needed || r.scarce() {
		r.out.decidedBy, r.out.exact = stepStock, true
		return
	}
	r.out.exact = r.cover()
	if !r.best.found {
		r.out.decidedBy = refusal
		return
	}
	r.explainWinner()
}

// scarce reports that items which look covered one by one want more of a SKU together than there is.
func (r *run) scarce() bool {
	if !r.contended {
		return false
	}
	n := len(r.places)
	for k := range r.skus {
		var sum int64
		for _, units := range r.avail[k*n : k*n+n] {
			sum += units
		}
		if sum < r.skus[k].total {
			return true
		}
	}
	return false
}

// chooseMost covers as much as there is, and as much as the number of sites allows when that is less.
func (r *run) chooseMost() {
	if r.target == 0 {
		r.out.decidedBy, r.out.exact = stepStock, true
		return
	}
	r.out.exact = r.cover()
	if !r.best.found {
		exact := r.fill()
		r.out.exact = r.out.exact && exact
	}
	if !r.best.found {
		r.out.decidedBy = stepSplitsMax
		return
	}
	r.explainWinner()
}

func (r *run) explainWinner() {
	switch {
	case r.second.found:
		r.out.decidedBy = r.best.firstDifference(&r.second)
	case len(r.best.sites) == r.able:
		r.out.decidedBy = stepOnlyChoice
	case r.best.units < r.target:
		r.out.decidedBy = stepUnits
	default:
		r.out.decidedBy = stepSites
	}
}
