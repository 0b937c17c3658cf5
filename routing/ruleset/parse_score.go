package ruleset

import "slices"

// bareScores are the kinds that may be written as a word alone.
var bareScores = []string{
	scoreDistance, scoreStockBalance, scoreWorkload, scoreTurnover, scoreExpiry, scoreFewestParts, scoreCapacity, scoreOpportunity,
}

// weightMax bounds weight and per, so that a product with any score saturates late.
const weightMax = 1 << 30

func (r *reader) score(v node, reducer string) Score {
	s := Score{Weight: 1, Per: 1, Missing: missingSkip, at: v.at()}
	if _, object := v.entries(); !object {
		if word, ok := v.raw(); ok && slices.Contains(scoreKinds, word) && !slices.Contains(bareScores, word) {
			v.complain("%s needs more than its name; write %s: …", word, word)
			return s
		}
		s.Kind = v.word(bareScores...)
		s.defaults()
		return s
	}
	known := append(slices.Clone(scoreKinds), "weight", "per", "missing", "prefer")
	f := v.object("a score", known...)
	s.Kind = f.oneKind("score", scoreKinds)
	if v, ok := f.get("missing"); ok {
		s.Missing = v.word(missingSkip, missingLast)
	}
	s.Weight = f.points("weight", reducer)
	s.Per = f.points("per", reducer)
	if v, ok := f.get("prefer"); ok {
		s.High = v.word("low", "high") == "high"
		if s.Kind != scoreExpr {
			v.complain("is for expr only; other scores know what is better")
		}
	}
	if s.Kind == "" {
		return s
	}
	s.defaults()
	if f.values[s.Kind].null() && slices.Contains(bareScores, s.Kind) {
		return s
	}
	if v, ok := f.get(s.Kind); ok {
		s.at = v.at()
		r.scoreValue(&s, v)
	}
	return s
}

// points reads a number that only a sum of penalties uses.
func (f fields) points(key, reducer string) int64 {
	v, ok := f.get(key)
	if !ok {
		return 1
	}
	if reducer != PenaltySum {
		v.complain("means nothing without reducer: penalty_sum")
	}
	return v.whole(1, weightMax)
}

func (s *Score) defaults() {
	if s.Kind == scoreTurnover {
		s.By = wordSupply
	}
}

// scoreKeys are what the kinds with parameters take.
var scoreKeys = map[string][]string{
	scoreDistance: {"equal_within_km"}, scoreCost: {"card", "handling", "split_penalty"}, scoreDeliveryTime: {"card", "equal_within_hours"},
	scoreWorkload: {"equal_within_permille"}, scoreTurnover: {"by", "promise_card"}, scoreExpiry: {"promise_card"},
	scoreZone: {"card"}, scoreCO2: {"card"}, scoreMargin: {"card", "handling"},
}

// scoreNumbers are those of them that are numbers, with their largest value.
var scoreNumbers = map[string]int64{
	"equal_within_km": kmMax, "equal_within_hours": 24 * 365, "equal_within_permille": 1000, "split_penalty": 1 << 40,
}

// scoreValue reads what the kind takes.
func (r *reader) scoreValue(s *Score, v node) {
	var f fields
	if keys := scoreKeys[s.Kind]; keys != nil {
		f = v.object("this score", keys...)
	}
	switch s.Kind {
	case scoreStockBalance, scoreFewestParts, scoreCapacity, scoreOpportunity:
		v.complain("takes nothing; write - %s", s.Kind)
	case scoreRanked:
		r.ranked(s, v)
	case scorePreferType:
		s.Words = v.words("types", siteTypes...)
	case scoreExpr:
		s.Expr = v.expr()
	case scoreTurnover:
		if v, ok := f.get("by"); ok {
			s.By = v.word(wordSupply, wordSold, wordAge)
		}
	case scoreDeliveryTime, scoreZone, scoreCO2:
		f.need("card")
	}
	for _, name := range f.names {
		if most := scoreNumbers[name]; most > 0 {
			if v, ok := f.get(name); ok {
				s.Number = v.whole(0, most)
			}
		}
	}
	if v, ok := f.get("card"); ok {
		s.Card = v.name()
	}
	if v, ok := f.get("promise_card"); ok {
		s.Card, s.Promise = v.name(), true
	}
	if v, ok := f.get("handling"); ok {
		s.Bare = !v.truth()
	}
	if s.Kind == scoreCost && s.Bare && s.Card == "" {
		v.complain("counts nothing: neither a card nor the sites' handling")
	}
}

func (r *reader) ranked(s *Score, v node) {
	f := v.object("ranked", "sites", "by", "label")
	s.By = wordList
	if v, ok := f.get("by"); ok {
		s.By = v.word(wordOrder, wordChannel)
	}
	if v, ok := f.get("sites"); ok {
		s.Words = v.texts("sites")
		if s.By != wordList {
			v.complain("stands beside by: %s; one list at a time", s.By)
		}
	} else if s.By == wordList && f.wellNamed() && len(f.names) == 0 {
		f.complain("needs sites, or by: order or channel")
	}
	if v, ok := f.get("label"); ok {
		s.Label = v.text(textBytesMax)
	}
}
