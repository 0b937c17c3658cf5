package ruleset

// Kinds of filters, in the order of the language's description.
const (
	filterGroup         = "group"
	filterWithinKm      = "within_km"
	filterBusinessType  = "business_type"
	filterCountry       = "country"
	filterCarrier       = "carrier"
	filterStock         = "stock"
	filterSafetyStock   = "safety_stock"
	filterKeepTogether  = "keep_together"
	filterOrderLimit    = "order_limit"
	filterShipThreshold = "ship_threshold"
	filterWeeksOfSupply = "weeks_of_supply"
	filterPickCapacity  = "pick_capacity"
	filterSameDay       = "same_day"
	filterOpenNow       = "open_now"
	filterPreselected   = "preselected"
	filterLabels        = "labels"
	filterMarket        = "market"
	filterExpr          = "expr"
)

var filterKinds = []string{
	filterGroup, filterWithinKm, filterBusinessType, filterCountry, filterCarrier, filterStock, filterSafetyStock, filterKeepTogether,
	filterOrderLimit, filterShipThreshold, filterWeeksOfSupply, filterPickCapacity, filterSameDay, filterOpenNow, filterPreselected,
	filterLabels, filterMarket, filterExpr,
}

// Kinds of scores, in the order of the language's description.
const (
	scoreDistance     = "distance"
	scoreCost         = "cost"
	scoreDeliveryTime = "delivery_time"
	scoreStockBalance = "stock_balance"
	scoreWorkload     = "workload"
	scoreTurnover     = "turnover"
	scoreExpiry       = "expiry"
	scoreRanked       = "ranked"
	scoreZone         = "zone"
	scorePreferType   = "prefer_type"
	scoreFewestParts  = "fewest_parts"
	scoreCapacity     = "capacity"
	scoreCO2          = "co2"
	scoreMargin       = "margin"
	scoreOpportunity  = "opportunity"
	scoreExpr         = "expr"
)

var scoreKinds = []string{
	scoreDistance, scoreCost, scoreDeliveryTime, scoreStockBalance, scoreWorkload, scoreTurnover, scoreExpiry, scoreRanked, scoreZone,
	scorePreferType, scoreFewestParts, scoreCapacity, scoreCO2, scoreMargin, scoreOpportunity, scoreExpr,
}

// Positions in filterKinds and scoreKinds.
const (
	opGroup op = iota
	opWithinKm
	opBusinessType
	opCountry
	opCarrier
	opStock
	opSafetyStock
	opKeepTogether
	opOrderLimit
	opShipThreshold
	opWeeksOfSupply
	opPickCapacity
	opSameDay
	opOpenNow
	opPreselected
	opLabels
	opMarket
	opExpr
)

const (
	byDistance op = iota
	byCost
	byDeliveryTime
	byStockBalance
	byWorkload
	byTurnover
	byExpiry
	byRanked
	byZone
	byPreferType
	byFewestParts
	byCapacity
	byCO2
	byMargin
	byOpportunity
	byExpr
)

// Words that filters and scores take.
const (
	wordDestination = "destination" // country: the destination's
	wordAny         = "any"
	wordLine        = "line"
	wordAll         = "all"
	wordGroup       = "group"
	wordKit         = "kit"
	wordOrder       = "order"
	wordSite        = "site"
	wordSupply      = "supply"
	wordSold        = "sold"
	wordAge         = "age"
	wordList        = "list"
	wordChannel     = "channel"
)

var siteTypes = []string{"dc", "store", "3pl", "vendor"}

// holdReasons are those of docs/GLOSSARY.md §5 that a rule may set.
var holdReasons = []string{"out_of_stock", "site_choice", "unknown_delivery_date", "missing_customs_info", "other"}

// Sorts of waiting orders.
const (
	sortShipBy    = "ship_by"
	sortShipAfter = "ship_after"
	sortPlacedAt  = "placed_at"
	sortService   = "service"
	sortPriority  = "priority"
)
