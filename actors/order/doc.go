// Package order is the state machine of one order: what was asked for, where each unit is, and what is still owed to buckets and
// sites so that every unit ends delivered or cancelled.
//
// It promises:
//
//   - Units are conserved by construction (I3). A line stores what is cancelled and what is back-ordered; a fulfillment order (FO)
//     stores the claims it holds. Everything else is open, because open is computed as the rest. There is no counter per state
//     that could drift: a unit's state follows from the one place it is in (tally.go).
//   - Decide reads, Evolve writes, Tasks tells what is owed. No clock, random, log or goroutine; the same events give the same
//     bytes (I10). Decide works on a fork of the state: it lets each event evolve there, so that what follows from an event
//     (asking the site, completing the order) is decided by looking at the state after it, in the same commit.
//   - Every answer may come late, twice or out of order. It counts only while the state still waits for it.
//   - An order that is not finished always owes a message, has a timer, waits for a SKU, or has a hold or an exception with an owner (I11).
//
// It leaves to others: stock (buckets), capacity and the work itself (sites), the choice of sites (routing), command ids, versions
// and retries (actors/entity), money beyond the check that the payment's amount fits the order.
//
// # When units may be planned again
//
// The danger is one unit in two places: planned at a new site while the old one still ships it, or claimed at two buckets. The rule:
//
//	A unit that was once claimed is open again only when (1) the site can no longer ship it and (2) its bucket has answered the cancel.
//
// For (1), an FO that no site was ever asked about is given back the moment it is dropped. OrderFulfillmentAsked is written in the
// commit before the question can leave, so "never asked" survives crashes. An asked FO is given back when the site answers
// CancelFulfillment (it remembers the cancel, so a question that arrives later is refused), or when its notice says that it rejected
// work it had taken or let it time out (it remembers that too, and FO ids are never reused). A "no" in answer to the question itself
// is not taken as enough: while sites forgot such refusals, one took a duplicate of the question a moment later, and the property test found
// two sites working on the same units. Sites remember them now; the FO is recalled all the same, so that neither side rests on the other. Until it is given back, an FO keeps its claims: if
// the site refuses (the goods are picked), the FO goes on with them, and a claim that was contested or had expired meanwhile is
// asserted with KeepClaim.
//
// For (2), every claim that a bucket may hold owes a CancelReservation until the bucket answers. The bucket remembers the cancel of
// an id it does not know, so a late ReserveStock under it takes nothing. Units whose claim is on its way back are shown as open but
// are not planned. The first design let them be planned at once, which saved a round trip on a re-route; then an order competed
// with its own returning claims, and saw shortages that were not there.
//
// A sweep (sweep.go) does not wait for the answer before it plans, for it has planned already: the units are in their new FO at once, and what
// waits for the old claims is the first question about the new ones. So there too no unit is claimed at two buckets.
//
// A bucket that declined holds nothing, so nothing is cancelled there. It does not remember: a late copy of the question may be granted, when stock has
// come in between. An answer that says so is the proof that the claim exists, and it is cancelled then (claimFreeing); where that is lost, the bucket asks a day
// later (inventory/check.go).
//
// # Three choices
//
// A plan that leaves units short never keeps half a plan by accident. Under `split` and `complete_only`, while no site has been asked,
// the kept claims are dropped, the whole order is planned once more from scratch, and only then on_short decides for the whole order.
//
// A partial rejection (short pick) reduces the claim's live units at once. The bucket holds one reservation for the claim, so the
// stock effect of the missing units is applied when the rest has been shipped or given back; until then they stay claimed, never sold.
//
// The elapsed brake counts the time that units are neither accepted nor back-ordered. It also pauses while a hold or an exception is
// open: then a person has the order already, and a night on hold must not read as a routing failure.
package order
