package egress

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics have labels from closed sets: family, event, partition.
type metrics struct {
	events   *prometheus.CounterVec
	counters map[string]prometheus.Counter // by family + event, filled before publishing starts
	skipped  prometheus.Counter
	restarts prometheus.Counter
}

var publicEvents = map[string][]string{
	familyOrder: {
		"placed", "planned", "allocated", "released", "shipped", "delivered", "cancelled", "held", "exception", "completed", "rerouted",
	},
	familyFulfillment: {"requested", "accepted", "rejected", "picked", "packed", "shipped", "delivered", "cancelled"},
	familyStock:       {"changed", "out", "overcommitted"},
}

func newMetrics(r prometheus.Registerer, e *Egress) *metrics {
	m := &metrics{
		events: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "orderyard_egress_events_total", Help: "Public events sent, repeats included.",
		}, []string{"family", "event"}),
		skipped: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "orderyard_egress_skipped_total", Help: "Journal events that could not be told: unreadable or too large. Should be 0.",
		}),
		restarts: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "orderyard_egress_restarts_total", Help: "Sessions that ended by a failure.",
		}),
		counters: make(map[string]prometheus.Counter),
	}
	for family, events := range publicEvents {
		for _, event := range events {
			m.counters[family+event] = m.events.WithLabelValues(family, event)
		}
	}
	if r == nil {
		return m
	}
	r.MustRegister(m.events, m.skipped, m.restarts)
	for _, l := range e.lanes {
		r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "orderyard_egress_position", Help: "Journal position up to which events are published.",
			ConstLabels: prometheus.Labels{"partition": strconv.Itoa(l.partition)},
		}, func() float64 { return float64(l.acked.Load()) }))
	}
	return m
}

func (m *metrics) count(ev *outgoing) {
	if c := m.counters[ev.family+ev.event]; c != nil {
		c.Inc()
	}
}
