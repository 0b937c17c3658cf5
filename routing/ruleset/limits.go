package ruleset

// Limits of a rule set. They are far above what people write by hand, and low enough that the largest set allowed still compiles
// in well under a second and decides in well under the budget of a decision.
const (
	fileBytesMax   = 1 << 20 // a larger file is another file under the wrong name
	nameBytesMax   = 64      // of sets, routes, rules, cards, zones
	noteBytesMax   = 1000    // of notes
	textBytesMax   = 256     // of any other word: site ids, labels, prefixes
	exprBytesMax   = 2000    // of one expression; longer ones belong into several routes
	routesMax      = 200     // of a set
	rulesMax       = 50      // of a route
	filtersMax     = 32      // of a rule; abstentions are kept as bits
	scoresMax      = 16      // of a rule
	attributesMax  = 64      // of each kind
	cardsMax       = 50      // of a set
	zonesMax       = 64      // of a card
	prefixesMax    = 5000    // of a card
	breaksMax      = 64      // of a card
	servicesMax    = 32      // of a card
	listMax        = 1000    // of any other list
	backupsMax     = 32      // of a rule
	testsMax       = 1000    // of a test file
	regexSizeMax   = 500     // instructions of a compiled pattern
	nestingMax     = 64      // of an expression, brackets inside brackets; its parser recurses
	splitsMaxLimit = 100     // an order over a hundred parcels is a mistake
)

// Costs of expressions are CEL's: about one for each step, one tenth for each character compared. Measured, a step takes 10 to 50 ns
// without and about ten times that with the meter on.
const (
	// whenCostMax bounds a condition of a route, asked once for each order. One loop over all lines of the largest order fits, a loop
	// inside a loop does not.
	whenCostMax = 100_000
	// siteCostMax bounds an expression over a site, asked for each site of each order.
	siteCostMax = 20_000

	// Sizes the estimate assumes. What is larger in fact meets the limit when it is evaluated.
	linesAssumed = 500
	listAssumed  = 32
	textAssumed  = 64
)
