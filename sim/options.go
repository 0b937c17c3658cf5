package sim

import (
	"fmt"
	"slices"
	"strings"

	"orderyard/actors/audit"
	"orderyard/messages"
)

// Options are the dials of one run; the zero value of each means the default.
type Options struct {
	Nodes      int     // default 3
	Partitions int     // default 4
	Orders     int     // default 12
	Days       float64 // over how much simulated time they come; default 12 seconds' worth
	// Faults are the kinds that strike; nil = all of them, see Faults.
	Faults []string
	// Bug plants a fault in the simulated nodes, to prove that the checks would find it; see bugs.go.
	Bug string
	// NoSweeps leaves orders where they were planned first.
	NoSweeps bool
	// Trace is called with every line of the history; nil = nobody looks.
	Trace func(line string)
}

// The kinds of faults.
const (
	faultCrash    = "crash"    // a node ends between any two steps and comes back under a new incarnation
	faultLeave    = "leave"    // a node drains, goes, and comes back
	faultPause    = "pause"    // a node stands still, and goes on with what it believed
	faultCut      = "cut"      // a node is cut off from NATS: registry, journal, bus and clients; or all of them are
	faultPeers    = "peers"    // a node is cut off from its peers, not from NATS
	faultMessages = "messages" // lost, late, doubled and reordered messages
	faultJournal  = "journal"  // appends that fail, come late or twice, or whose acknowledgement is lost; that of checkpoints and cuts, too
	faultDisk     = "disk"     // the journal takes nothing for a while
	faultClock    = "clock"    // wall clocks step by up to 30 s, and all of a machine's drift by up to 5 %
	faultEvents   = "events"   // the stream of public events refuses messages
	faultRefusals = "refusals" // sites refuse work
	faultBurst    = "burst"    // everybody wants one SKU at once
	faultCancels  = "cancels"  // customers change their minds
)

// Faults lists the kinds.
func Faults() []string {
	return []string{
		faultCrash, faultLeave, faultPause, faultCut, faultPeers, faultMessages, faultJournal, faultDisk, faultClock, faultEvents,
		faultRefusals, faultBurst, faultCancels,
	}
}

// ParseFaults reads a list of kinds: "all", "none", or words with commas between them.
func ParseFaults(text string) ([]string, error) {
	switch text {
	case "", "all":
		return nil, nil
	case "none":
		return []string{}, nil
	}
	words := strings.Split(text, ",")
	for _, word := range words {
		if !slices.Contains(Faults(), word) {
			return nil, fmt.Errorf("%q is no kind of fault: all, none or some of %s", word, strings.Join(Faults(), ","))
		}
	}
	return words, nil
}

const (
	busyMs   = 12_000 // the time in which orders come and faults strike
	dayMs    = 24 * 3600 * 1000
	warmUpMs = 1_500 // until the first order
)

func (o Options) withDefaults() Options {
	if o.Nodes == 0 {
		o.Nodes = 3
	}
	if o.Partitions == 0 {
		o.Partitions = 4
	}
	if o.Orders == 0 {
		o.Orders = 12
	}
	if o.Faults == nil {
		o.Faults = Faults()
	}
	return o
}

// busy is how long orders come.
func (o Options) busy() int64 {
	if o.Days > 0 {
		return max(int64(o.Days*dayMs), 2*warmUpMs)
	}
	return busyMs
}

// Result is what one seed gave, or several together.
type Result struct {
	Seed       uint64            `json:"seed,omitempty"`
	Hash       uint64            `json:"hash,omitempty"` // of the history: the same on every run of the seed
	Steps      int               `json:"steps"`
	Millis     int64             `json:"simulated_ms"`
	Orders     int               `json:"orders"`     // acknowledged
	Crashes    int               `json:"crashes"`    // of nodes
	Leaves     int               `json:"leaves"`     // drained and gone
	Pauses     int               `json:"pauses"`     // nodes that stood still
	Cuts       int               `json:"cuts"`       // from NATS or from peers
	Takeovers  int               `json:"takeovers"`  // of partitions
	Warm       int               `json:"warm"`       // of these: read back before
	Fenced     int               `json:"fenced"`     // owners that the journal refused
	Outranked  int               `json:"outranked"`  // that another's later claim kept from taking over
	LostAcks   int               `json:"lost_acks"`  // appends stored and not acknowledged
	Duplicates int               `json:"duplicates"` // messages delivered twice
	Reads      int               `json:"reads"`      // of buckets, answered and checked
	Events     int               `json:"events"`     // public ones, in the stream
	Repeats    int               `json:"repeats"`    // of them
	Decisions  int               `json:"decisions"`  // made a second time, to compare
	Learned    int               `json:"learned"`    // placements that asked other nodes about a SKU
	Reroutes   int               `json:"reroutes"`
	Swept      int               `json:"swept"`    // orders that a sweep moved
	Statuses   map[string]int    `json:"statuses"` // headline statuses at the end
	Happened   happened          `json:"-"`        // events in the journal, by their number
	Violations []audit.Violation `json:"violations"`
}

// happened counts events by their type.
type happened [messages.TypeCommandRefused + 1]int

// String tells how many types there were, for logs.
func (h happened) String() string {
	types := 0
	for _, n := range h {
		types += min(n, 1)
	}
	return fmt.Sprintf("%d types", types)
}

// Add counts another seed in. Of one alone, seed and hash stay.
func (r *Result) Add(other Result) {
	if r.Steps == 0 {
		r.Seed, r.Hash = other.Seed, other.Hash
	} else {
		r.Seed, r.Hash = 0, 0
	}
	for _, sum := range []struct{ to, from *int }{
		{&r.Steps, &other.Steps}, {&r.Orders, &other.Orders}, {&r.Crashes, &other.Crashes}, {&r.Leaves, &other.Leaves},
		{&r.Pauses, &other.Pauses}, {&r.Cuts, &other.Cuts}, {&r.Takeovers, &other.Takeovers}, {&r.Warm, &other.Warm},
		{&r.Fenced, &other.Fenced}, {&r.Outranked, &other.Outranked}, {&r.LostAcks, &other.LostAcks}, {&r.Duplicates, &other.Duplicates},
		{&r.Reads, &other.Reads}, {&r.Events, &other.Events}, {&r.Repeats, &other.Repeats}, {&r.Decisions, &other.Decisions},
		{&r.Reroutes, &other.Reroutes}, {&r.Swept, &other.Swept}, {&r.Learned, &other.Learned},
	} {
		*sum.to += *sum.from
	}
	r.Millis += other.Millis
	for i, n := range other.Happened {
		r.Happened[i] += n
	}
	if r.Statuses == nil {
		r.Statuses = map[string]int{}
	}
	for status, n := range other.Statuses {
		r.Statuses[status] += n
	}
	r.Violations = append(r.Violations, other.Violations...)
}
