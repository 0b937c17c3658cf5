// Package whatif answers what would have become of past orders under a rule set: it routes them one after the other on a copy of a yard,
// takes the units of each plan from that copy, and counts. Two rule sets over the same orders, compared figure by figure and order by
// order, say what a change would have done before anybody publishes it.
//
// # What it promises
//
//   - The live code: every order is asked as routing.Question asks it and planned by routing.Route at the moment it was placed.
//   - No side effects: a Yard is only read. Each Side takes units from a copy of its own, made SKU by SKU when the first unit goes.
//   - The same rules give no difference, in any figure and for any order: everything is an integer, in one order, without a clock.
//   - Conservation: what a side took and what it left is what the yard held, and what it assigned and what is short is what was ordered.
//   - One yardstick: cost, emissions and arrival of both sides are measured by the same rate card, whatever each side decides by.
//
// # What it leaves out
//
// Nothing that happens after a plan: no site rejects, nothing is routed again, nothing is received, returned or cancelled, and units that
// are short are not asked for a second time. So the figures compare rule sets; they do not foretell what a month would have looked like.
//
// Sites are as the yard has them, not as they were: status, limits and calendar of today. Pauses are taken away. What a site has accepted
// in its hour and on its day is counted anew from nothing, by UTC hours and by the site's own days; open work is not modeled, for nobody
// knows when it would have been finished, and counts as none.
//
// A Shadow does the same for orders that are being routed: it follows each live plan with its own. The caller reads orders and yards, shows the
// outcome, runs two sides at once, and decides how many live orders a shadow can follow.
package whatif
