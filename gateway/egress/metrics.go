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
	retries  prometheus.Counter
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
		retries: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "orderyard_egress_lane_retries_total", Help: "Times one partition's journal or cursor could not be read, partitions that moved included.",
		}),
		counters: make(map[string]prometheus.Counter),
	}
	for family, events := range publicEvents {
		for _, event := range events {
			m.counters[family+event] = m.events.WithLabelValues(family, event)
		}
	}
	if r != nil {
		r.MustRegister(m.events, m.skipped, m.restarts, m.retries, &positions{e: e, desc: prometheus.NewDesc(
			"orderyard_egress_position", "Journal position up to which events are published, by partition served here.", []string{"partition"}, nil)})
	}
	return m
}

// positions tells of the partitions that are served at the moment; those that left this node leave its metrics.
type positions struct {
	e    *Egress
	desc *prometheus.Desc
}

// Describe implements prometheus.Collector.
func (p *positions) Describe(ch chan<- *prometheus.Desc) { ch <- p.desc }

// Collect implements prometheus.Collector.
func (p *positions) Collect(ch chan<- prometheus.Metric) {
	for _, l := range p.e.serving() {
		ch <- prometheus.MustNewConstMetric(p.desc, prometheus.GaugeValue, float64(l.acked.Load()), strconv.Itoa(l.partition))
	}
}

func (m *metrics) count(ev *outgoing) {
	if c := m.counters[ev.family+ev.event]; c != nil {
		c.Inc()
	}
}
