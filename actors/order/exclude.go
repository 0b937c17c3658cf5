package order

import (
	"slices"

	"orderyard/messages"
)

// exclude keeps the site out of later plans: for the order's life where the stock is not what the books say, for the cool-off where
// the site has no room. A carrier problem lets the same site try once more.
func (s *State) exclude(f *fulfillment, e *messages.OrderFulfillmentRejected, at int64) {
	if effectOf(e.Reason) != 0 {
		s.excludeSKUs(f, e)
		return
	}
	if e.Reason == reasonCarrier && !s.rejectedBefore(f, reasonCarrier) {
		return
	}
	s.coolOff(&messages.Exclusion{Site: f.site, UntilMs: at + coolOffMs, Reason: e.Reason}, at)
}

// rejectedBefore says whether f or an earlier FO of its site was rejected for this reason.
func (s *State) rejectedBefore(f *fulfillment, reason string) bool {
	for i := range s.fulfillments {
		if have := &s.fulfillments[i]; have.site == f.site && have.reason == reason {
			return true
		}
	}
	return false
}

// excludeSKUs keeps the site out for the rejected SKUs, for the order's life.
func (s *State) excludeSKUs(f *fulfillment, e *messages.OrderFulfillmentRejected) {
	var skus []string
	for i := range f.claims {
		if len(e.Lines) == 0 && f.claims[i].live() > 0 {
			skus = append(skus, s.order.Lines[f.claims[i].line].GetSku())
		}
	}
	for _, l := range e.Lines {
		if i := f.find(l.GetLine()); i >= 0 {
			skus = append(skus, s.order.Lines[f.claims[i].line].GetSku())
		}
	}
	slices.Sort(skus)
	skus = slices.Compact(skus)
	kept := make([]*messages.Exclusion, 0, len(s.exclusions)+len(skus))
	for _, have := range s.exclusions {
		if _, again := slices.BinarySearch(skus, have.Sku); have.Site != f.site || have.Sku == "" || !again {
			kept = append(kept, have)
		}
	}
	for _, sku := range skus {
		kept = append(kept, &messages.Exclusion{Site: f.site, Sku: sku, Reason: e.Reason})
	}
	s.exclusions = kept[max(len(kept)-exclusionsMax, 0):]
}

// coolOff keeps the site out for a while; a cool-off that lasts longer stays. Those that have passed are forgotten.
func (s *State) coolOff(x *messages.Exclusion, at int64) {
	kept := make([]*messages.Exclusion, 0, len(s.exclusions)+1)
	for _, have := range s.exclusions {
		same := have.Site == x.Site && have.Sku == ""
		if same && have.UntilMs >= x.UntilMs {
			return
		}
		if !same && (have.UntilMs == 0 || have.UntilMs > at) {
			kept = append(kept, have)
		}
	}
	kept = append(kept, x)
	s.exclusions = kept[max(len(kept)-exclusionsMax, 0):]
}

// know keeps what a bucket said of its stock; older words of it and words past their time are forgotten.
func (s *State) know(f *fulfillment, c *claim, atp, at int64) {
	sku := s.order.Lines[c.line].GetSku()
	kept := make([]*messages.KnownStock, 0, min(len(s.known)+1, knownMax))
	for _, have := range s.known {
		if have.AtMs+knownForMs > at && (have.Site != f.site || have.Sku != sku) {
			kept = append(kept, have)
		}
	}
	if len(kept) >= knownMax {
		kept = kept[1:]
	}
	s.known = append(kept, &messages.KnownStock{Site: f.site, Sku: sku, Atp: atp, AtMs: at})
}
