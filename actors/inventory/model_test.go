package inventory

import (
	"cmp"
	"math"
	"slices"

	"orderyard/messages"
)

// model is the bucket as one would explain it at a whiteboard: a list of claims, every sum computed by looking at all of them, no
// event, no limit. It is slow and short, and says what each command should lead to.
type model struct {
	now                         int64
	known                       bool
	onHand, safety, unsellable  int64
	countedAsOf                 int64
	moves                       []movement
	claims                      []*claim // in the order they were made
	received, counted, adjusted int64    // what came and went, for conservation
	shippedOut                  int64
}

type claim struct {
	id, order        string
	quantity, gone   int64 // reserved, shipped
	expires, promise int64
	priority         int32
	status           string // held allocated released expired shipped
	contested, told  bool
	rejected         bool
	firm, unchecked  bool // from the beginning; and its order has not been asked
	exits            int  // how often it left `held`
}

func (c *claim) live() bool  { return c.status == "held" || c.status == "allocated" }
func (c *claim) left() int64 { return c.quantity - c.gone }

func (m *model) find(id string) *claim {
	for i := len(m.claims) - 1; i >= 0; i-- {
		if m.claims[i].id == id {
			return m.claims[i] // the youngest incarnation
		}
	}
	return nil
}

func (m *model) sum(which func(*claim) bool) (n int64) {
	for _, c := range m.claims {
		if c.live() && which(c) {
			n += c.left()
		}
	}
	return n
}

func (m *model) reserved() int64 { return m.sum(func(c *claim) bool { return c.status == "held" }) }
func (m *model) allocated() int64 {
	return m.sum(func(c *claim) bool { return c.status == "allocated" })
}
func (m *model) contested() int64 { return m.sum(func(c *claim) bool { return c.contested }) }
func (m *model) available() int64 {
	return m.onHand - m.unsellable - m.safety - m.reserved() - m.allocated()
}
func (m *model) short() int64 {
	return max(0, m.reserved()+m.allocated()-(m.onHand-m.unsellable))
}

// expire ends what has run out, but for one claim.
func (m *model) expire(but *claim) {
	for _, c := range m.claims {
		if c != but && c.status == "held" && c.expires <= m.now {
			m.end(c, "expired")
		}
	}
}

func (m *model) end(c *claim, status string) {
	if c.status == "held" {
		c.exits++
	}
	c.status, c.contested = status, false
}

func (m *model) reserve(c *messages.ReserveStock) (code string) {
	old := m.find(c.ReservationId)
	m.expire(nil)
	own := int64(0)
	switch {
	case !m.known:
		return messages.CodeNotFound
	case old == nil:
	case old.status == "allocated" && c.Firm && old.order == c.OrderId && old.quantity == c.Quantity:
		return ""
	case old.status == "allocated", old.status == "shipped":
		return messages.CodeConflict
	case old.status == "released" && (old.quantity == 0 || old.order != ""):
		return messages.CodeTooLate
	case old.status == "held":
		if old.order != "" && old.order != c.OrderId {
			return messages.CodeConflict
		}
		own = old.quantity
	}
	safe := own > 0 && !old.contested && c.Quantity <= own
	if !safe && c.Quantity > m.available()+own {
		if old == nil && c.OrderId != "" { // a refusal is final to an order, and remembered
			m.claims = append(m.claims, &claim{id: c.ReservationId, status: "released"})
		}
		return messages.CodeDeclined
	}
	expires := m.now + cmp.Or(c.HoldForMs, HoldDefaultMs)
	if own > 0 {
		old.quantity, old.order, old.priority, old.promise = c.Quantity, c.OrderId, c.Priority, c.PromiseMs
		old.expires, old.contested = max(old.expires, expires), false
		if c.Firm {
			old.status = "allocated"
			old.exits++
		}
		return ""
	}
	fresh := &claim{
		id: c.ReservationId, order: c.OrderId, quantity: c.Quantity, priority: c.Priority, promise: c.PromiseMs, expires: expires, status: "held",
	}
	if c.Firm {
		fresh.status, fresh.firm, fresh.unchecked = "allocated", true, c.OrderId != ""
	}
	m.claims = append(m.claims, fresh)
	return ""
}

func (m *model) confirm(id string) string {
	m.expire(nil)
	c := m.find(id)
	switch {
	case c == nil:
		return messages.CodeNotFound
	case c.status == "held":
		c.status = "allocated"
		c.exits++
	case c.status == "released" || c.status == "expired":
		return messages.CodeTooLate
	}
	return ""
}

func (m *model) cancel(cmd *messages.CancelReservation) string {
	m.expire(nil)
	c := m.find(cmd.ReservationId)
	switch {
	case c == nil && !m.known:
		return ""
	case c == nil:
		m.claims = append(m.claims, &claim{id: cmd.ReservationId, status: "released"})
		return ""
	case c.status == "shipped":
		return messages.CodeTooLate
	}
	units := c.quantity
	if c.live() {
		units = c.left()
		m.end(c, "released")
	}
	if cmd.RejectedQuantity > 0 {
		units = min(units, cmd.RejectedQuantity)
	}
	if !c.rejected && c.quantity > 0 {
		m.reject(c, cmd.RejectReason, units, cmd.RejectedAtMs)
	}
	return ""
}

func (m *model) reject(c *claim, reason string, units, found int64) {
	dated := found > 0 && found <= m.now
	before := m.onHand
	sellable := m.onHand - m.unsellable
	if dated && found < m.countedAsOf && reason != "damaged" {
		return
	}
	switch reason {
	case "not_in_stock":
		left := int64(0)
		if dated {
			left = max(0, c.gone+m.movedSince(found))
		} else {
			found = m.now
		}
		m.onHand = min(m.onHand, m.unsellable+left)
		m.countedAsOf = max(m.countedAsOf, found)
	case "mismatch":
		if !dated {
			found = m.now
		}
		m.onHand -= min(units, sellable)
		m.moves = append(m.moves, movement{found, m.onHand - before})
	case "damaged":
		m.unsellable += min(units, sellable)
	default:
		return
	}
	m.adjusted += m.onHand - before
	c.rejected = true
	m.contest()
}

func (m *model) contest() {
	m.expire(nil)
	rest := make([]*claim, 0)
	for _, c := range slices.Backward(m.claims) { // newest first
		if c.live() && !c.contested {
			rest = append(rest, c)
		}
	}
	latest := func(c *claim) int64 {
		if c.promise == 0 {
			return math.MaxInt64
		}
		return c.promise
	}
	slices.SortStableFunc(rest, func(a, b *claim) int {
		return cmp.Or(cmp.Compare(a.priority, b.priority), cmp.Compare(latest(b), latest(a)))
	})
	for _, c := range rest {
		if m.short() <= m.contested() {
			return
		}
		if c.contested, c.told = true, false; c.order == "" {
			m.end(c, "released")
		}
	}
}

func (m *model) ship(cmd *messages.ShipStock) string {
	c := m.find(cmd.ReservationId)
	switch {
	case c == nil:
		return messages.CodeNotFound
	case c.status == "shipped", !c.live() && c.gone > 0 && cmd.Quantity <= c.gone:
		return ""
	case !c.live():
		return messages.CodeTooLate
	case cmd.Quantity > c.left():
		return messages.CodeInvalid
	}
	if c.contested {
		m.keepClaim(c)
	}
	if c.status == "held" {
		c.status = "allocated"
		c.exits++
	}
	units := cmp.Or(cmd.Quantity, c.left())
	c.gone += units
	m.onHand -= units
	m.shippedOut += units
	m.moves = append(m.moves, movement{m.now, -units})
	if c.left() == 0 {
		m.end(c, "shipped")
	}
	return ""
}

func (m *model) keep(id string) string {
	m.expire(nil)
	c := m.find(id)
	switch {
	case c == nil:
		return messages.CodeNotFound
	case c.status == "released" || c.status == "expired":
		return messages.CodeTooLate
	case c.contested:
		m.keepClaim(c)
	}
	return ""
}

func (m *model) keepClaim(c *claim) {
	m.expire(c)
	delta := min(c.left(), m.short())
	m.onHand += delta
	m.adjusted += delta
	c.contested = false
}

func (m *model) count(cmd *messages.SetStock) (code string, ignored bool) {
	asOf := cmd.AsOfMs
	if asOf == 0 || asOf > m.now {
		asOf = m.now
	}
	if cmd.HasUnsellable && cmd.Unsellable > cmd.OnHand {
		return messages.CodeInvalid, false
	}
	if m.known && asOf < m.countedAsOf {
		return "", true
	}
	onHand := max(0, cmd.OnHand+m.movedSince(asOf))
	m.known, m.countedAsOf = true, asOf
	m.counted += onHand - m.onHand
	m.onHand = onHand
	if cmd.HasSafetyStock {
		m.safety = cmd.SafetyStock
	}
	if cmd.HasUnsellable {
		m.unsellable = cmd.Unsellable
	}
	m.unsellable = min(m.unsellable, onHand)
	m.contest()
	return "", false
}

func (m *model) movedSince(asOf int64) (n int64) {
	for _, mv := range m.moves {
		if mv.at > asOf {
			n += mv.delta
		}
	}
	return n
}

func (m *model) adjust(delta int64) string {
	switch {
	case delta == 0:
		return messages.CodeInvalid
	case !m.known:
		return messages.CodeNotFound
	case m.onHand+delta < 0:
		return messages.CodeDeclined
	}
	m.onHand += delta
	m.adjusted += delta
	m.unsellable = min(m.unsellable, m.onHand)
	m.moves = append(m.moves, movement{m.now, delta})
	m.contest()
	return ""
}

func (m *model) receive(quantity int64) string {
	m.known = true
	m.onHand += quantity
	m.received += quantity
	m.moves = append(m.moves, movement{m.now, quantity})
	return ""
}

// check is the order's word about a claim that was firm from the beginning.
func (m *model) check(id string, exists bool) {
	c := m.find(id)
	if c == nil || !c.live() || !c.unchecked {
		return
	}
	if c.unchecked = false; !exists {
		m.end(c, "released")
	}
}

func (m *model) told(id string, exists bool) {
	c := m.find(id)
	if c == nil || !c.contested || c.told {
		return
	}
	c.told = true
	if !exists {
		m.end(c, "released")
	}
}
