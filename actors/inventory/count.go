package inventory

import (
	"slices"

	"orderyard/messages"
)

// count decides SetStock. What moved after the count was taken is added to it, so that a slow feed cannot bring units back that
// have left since.
func (s *State) count(c *messages.SetStock, now int64) ([]messages.Event, *messages.Reply, *messages.Failure) {
	if f := s.checkCounts(c); f != nil {
		return nil, nil, f
	}
	d := s.decide(now)
	asOf := c.AsOfMs
	if asOf == 0 || asOf > now {
		asOf = s.presentOf(now) // a count from the future comes from a clock that is ahead; believed, it would silence every later count
	}
	if s.known && (asOf < s.countedAsOf || asOf < s.movementsFrom) {
		return d.ignore(asOf)
	}
	onHand := min(max(0, c.OnHand+s.movedSince(asOf)), CountMax)
	safetyStock, unsellable := s.safetyStock, s.unsellable
	if c.HasSafetyStock {
		safetyStock = c.SafetyStock
	}
	if c.HasUnsellable {
		unsellable = c.Unsellable
	}
	unsellable = min(unsellable, onHand)
	d.cover(onHand, unsellable)
	counted := &messages.StockCounted{Sku: s.sku, Site: s.site, OnHand: onHand, AsOfMs: asOf, Delta: onHand - s.onHand}
	levels := &messages.StockLevelsSet{Sku: s.sku, Site: s.site, SafetyStock: safetyStock, Unsellable: unsellable}
	// Of the two, the one that may bring units goes first: between them nothing may look worse than at the end.
	switch {
	case safetyStock == s.safetyStock && unsellable == s.unsellable:
		d.add(counted)
	case counted.Delta >= 0:
		d.add(counted)
		d.add(levels)
	default:
		d.add(levels)
		d.add(counted)
	}
	d.onHand, d.safetyStock, d.unsellable = onHand, safetyStock, unsellable
	return d.events, d.answerWithBucket(s.incoming), nil
}

// Why a count is ignored, in the answer.
const (
	ignoredCounted = "counted_since"
	ignoredMoved   = "moved_since"
)

// ignore answers a count that is too old. When no younger one is known, only more has moved since than the log holds, it will hold more from now on:
// else the stock of a SKU that moves much could never be put right. The event is one that nodes of the version before can read.
func (d *decision) ignore(asOf int64) ([]messages.Event, *messages.Reply, *messages.Failure) {
	s, reason := d.s, ignoredCounted
	if asOf >= s.countedAsOf {
		reason = ignoredMoved
		if s.keeps() < MovementsWide {
			d.add(&messages.StockLevelsSet{Sku: s.sku, Site: s.site, SafetyStock: s.safetyStock, Unsellable: s.unsellable, MovementsKept: MovementsWide})
		}
	}
	reply := d.answerWithBucket(s.incoming)
	reply.GetStock().Ignored, reply.GetStock().IgnoredReason = true, reason
	return d.events, reply, nil
}

// presentOf is the moment of a count that is taken now: nothing that the bucket knows is younger, also when that was stamped by a clock that has been
// set back since, or by a former owner's that was ahead.
func (s *State) presentOf(now int64) int64 {
	present := max(now, s.countedAsOf, s.movementsFrom)
	for i := range s.movements {
		present = max(present, s.movements[i].at)
	}
	return present
}

func (s *State) checkCounts(c *messages.SetStock) *messages.Failure {
	if f := s.misaddressed(c.Sku, c.Site); f != nil {
		return f
	}
	if f := checkCount("on_hand", c.OnHand); f != nil {
		return f
	}
	if c.AsOfMs < 0 {
		return messages.Invalid("as_of", "must not be negative, is %d", c.AsOfMs)
	}
	if c.HasSafetyStock {
		if f := checkCount("safety_stock", c.SafetyStock); f != nil {
			return f
		}
	}
	if !c.HasUnsellable {
		return nil
	}
	if f := checkCount("unsellable", c.Unsellable); f != nil {
		return f
	}
	if c.Unsellable > c.OnHand {
		return messages.Invalid("unsellable", "%d units are unsellable, but only %d are on hand", c.Unsellable, c.OnHand)
	}
	return nil
}

// adjust decides AdjustStock: somebody found, lost or broke units and says why.
func (s *State) adjust(c *messages.AdjustStock, now int64) ([]messages.Event, *messages.Reply, *messages.Failure) {
	if f := s.misaddressed(c.Sku, c.Site); f != nil {
		return nil, nil, f
	}
	if c.Delta == 0 || c.Delta < -CountMax || c.Delta > CountMax {
		return nil, nil, messages.Invalid("delta", "must be between -%d and %d and not 0, is %d", int64(CountMax), int64(CountMax), c.Delta)
	}
	if c.Reason == "" {
		return nil, nil, messages.Invalid("reason", "must not be empty")
	}
	if f := checkText("reason", c.Reason); f != nil {
		return nil, nil, f
	}
	if !s.known {
		return nil, s.unknownBucket(), nil
	}
	onHand := s.onHand + c.Delta
	d := s.decide(now)
	switch {
	case onHand < 0:
		return nil, refuse(&d.counts, 0, messages.Fail(messages.CodeDeclined, "delta", "%d units are on hand, %d were to be taken away", s.onHand, -c.Delta)), nil
	case onHand > CountMax:
		return nil, refuse(&d.counts, 0, messages.Fail(messages.CodeDeclined, "delta", "on hand would exceed %d", int64(CountMax))), nil
	}
	unsellable := min(d.unsellable, onHand)
	d.cover(onHand, unsellable)
	if unsellable != d.unsellable {
		d.add(&messages.StockLevelsSet{Sku: s.sku, Site: s.site, SafetyStock: s.safetyStock, Unsellable: unsellable})
	}
	d.add(&messages.StockAdjusted{Sku: s.sku, Site: s.site, Delta: c.Delta, Reason: c.Reason})
	d.onHand, d.unsellable = onHand, unsellable
	return d.events, d.answerWithBucket(s.incoming), nil
}

// receive decides ReceiveStock. Claims that are contested stay so: their orders have been told and are on their way elsewhere.
func (s *State) receive(c *messages.ReceiveStock, now int64) ([]messages.Event, *messages.Reply, *messages.Failure) {
	if f := s.misaddressed(c.Sku, c.Site); f != nil {
		return nil, nil, f
	}
	if c.Quantity < 1 || c.Quantity > CountMax {
		return nil, nil, messages.Invalid("quantity", "must be between 1 and %d, is %d", int64(CountMax), c.Quantity)
	}
	if f := checkText("reference", c.Reference); f != nil {
		return nil, nil, f
	}
	d := s.decide(now)
	if s.onHand+c.Quantity > CountMax {
		return nil, refuse(&d.counts, 0, messages.Fail(messages.CodeDeclined, "quantity", "on hand would exceed %d", int64(CountMax))), nil
	}
	d.add(&messages.StockReceived{Sku: s.sku, Site: s.site, Quantity: c.Quantity, Reference: c.Reference})
	d.onHand += c.Quantity
	return d.events, d.answerWithBucket(arrived(s.incoming, c.Reference, c.Quantity)), nil
}

// answerWithBucket answers with the bucket as it will be.
func (d *decision) answerWithBucket(incoming []*messages.Incoming) *messages.Reply {
	a := newAnswer(&d.counts)
	a.stock.Bucket = d.s.view(&d.counts, incoming, d.s.sequence+uint64(len(d.events)))
	return &a.reply
}

// movedSince sums what entered and left the building after the given time.
func (s *State) movedSince(asOf int64) int64 {
	sum := int64(0)
	for i := range s.movements {
		if m := &s.movements[i]; m.at > asOf {
			sum += m.delta
		}
	}
	return sum
}

// moved notes a physical movement. Corrections of what we believed (counts, kept claims) are none: a count knows better.
func (s *State) moved(at, delta int64) {
	if n := len(s.movements); n > 0 && s.movements[n-1].at == at {
		s.movements[n-1].delta += delta
		return
	}
	if len(s.movements) >= s.keeps() {
		s.movementsFrom = max(s.movementsFrom, s.movements[0].at)
		s.movements = s.movements[1:]
	}
	s.movements = append(s.movements, movement{at: at, delta: delta})
}

// keeps is how many movements the log holds.
func (s *State) keeps() int { return max(MovementsMax, int(s.movementsKept)) }

// arrived gives the future supply after a delivery under a reference.
func arrived(incoming []*messages.Incoming, reference string, quantity int64) []*messages.Incoming {
	i := slices.IndexFunc(incoming, func(in *messages.Incoming) bool { return in.Reference == reference })
	if reference == "" || i < 0 {
		return incoming
	}
	rest := slices.Clone(incoming)
	if left := incoming[i].Quantity - quantity; left > 0 {
		rest[i] = &messages.Incoming{Quantity: left, AtMs: incoming[i].AtMs, Reference: reference}
		return rest
	}
	return slices.Delete(rest, i, i+1)
}
