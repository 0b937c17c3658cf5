package ruleset

// AsksPrices says whether some rule has the score `opportunity`: only then shadow prices are read, and written into records.
func (c *Compiled) AsksPrices() bool { return c.prices }

func (s *Set) asksPrices() bool {
	r, _ := s.Pricing()
	return r != nil
}

// Pricing is the first rule with the score `opportunity` and, beside it, the score that says what a parcel costs: `cost`, or `margin`. Both
// may be nil.
func (s *Set) Pricing() (rule *Rule, cost *Score) {
	for i := range s.Routes {
		for j := range s.Routes[i].Rules {
			r := &s.Routes[i].Rules[j]
			if r.scoreOf(scoreOpportunity) == nil {
				continue
			}
			if cost = r.scoreOf(scoreCost); cost == nil {
				cost = r.scoreOf(scoreMargin)
			}
			return r, cost
		}
	}
	return nil, nil
}

func (r *Rule) scoreOf(kind string) *Score {
	for i := range r.Scores {
		if r.Scores[i].Kind == kind {
			return &r.Scores[i]
		}
	}
	return nil
}
