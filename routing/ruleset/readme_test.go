package ruleset

import (
	"os"
	"strings"
	"testing"
)

// TestReadme proves that the description of the language is whole: it names every kind of filter, score and action, every word of a sort,
// and every field that an expression may ask.
func TestReadme(t *testing.T) {
	text, err := os.ReadFile("../../configs/routing/README.md")
	if err != nil {
		t.Fatal(err)
	}
	var words []string
	words = append(words, filterKinds...)
	words = append(words, scoreKinds...)
	words = append(words, AssignOne, AssignMany, NextRule, MoveToQueue, Backorder, Hold, CustomerCare, CancelAfterDays, ClearCancel)
	words = append(words, sortShipBy, sortShipAfter, sortPlacedAt, sortService, sortPriority, FirstDifference, PenaltySum)
	words = append(words, holdReasons...)
	for _, word := range words {
		if !strings.Contains(string(text), "`"+word+"`") {
			t.Errorf("README.md does not name `%s`", word)
		}
	}
	for prefix, fields := range map[string][]field{"order.": orderFields, "l.": lineFields, "site.": siteFields} {
		for _, f := range fields {
			if !strings.Contains(string(text), prefix+f.name+"`") {
				t.Errorf("README.md does not name `%s%s`", prefix, f.name)
			}
		}
	}
}
