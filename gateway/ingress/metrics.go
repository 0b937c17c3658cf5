package ingress

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"orderyard/messages"
)

// codeOK stands beside the contract's error codes in the label `code`.
const codeOK = "ok"

var allCodes = []string{
	codeOK, messages.CodeInvalid, messages.CodeNotFound, messages.CodeConflict, messages.CodeDeclined, messages.CodeRejected,
	messages.CodeHeld, messages.CodeTooLate, messages.CodeLimit, messages.CodeUnavailable, messages.CodeMoved, messages.CodeTimeout,
	messages.CodeInternal,
}

// metrics have labels from closed sets only: door, verb, code, outcome, reason. Never a SKU or an order; of channels the first few that were
// shed.
type metrics struct {
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	registry prometheus.Registerer // nil = none
	dead     *prometheus.CounterVec
	intake   *prometheus.CounterVec
	shed     *prometheus.CounterVec
	// shedByParty has few labels: see shedCounters.
	shedByParty *prometheus.CounterVec
}

func newMetrics(r prometheus.Registerer) *metrics {
	m := &metrics{
		registry: r,
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "orderyard_door_requests_total", Help: "Requests answered, by door, verb and code.",
		}, []string{"door", "verb", "code"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "orderyard_door_seconds", Help: "From a request's arrival to its answer.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}, []string{"door"}),
		dead: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "orderyard_dead_letters_total", Help: "What could not be understood: kept, or dropped by the rate limit or an error.",
		}, []string{"door", "outcome"}),
		intake: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "orderyard_intake_total", Help: "Intake messages: placed, dead, or returned to the queue.",
		}, []string{"outcome"}),
		shed: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "orderyard_door_shed_total", Help: "Requests refused at the door: overload (by what is measured), requests or bytes (fixed limits), stopping.",
		}, []string{"door", "reason"}),
		shedByParty: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "orderyard_party_shed_total", Help: "Requests refused by overload, by channel; a dot begins the parties that are no channel.",
		}, []string{"party"}),
	}
	if r != nil {
		r.MustRegister(m.requests, m.seconds, m.dead, m.intake, m.shed, m.shedByParty)
	}
	return m
}

// gate lets the registry ask for the limit and what is under way.
func (m *metrics) gate(g *gate) {
	if m.registry == nil {
		return
	}
	m.registry.MustRegister(
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "orderyard_admission_limit", Help: "Commands that may be under way before new work is refused.",
		}, g.limit),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "orderyard_admission_in_flight", Help: "Commands under way, of all doors.",
		}, g.underWay))
}

type doorMetrics struct {
	all  *metrics
	name string
	shed doorSheds
}

// doorSheds are a door's refusals by reason.
type doorSheds struct{ overload, requests, bytes, stopping prometheus.Counter }

// door also lets the registry ask how much is in flight, which costs the requests nothing.
func (m *metrics) door(name string, inFlight func() int64) doorMetrics {
	if m.registry != nil {
		m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "orderyard_door_in_flight", Help: "Commands waiting for their answer.", ConstLabels: prometheus.Labels{"door": name},
		}, func() float64 { return float64(inFlight()) }))
	}
	reason := func(r string) prometheus.Counter { return m.shed.WithLabelValues(name, r) }
	return doorMetrics{all: m, name: name, shed: doorSheds{
		overload: reason("overload"), requests: reason("requests"), bytes: reason("bytes"), stopping: reason("stopping"),
	}}
}

// codeCounters are an endpoint's counters, looked up once: the lookup costs more than the count.
type codeCounters struct {
	byCode  map[string]prometheus.Counter
	other   prometheus.Counter
	seconds prometheus.Observer
}

func (d doorMetrics) codes(verb string) *codeCounters {
	c := &codeCounters{byCode: make(map[string]prometheus.Counter, len(allCodes)), seconds: d.all.seconds.WithLabelValues(d.name)}
	for _, code := range allCodes {
		c.byCode[code] = d.all.requests.WithLabelValues(d.name, verb, code)
	}
	c.other = c.byCode[messages.CodeInternal]
	return c
}

func (c *codeCounters) count(code string, took time.Duration) {
	counter, ok := c.byCode[code]
	if !ok {
		counter = c.other
	}
	counter.Inc()
	c.seconds.Observe(took.Seconds())
}
