// Package routing chooses: given what an order needs, what the sites have and the rules, it answers with a plan (which site gives
// which units) and with the record of how it was decided.
//
// # What it promises
//
//   - Pure: Route reads its arguments and nothing else. No clock, no random, no log, no goroutine.
//   - One answer: the same request, view, rules and time give the same plan on every node, in whatever order lines, exclusions and
//     used sites are listed. Every comparison is between integers, and site ids break the last tie.
//   - Never more than there is: over all lines of a SKU together, a plan takes no more from a site than the view says it has.
//   - Complete: for every line, what is assigned plus what is short is what was needed.
//   - Honest: the record says whether the search was exact, which step decided, and why the other sites were not taken.
//   - Bounded: the exact search counts its steps and gives up at Rules.StepsMax for the best answer found so far.
//   - By operators' rules, repeatable: Decide makes a decision again from its record, and Want says what would have to be otherwise for a site to
//     win, by deciding again with the change.
//
// # What it leaves to others
//
// The view may be stale: only the bucket decides, and the order plans again with what a declining bucket said. Capacity, calendar
// and hours are the site's own decision. What becomes of the short units is the order's policy (on_short).
//
// # Two engines
//
// With Rules.Set, operators' rules decide (ruled*.go): package ruleset judges the sites one by one, package solve assigns the units at the best
// objective, and what both said becomes plan and record. Without a set the built-in engine decides, which the rest of this page is about. It is the
// second opinion that the first is tested against. See docs/adr/0011.
//
// # How the built-in engine chooses
//
// Lines of one group stay together at one site. Other lines of one SKU are one demand: it goes to one site when some site
// has all units of that SKU the order needs, and may be spread over several when none has. Labels speak of the product, so they
// bind the whole SKU.
//
// Plans compare by: units (more) › new sites (fewer) › distance (sum over the parcels, in steps of EqualWithinKm) › parcels ›
// cost › load › exact meters › site ids. A site that already holds work of this order is no new site.
//
// There are two searches (cover.go, fill.go). Cover asks for every unit that can be had: it deepens by the number of new sites,
// branches on the demand that has the fewest sites left, and never looks at the same set of sites twice because a site that was
// tried is forbidden for its later siblings. Fill runs when the number of sites is capped below what cover needs: most units
// first, by the sum of the largest gains as the bound. Both keep the two best plans, because the step that decided is where the
// winner and the runner-up first differ.
//
// The idea that failed: dropping dominated sites before the search. It is sound for the winner, but it drops the runner-up as
// well, so the record said "fewest_sites" where distance had decided; and demands spread over sites need the dominated ones.
package routing
