// Package ruleset reads the routing rules that operators write, and evaluates them: which route an order takes, which sites pass the
// filters of its rules and why the others do not, and how those that pass compare.
//
// # What it promises
//
//   - Every mistake at once: Parse answers all problems of a file in one run, each with line and column, inside expressions too. Nothing
//     is coerced and nothing is ignored. What it accepts compiles.
//   - Pure: evaluation reads its arguments and nothing else. No clock, no random, no log, no I/O, no goroutine; files are read by others.
//   - One answer: the same rules, facts and time give the same record byte for byte, in whatever order candidates are handed in. Scores
//     are int64 and saturate; expressions that reckon with fractions or clock times are refused.
//   - Bounded: everything in a file has a named limit (limits.go). An expression whose estimated cost is too high is refused when it is
//     read; one that loops is metered while it runs as well, because an order may be larger than the estimate assumed.
//   - Honest about what nobody knows: a fact that is missing makes a filter pass and a score decide nothing, and the record names both.
//     A condition of a route that needs it does not match. No default is made up.
//   - A version that means something: SHA-256 over the meaning of a set. Comments, notes and the order of keys do not change it.
//
// # What it leaves to others
//
// Which set is in force, its history and its publication. Whether a site is suspended, paused or excluded for the order: those are asked
// before any rule. Splitting an order over sites: Try judges candidates one by one and hands the optimizer what each may give (Caps,
// Blocked), what it would cost (Rescore) and how far it may go (Split). Doing what the actions say.
//
// # How it evaluates
//
// The kinds of filters and scores of the language are Go, switched over a number; CEL runs only where somebody wrote an expression, and
// once for the whole order when that expression does not ask about the site. Hence 100 sites cost about 25 µs by the default rules.
//
// Filters are asked in the order written, because the record names the first that says no, and because filters that keep stock back
// (safety_stock, weeks_of_supply, labels, keep_together) change what later ones count. Try asks as hard as it can: first all filters
// without back-ups, then back-ups one after the other, then without the soft filters of the lowest rank, and so on, until the order is
// served in full. Of the ways that serve equally much it keeps the hardest.
//
// # Two ideas that failed
//
// A score that some site has no value for cannot simply be skipped between the two sites compared: then A may beat B by one score, B beat
// C by another, and C beat A, and the winner depends on the order of comparison. So such a score decides nothing for anybody in that
// decision (missing: skip), or puts the site last in it (missing: last). Both are total orders.
//
// Declaring facts to CEL as variables named "order.total" is faster by a lookup, but then has(order.total) cannot be written and a
// misspelled field is reported as an unknown variable order. So order, site and lines are types with fields.
package ruleset
