package ruleset

// Number is a whole number that may be unknown. The zero Number is unknown, so whoever cannot tell leaves the field out and the
// filters and scores that would need it abstain.
type Number struct {
	Value int64
	Known bool
}

// Known is a number somebody told.
func Known(v int64) Number { return Number{v, true} }

// Order is what rules may ask about an order. Texts nobody gave are empty. It is read only while a Run uses it.
type Order struct {
	ID         string   // the order's id; breaks the last tie when orders are sorted
	Channel    string   // messages.PlanRequest.channel
	Queue      string   // the queue an action moved the order to; "" = none. From the order's state, once actions are joined
	Service    string   // PlanRequest.service: standard, express, same_day …
	Country    string   // PlanRequest.ship_to
	Region     string   // PlanRequest.ship_to; the state or province
	PostalCode string   // PlanRequest.ship_to
	Market     string   // the sales market of the channel, from the channel's document
	Currency   string   // messages.Order.currency
	Labels     []string // PlanRequest.labels
	Origin     []string // groups of the site the order was placed at (a store's till); from the site's document
	Priority   int64    // PlanRequest.priority; higher is more urgent
	Total      int64    // minor units: lines + shipping + tax − discount; from the order's document
	Lines      []Line   // PlanRequest.needs, in order of their line

	DeliverBy Number // Unix milliseconds, the end of the promised day; from PlanRequest.deliver_by
	ShipAfter Number // Unix milliseconds; not before that; from the order's document
	PlacedAt  Number // Unix milliseconds; PlanRequest.placed_at_ms

	Preselected  []string // sites the customer or a person chose; empty = free choice. From the order's document or a manual re-route
	RankedSites  []string // the customer's own sites, best first; from the customer's document
	ChannelSites []string // the channel's own sites, best first; from the channel's document

	Cause   string // why this run happens: placed, rejected, stock_arrived …; PlanRequest.cause
	Attempt int64  // 1 for the first run; PlanRequest.plan_no

	// Attributes are the order's own fields (messages.Order.attributes). A rule set sees those that it declares, when they hold a
	// string, an int64 or a bool as declared.
	Attributes map[string]any
}

// Line is one line of the order with the units still to be assigned.
type Line struct {
	ID        string
	Number    uint32 // LineNeed.line; rules do not see it
	SKU       string
	Quantity  int64    // units to assign; lines without any are ignored
	UnitPrice int64    // minor units; from the order's document
	UnitCost  Number   // minor units, what a unit cost to buy; from the product's document
	UnitGrams Number   // from the product's document
	Labels    []string // LineNeed.labels
	Group     string   // LineNeed.group; lines of one group may have to stay together
	Kit       string   // the kit this line is a component of; from the product's document
	Category  string   // from the product's document

	Attributes map[string]any // the line's own fields, as with Order
}

// Site is what rules may ask about a fulfillment site, whoever the order is for. It is shared and read only.
type Site struct {
	ID            string
	Name          string
	Type          string    // dc store 3pl vendor
	Country       string    // "" = serves every country
	Region        string    // from the site's document, once it has one
	PostalCode    string    // from the site's document; zones of rate cards by postal code need it
	Groups        []string  // from the site's document
	LabelsAllowed []string  // empty = every label
	Markets       []string  // markets the site may serve; empty = all. From the site's document, once it has them
	Carriers      []Carrier // who collects there; from the site's document, once it has them. Empty = nobody told
	CostPerOrder  int64     // minor units per fulfillment order
	CostPerUnit   int64     // minor units per unit
	Rank          int64     // configured order of sites for ties, lower first

	LoadPermille   Number // share of open_max in use, or what a forecast says it will be
	CapacityLeft   Number // fulfillment orders the site can still take in its present window; from per_hour, per_day, open_max
	OrdersInWindow Number // fulfillment orders accepted in the present throttle window
	OrderLimit     Number // most of them a window may have; unknown = no limit
	SameDayUntil   Number // Unix milliseconds: work accepted until then leaves today; 0 = nothing leaves today. From calendar and cut_off
	OpenUntil      Number // Unix milliseconds until when the site is open; 0 = closed now. From the calendar
	DispatchAt     Number // Unix milliseconds when work accepted now leaves the site; from the calendar

	Attributes map[string]any // the site's own fields, as with Order
}

// Carrier is one service a site can hand parcels to. An empty Service means all of the carrier's services.
type Carrier struct {
	Name, Service string
}

// Candidate is a site as one order sees it.
type Candidate struct {
	Site      *Site
	DistanceM Number  // meters to the destination; unknown when either is not on the map. From routing/geo
	Stock     []Stock // what the site has of each of Run.SKUs, in that order; too short = the rest is not carried
	Used      bool    // it has work of this order already: giving more is no further part
}

// Stock is what one site has of one SKU.
type Stock struct {
	ATP         int64  // units it can promise; from the availability view
	SoldMilli   Number // thousandths of a unit the site sells of it per week; from the demand series
	AgeDays     Number // days since the units arrived (inventory to life date); from receipts
	ExpiresDays Number // days until the earliest lot expires; from lots
	ShadowPrice Number // minor units a unit is worth there to orders yet to come (opportunity cost); from routing/shadow
}
