// Package benchmark measures routing decisions on a published problem: which center ships which items of an order, when every parcel
// costs a fixed amount, stock is scarce and is not replenished. The generator is that of Ma (2023), the costs are those of Jasin and
// Sinha (2015), the places are 99 US urban areas and ten fulfillment centers.
//
// # What it promises
//
//   - The same run everywhere: instances and sequences follow from one seed by a generator written out here. Every policy sees the
//     same sequences. Policies decide among integers.
//   - Honest ratios: cost is divided by bounds that hold for every policy, computed anew for each instance. Each step is checked: a
//     policy that gives what is not there, or holds back what must ship, ends the run with an error.
//   - Pure: the clock and the solver of linear programs are handed in. Without a clock there are no times, without a solver neither
//     the literature's bound (DLP) nor the two policies that follow its solution.
//
// It leaves to others: running it from a shell, and starting a solver.
//
// # The bounds
//
//   - DLP: the literature's deterministic linear program.
//   - L*: the Lagrange bound of package shadow. Orders are assigned whole, so it is about one percent above the DLP.
//   - L* shipping: the same for policies that obey the rule that an item with stock anywhere ships. What is unfulfilled is then what is
//     missing in total, which has a mean that needs no policy to compute (short.go), so being short is limited to that. On small it
//     hardly differs. On big-25 some six percent of the items are nowhere. L* drops a second item where the first must be dropped, the
//     rule ships it, so the bound under the rule is 19 % above L*: ratios to L* say little there, ratios to this do.
//   - clairvoyant: the bound for a policy under the rule that knows all orders beforehand, as a mean over the sequences.
//
// # The policies
//
// Those of the literature first, in the published form, then what was found to be better:
//
//   - λ of shipping: the prices of the problem under the rule.
//   - followed: between computations, a price follows what is used too fast or too slowly (shadow.Drift).
//   - followed, re-solved: prices anew whenever the orders left have shrunk by a fifth, 20 rounds from the last ones, and followed in
//     between.
//   - may drop, shown apart: the same without the rule.
//
// What was tried without success is listed in package shadow.
package benchmark
