package routing

import (
	"orderyard/messages"
	"orderyard/routing/ruleset"
)

// readPrices tells the rules what the stock of every candidate is worth to orders yet to come.
func (r *ruled) readPrices(skus []string) {
	if r.prices == nil {
		return
	}
	for i := range r.candidates {
		for k := range r.candidates[i].Stock {
			if s := &r.candidates[i].Stock[k]; s.ATP > 0 {
				s.ShadowPrice = ruleset.Known(max(r.prices.Price(skus[k], r.candidates[i].Site.ID, s.ATP, r.now), 0))
			}
		}
	}
}

// namePrices writes down the prices that routing saw of a site, unless all are 0: most are.
func (r *ruled) namePrices(c *messages.Candidate, candidate int) {
	stock := r.candidates[candidate].Stock
	for k := range stock {
		if stock[k].ShadowPrice.Value != 0 {
			c.Prices = r.sawPrices(make([]int64, 0, len(stock)), candidate)
			return
		}
	}
}

// sawPrices adds the prices of a candidate, when there are any to be known.
func (r *ruled) sawPrices(numbers []int64, candidate int) []int64 {
	if r.prices == nil {
		return numbers
	}
	for _, s := range r.candidates[candidate].Stock {
		numbers = append(numbers, s.ShadowPrice.Value)
	}
	return numbers
}

// seenWidth is how many numbers a record keeps of a site that it does not name.
func seenWidth(skus int, priced bool) int {
	if priced {
		return 2*skus + seenNumbers
	}
	return skus + seenNumbers
}

// bucket is a SKU at a site.
type bucket struct{ sku, site string }

// recordedPrices are those of a decision record.
type recordedPrices map[bucket]int64

// Price implements Prices.
func (p recordedPrices) Price(sku, site string, _, _ int64) int64 { return p[bucket{sku, site}] }

func (p recordedPrices) note(skus []string, site string, prices []int64) {
	for k, price := range prices {
		if k < len(skus) && price != 0 {
			p[bucket{skus[k], site}] = price
		}
	}
}

// Prices implements Priced.
func (v *Recorded) Prices(int64) Prices {
	if v.prices == nil {
		return nil
	}
	return v.prices
}
