package ruleset

// Step says how one route answered an order.
type Step struct {
	Route string
	Said  string // one of the words below
	Why   string // with unknown and failed: what the condition needs, or how it failed
}

// What a route says.
const (
	SaidMatched  = "matched"
	SaidFallback = "fallback"  // it takes every order
	SaidNo       = "no"        // its condition is not met
	SaidDisabled = "disabled"  // it is switched off
	SaidEarly    = "not_yet"   // it begins later
	SaidLate     = "no_longer" // it has ended
	SaidUnknown  = "unknown"   // its condition needs a fact that nobody told
	SaidFailed   = "failed"    // its condition could not be evaluated, for instance within its cost limit
)

// Match is the route of an order and how it was found.
type Match struct {
	Route int    // position in Set.Routes
	Name  string // of the route
	Steps []Step // the routes asked, in order; the last one is the match
}

// Route finds the route of the order that the run has begun with. A route whose condition needs an unknown fact does not match.
func (r *Run) Route() Match {
	m := Match{Steps: make([]Step, 0, 4)}
	r.here = nil
	for i := range r.c.routes {
		route := &r.c.routes[i]
		step := Step{Route: route.Name, Said: route.Active.says(r.now)}
		if step.Said == SaidMatched {
			step.Said, step.Why = route.answer(r)
		}
		m.Steps = append(m.Steps, step)
		if step.Said == SaidMatched || step.Said == SaidFallback {
			m.Route, m.Name = i, route.Name
			return m
		}
	}
	panic("ruleset: set without a fallback") // Compile has refused it
}

// RouteFor is Begin and Route for callers that only want to know the route.
func (c *Compiled) RouteFor(o *Order, now int64) Match {
	var r Run
	r.Begin(c, o, now)
	return r.Route()
}

// says is SaidMatched while something takes part.
func (a Active) says(now int64) string {
	switch {
	case a.Disabled:
		return SaidDisabled
	case a.From > now:
		return SaidEarly
	case a.To != 0 && a.To <= now:
		return SaidLate
	}
	return SaidMatched
}

func (r *route) answer(run *Run) (said, why string) {
	if r.when == nil {
		return SaidFallback, ""
	}
	a := r.when.ask(run)
	switch {
	case a.unknown():
		return SaidUnknown, a.err.Error()
	case a.err != nil:
		return SaidFailed, a.err.Error()
	case a.number == 0:
		return SaidNo, ""
	}
	return SaidMatched, ""
}

// RulesOf lists the positions of the rules of a route that take part now, in the order they are tried. There is always one.
func (r *Run) RulesOf(route int) []int {
	var found []int
	for i := range r.c.routes[route].rules {
		if r.c.routes[route].rules[i].Active.says(r.now) == SaidMatched {
			found = append(found, i)
		}
	}
	return found
}
