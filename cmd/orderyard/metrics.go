package main

import (
	"github.com/prometheus/client_golang/prometheus"

	"orderyard/actors"
)

// runtimeCollector exports the runtime's counters.
type runtimeCollector struct {
	node    *actors.Node
	numbers []runtimeNumber
	orders  *prometheus.Desc
}

type runtimeNumber struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func() float64
}

func newRuntimeCollector(node *actors.Node) *runtimeCollector {
	s := node.Runtime().Stats()
	c := &runtimeCollector{node: node, orders: prometheus.NewDesc("orderyard_orders", "Orders by headline status.", []string{"status"}, nil)}
	add := func(kind prometheus.ValueType, name, help string, value func() float64) {
		c.numbers = append(c.numbers, runtimeNumber{prometheus.NewDesc("orderyard_"+name, help, nil, nil), kind, value})
	}
	counter := func(name, help string, value func() int64) {
		add(prometheus.CounterValue, name, help, func() float64 { return float64(value()) })
	}
	counter("commits_total", "Appends to the journal.", s.Commits.Load)
	counter("commit_entries_total", "Decided commands in those appends.", s.Entries.Load)
	counter("commit_bytes_total", "Bytes in those appends.", s.Bytes.Load)
	add(prometheus.CounterValue, "commit_seconds_total", "Time spent in appends.", func() float64 { return float64(s.CommitNanos.Load()) / 1e9 })
	counter("shed_total", "Requests refused at a limit.", s.Shed.Load)
	counter("expired_total", "Requests dropped because their deadline had passed.", s.Expired.Load)
	counter("replayed_total", "Commands answered from memory.", s.Replayed.Load)
	counter("activations_total", "Entities brought to life.", s.Activations.Load)
	counter("passivations_total", "Entities turned into bytes.", s.Passivations.Load)
	counter("fenced_total", "Partitions lost to another owner.", s.Fenced.Load)
	counter("recoveries_total", "Partitions read back from the journal.", s.Recoveries.Load)
	counter("panics_total", "Entities that failed on a command.", s.Panics.Load)
	counter("checkpoints_total", "Checkpoints written.", s.Checkpoints.Load)
	add(prometheus.GaugeValue, "inflight", "Client requests inside the node.", func() float64 { return float64(node.Runtime().Inflight()) })
	add(prometheus.GaugeValue, "skus", "SKUs any site has ever carried.", func() float64 { return float64(node.View().SKUs()) })
	add(prometheus.GaugeValue, "ready", "1 when every partition serves.", func() float64 {
		if node.Ready() {
			return 1
		}
		return 0
	})
	return c
}

// Describe implements prometheus.Collector.
func (c *runtimeCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, n := range c.numbers {
		ch <- n.desc
	}
	ch <- c.orders
}

// Collect implements prometheus.Collector.
func (c *runtimeCollector) Collect(ch chan<- prometheus.Metric) {
	for _, n := range c.numbers {
		ch <- prometheus.MustNewConstMetric(n.desc, n.kind, n.value())
	}
	for status, n := range c.node.OrdersByStatus() {
		ch <- prometheus.MustNewConstMetric(c.orders, prometheus.GaugeValue, float64(n), status)
	}
}
