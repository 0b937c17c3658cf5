package ruleset

// Set is a strategy: routes in the order they are tried, of which the first that matches decides. Parse makes one; it is read only
// from then on. Its exported fields are its meaning: what differs in none of them decides alike and has the same hash.
type Set struct {
	Name       string     `json:"name"`
	Note       string     `json:"-"` // what is new in this version, for its history
	Attributes Attributes `json:"attributes"`
	Cards      []Card     `json:"cards"` // by name
	Routes     []Route    `json:"routes"`
	Fallback   string     `json:"fallback"` // the name of the last route, which takes every order

	source         string
	at, fallbackAt At
}

// Attributes are the own fields of orders, lines and sites that expressions may use, with their types.
type Attributes struct {
	Order []Attribute `json:"order"` // by name
	Line  []Attribute `json:"line"`
	Site  []Attribute `json:"site"`
}

// Attribute is one own field: text, number or truth.
type Attribute struct {
	Name string `json:"name"`
	Type string `json:"type"`
}

// Types of attributes.
const (
	typeText   = "text"
	typeNumber = "number"
	typeTruth  = "truth"
)

// Active says when something takes part. The zero Active is always on.
type Active struct {
	Disabled bool  `json:"disabled"`
	From     int64 `json:"from"` // Unix milliseconds, 0 = since ever
	To       int64 `json:"to"`   // Unix milliseconds, not included; 0 = for ever
}

// Route is a set of rules for the orders that its condition names.
type Route struct {
	Name  string `json:"name"`
	Note  string `json:"-"`
	When  Expr   `json:"when"` // empty for the fallback
	Sorts []Sort `json:"sorts"`
	Rules []Rule `json:"rules"`
	Active

	at, sortsAt At
}

// Sort is one step of the order in which waiting orders are routed. Nodes do not go by it yet: see NotYet.
type Sort struct {
	By    string   `json:"by"`    // ship_by ship_after placed_at service priority
	Words []string `json:"words"` // service: the services, first ones first
}

// Rule chooses sites, one way. The next rule is asked when its actions say so.
type Rule struct {
	Name       string   `json:"name"`
	Note       string   `json:"-"`
	Filters    []Filter `json:"filters"`
	Scores     []Score  `json:"scores"`
	Reducer    string   `json:"reducer"`
	PenaltyMax int64    `json:"penalty_max"`
	Split      Split    `json:"split"`
	Actions    Actions  `json:"actions"`
	Backups    Backups  `json:"backups"`
	Active

	at At
}

// Reducers make one order of sites out of several scores.
const (
	// FirstDifference compares score by score, in the order written; the first that differs decides.
	FirstDifference = "first_difference"
	// PenaltySum adds the scores by their weights; the least sum decides.
	PenaltySum = "penalty_sum"
)

// Filter is one hard test of a site. What its kind does with the other fields is written with the kind.
type Filter struct {
	Kind    string   `json:"kind"`
	Soft    bool     `json:"soft"`              // may be dropped
	Rank    int64    `json:"rank"`              // soft filters of the lowest rank are dropped first
	Words   []string `json:"words,omitempty"`   // group: any of; business_type, country, carrier, market: one of; stock, keep_together: a word
	All     []string `json:"all,omitempty"`     // group
	None    []string `json:"none,omitempty"`    // group
	Number  int64    `json:"number,omitempty"`  // the limit, in the unit of the kind
	Percent int64    `json:"percent,omitempty"` // safety_stock
	Labels  []Label  `json:"labels,omitempty"`  // labels, by label
	Expr    Expr     `json:"expr,omitzero"`

	at At
}

// Label says which sites may give lines that carry a label.
type Label struct {
	Label  string   `json:"label"`
	Sites  []string `json:"sites,omitempty"`
	Groups []string `json:"groups,omitempty"`
}

// Score is one preference between sites.
type Score struct {
	Kind    string   `json:"kind"`
	Weight  int64    `json:"weight"`            // penalty_sum: points
	Per     int64    `json:"per"`               // penalty_sum: for each so many of the score's unit
	Missing string   `json:"missing"`           // skip or last
	Card    string   `json:"card,omitempty"`    // cost, delivery_time, zone, co2, margin: the rate card
	Number  int64    `json:"number,omitempty"`  // distance, delivery_time, workload: what counts as equal; cost: split penalty
	By      string   `json:"by,omitempty"`      // turnover: supply, sold, age; ranked: list, order, channel
	Words   []string `json:"words,omitempty"`   // ranked: sites; prefer_type: types
	Label   string   `json:"label,omitempty"`   // ranked: only for orders with a line that carries it
	High    bool     `json:"high,omitempty"`    // expr: more is better
	Bare    bool     `json:"bare,omitempty"`    // cost, margin: without the site's own cost
	Promise bool     `json:"promise,omitempty"` // turnover, expiry: only among sites that keep the promise; needs Card
	Expr    Expr     `json:"expr,omitzero"`

	at At
}

// What happens to a score that some site has no value for.
const (
	missingSkip = "skip" // it decides nothing in this decision, for no site
	missingLast = "last" // that site comes last in it
)

// Split is what the optimizer may do with the units of an order.
type Split struct {
	SplitsMax    int64 `json:"splits_max"`     // sites an order may use
	PartValueMin int64 `json:"part_value_min"` // minor units that each part must be worth, and what is left too
	GroupsApart  bool  `json:"groups_apart"`   // lines of one group may come from several sites
	KitsApart    bool  `json:"kits_apart"`     // components of one kit may come from several sites
}

// Actions say what becomes of the units.
type Actions struct {
	Full    []Action `json:"full"`    // everything can be had in the way the action assigns
	Partial []Action `json:"partial"` // some of it
	None    []Action `json:"none"`    // nothing
}

// Action is one step of what becomes of the units.
type Action struct {
	Do   string `json:"do"`
	Word string `json:"word,omitempty"` // move_to_queue: the queue; hold: the reason; customer_care: the owner
	Days int64  `json:"days,omitempty"` // cancel_after_days

	at At
}

// What an action does.
const (
	AssignOne       = "assign_one"        // all from the best site
	AssignMany      = "assign_many"       // from as many sites as the split policy allows
	NextRule        = "next_rule"         // ask the next rule of the route for what is left
	MoveToQueue     = "move_to_queue"     // put what is left into a named queue
	Backorder       = "backorder"         // what is left waits for stock
	Hold            = "hold"              // stop the order with a hold
	CustomerCare    = "customer_care"     // open an exception for a person
	CancelAfterDays = "cancel_after_days" // cancel what is left after so many days
	ClearCancel     = "clear_cancel"      // forget an earlier cancel_after_days
)

// Backups are sites that are asked, in this order, only when the other sites cannot give everything.
type Backups struct {
	Sites    []string `json:"sites"`
	Domestic bool     `json:"domestic"` // those in the destination's country first

	at At
}

// Card is a carrier's price list. Amounts are minor units.
type Card struct {
	Name       string   `json:"name"`
	Zones      []Zone   `json:"zones"`
	Prefixes   []Prefix `json:"prefixes"`
	Grams      []int64  `json:"grams"` // weight breaks of the rows in Rates, ascending
	Rates      []Rate   `json:"rates"` // by service
	Service    string   `json:"service"`
	UnitGrams  int64    `json:"unit_grams"` // assumed weight of a unit nobody weighed; 0 = no assumption
	ParcelCO2  int64    `json:"parcel_co2"` // grams of CO2e of a parcel
	TonneKmCO2 int64    `json:"tonne_km_co2"`

	at At
}

// Zone is how far a parcel goes, in the carrier's words.
type Zone struct {
	Name  string `json:"name"`
	Km    int64  `json:"km"`    // up to so far; 0 = not by distance, or without end
	Open  bool   `json:"open"`  // without end
	Hours Number `json:"hours"` // from dispatch to delivery

	at At
}

// Prefix gives the zone for parcels between postal codes. Of several that fit, the longest destination counts, then the longest origin.
type Prefix struct {
	From string `json:"from"` // "US 802", "US", "" = anywhere
	To   string `json:"to"`
	Zone string `json:"zone"`
}

// Rate is what a service costs in each zone: by weight breaks, or a fixed amount and one per kilogram.
type Rate struct {
	Service string  `json:"service"`
	Rows    []Price `json:"rows"` // in the order of Card.Zones
}

// Price is one row of a rate.
type Price struct {
	Breaks []int64 `json:"breaks,omitempty"`
	Fixed  int64   `json:"fixed,omitempty"`
	PerKg  int64   `json:"per_kg,omitempty"`
}
