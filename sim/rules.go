package sim

import (
	"sync"

	"orderyard/routing"
	"orderyard/routing/ruleset"
)

// ruleTexts are rule sets of operators: beside assigning they hold orders, hand them to a person, put them into a queue and let them be cancelled after a
// day, and one rule leaves to the next what it cannot serve. What waits a day does so in the calm.
var ruleTexts = []string{`
name: care
routes:
  - name: all
    rules:
      - name: one site
        filters: [{stock: all}]
        scores: [distance]
        actions: {full: assign_one, partial: next_rule, none: next_rule}
      - name: several
        filters: [{stock: any}]
        scores: [workload, distance]
        actions:
          full: assign_many
          partial: [assign_many, {customer_care: desk}, {cancel_after_days: 1}]
          none: [{customer_care: desk}, {cancel_after_days: 1}]
fallback: all
`, `
name: wait
routes:
  - name: urgent
    when: order.priority > 1
    rules:
      - name: near
        filters: [{stock: line}]
        scores: [distance]
        actions: {full: assign_many, partial: [assign_many, next_rule], none: next_rule}
      - name: any
        filters: [{stock: any}]
        scores: [stock_balance]
        actions: {full: assign_many, partial: [assign_many, backorder, clear_cancel], none: {hold: out_of_stock}}
  - name: rest
    rules:
      - name: any
        filters: [{stock: any}]
        scores: [distance]
        actions:
          full: assign_many
          partial: [assign_many, backorder, {cancel_after_days: 1}]
          none: [{move_to_queue: late}, {cancel_after_days: 1}]
fallback: rest
`, `
name: hold
routes:
  - name: all
    rules:
      - name: any
        filters: [{stock: any}]
        scores: [distance]
        actions: {full: assign_one, partial: [assign_many, {hold: site_choice}], none: [{hold: site_choice}, {cancel_after_days: 1}]}
fallback: all
`}

// ruleSets are the built-in rules and those, compiled once for all worlds.
var ruleSets = sync.OnceValue(func() []*routing.Rules {
	list := []*routing.Rules{routing.DefaultRules()}
	for _, text := range ruleTexts {
		set, err := ruleset.Load("sim", []byte(text))
		if err != nil {
			panic(err)
		}
		rules := routing.DefaultRules()
		rules.Set, rules.Version = set, set.Version
		list = append(list, rules)
	}
	return list
})

// publish puts rules in force: each node routes by them a moment later, and who starts begins with them.
func (w *world) publish() {
	w.rules = ruleSets()[w.rng.IntN(len(ruleSets()))]
	w.note("rules %s", w.rules.Version)
	for _, n := range w.seats {
		if n != nil && !n.gone {
			rules := w.rules
			n.after(w.between(0, 1_000), func() { n.know.SetRules(rules) })
		}
	}
}
