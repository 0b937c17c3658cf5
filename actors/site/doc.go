// Package site is the state machine of one fulfillment site: its calendar, its capacity, the fulfillment orders it works on,
// and the handshake with the orders that asked for them.
//
// It promises:
//
//   - Accepted work never exceeds the site's capacity (invariant I5). Capacity is counted in fulfillment orders: per_hour in the
//     site-local hour of acceptance, per_day on the site-local date the work will be done, open_max over work in the building.
//     Every count is folded from events, so a restart changes nothing; a count that is no longer known stands for "full".
//   - One fulfillment order ends at most once. What ended is remembered for a day, so that a late duplicate gets the right
//     answer instead of new work; an id that was cancelled before it was asked for is remembered the same way.
//   - Every change that the order did not cause by its own question is owed to the order as a notice until the order has taken
//     it, in order, one at a time per fulfillment order.
//   - The cost of a command does not grow with the number of open fulfillment orders (it is logarithmic), and Tasks costs what
//     is owed.
//
// It leaves to others: stock (the bucket), which site gets the work (routing), re-routing after a rejection (the order), command
// ids and versions (actors/entity). The package is pure: no clock, no I/O, no goroutine. Decide reads, Evolve writes.
//
// # Why the windows are written into the events
//
// Decide works out the hour and the working date with the time zone database and writes both into FulfillmentAccepted. Evolve
// only counts the words it is given. The first design derived them in Evolve from the event's time; then two nodes with
// different zone databases would have replayed one journal to two states.
//
// # Two choices about clocks
//
// When clocks go back, the repeated hour is one window: the wall says "01" for two hours and per_hour holds over both, which is
// stricter than needed and never wrong. A node whose clock is behind meets windows that were counted already, since the newest
// hoursKept and daysKept windows are kept rather than those younger than some age.
package site
