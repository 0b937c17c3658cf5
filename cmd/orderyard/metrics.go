package main

import (
	"github.com/prometheus/client_golang/prometheus"

	"orderyard/actors"
	"orderyard/cluster/link"
	"orderyard/gateway/rulebook"
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

func newRuntimeCollector(node *actors.Node, rules *rulebook.Live) *runtimeCollector {
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
	counter("outranked_total", "Partitions not taken over, because another had claimed them later.", s.Outranked.Load)
	counter("recoveries_total", "Partitions read back from the journal.", s.Recoveries.Load)
	counter("panics_total", "Commands, answers and sweeps that panicked.", s.Panics.Load)
	counter("checkpoints_total", "Checkpoints written.", s.Checkpoints.Load)
	add(prometheus.GaugeValue, "inflight", "Client requests inside the node.", func() float64 { return float64(node.Runtime().Inflight()) })
	add(prometheus.GaugeValue, "skus", "SKUs any site has ever carried.", func() float64 { return float64(node.View().SKUs()) })
	add(prometheus.GaugeValue, "partitions_refused", "Partitions that are this node's and are not served, because their journal is damaged.", func() float64 {
		return float64(len(node.Runtime().Refused()))
	})
	add(prometheus.GaugeValue, "rules_version", "Version of the published rules this node routes by, 0 = the built-in ones.", func() float64 {
		return float64(rules.Status().Activation.Number)
	})
	counter("rules_refused_total", "Times the rules in force could not be used here.", func() int64 { return rules.Status().Refusals })
	add(prometheus.GaugeValue, "rules_refused", "1 while the rules in force cannot be used here and older ones are.", func() float64 {
		if rules.Status().Refused != nil {
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

// memberCollector exports how the node stands in the cluster.
type memberCollector struct {
	m       *member
	numbers []runtimeNumber
}

func newMemberCollector(m *member) *memberCollector {
	c := &memberCollector{m: m}
	add := func(kind prometheus.ValueType, name, help string, value func() float64) {
		c.numbers = append(c.numbers, runtimeNumber{prometheus.NewDesc("orderyard_"+name, help, nil, nil), kind, value})
	}
	links := func(name, help string, value func(*link.LinkStats) uint64) {
		add(prometheus.CounterValue, "link_"+name, help, func() float64 { s := m.links.Stats(); return float64(value(&s)) })
	}
	links("local_total", "Requests for entities of this node.", func(s *link.LinkStats) uint64 { return s.Local })
	links("remote_total", "Requests for entities of other nodes, retries included.", func(s *link.LinkStats) uint64 { return s.Remote })
	links("unowned_total", "Requests that found no owner at that moment.", func(s *link.LinkStats) uint64 { return s.Unowned })
	links("batches_total", "Batches sent directly.", func(s *link.LinkStats) uint64 { return s.Batches })
	links("items_total", "Requests and replies in batches.", func(s *link.LinkStats) uint64 { return s.Items })
	links("bytes_total", "Bytes sent directly.", func(s *link.LinkStats) uint64 { return s.Bytes })
	links("detour_batches_total", "Batches sent over NATS because the direct way was broken.", func(s *link.LinkStats) uint64 { return s.DetourBatches })
	links("breaks_total", "Times the way to a peer broke.", func(s *link.LinkStats) uint64 { return s.Breaks })
	links("broken_calls_total", "Calls answered `moved` because their way broke.", func(s *link.LinkStats) uint64 { return s.Broken })
	links("retries_total", "Tries of clients' requests after the first.", func(s *link.LinkStats) uint64 { return s.Retries })
	links("gave_up_total", "Clients' requests that were tried until their deadline.", func(s *link.LinkStats) uint64 { return s.GaveUp })
	yes := func(b bool) float64 {
		if b {
			return 1
		}
		return 0
	}
	add(prometheus.GaugeValue, "lease", "1 while NATS has confirmed this node's session lately.", func() float64 { return yes(m.leased()) })
	add(prometheus.GaugeValue, "clock_off_seconds", "How far this machine's clock is ahead of the time the cluster goes by.", func() float64 {
		return m.clock.Off().Seconds()
	})
	add(prometheus.GaugeValue, "draining", "1 while partitions are being given away.", func() float64 { return yes(m.draining.Load()) })
	add(prometheus.GaugeValue, "members", "Nodes that live, as this one sees it.", func() float64 { return float64(len(m.current().Members)) })
	add(prometheus.GaugeValue, "partitions_serving", "Partitions this node serves.", func() float64 { return float64(len(m.y.node.Runtime().Partitions())) })
	return c
}

// Describe implements prometheus.Collector.
func (c *memberCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, n := range c.numbers {
		ch <- n.desc
	}
}

// Collect implements prometheus.Collector.
func (c *memberCollector) Collect(ch chan<- prometheus.Metric) {
	for _, n := range c.numbers {
		ch <- prometheus.MustNewConstMetric(n.desc, n.kind, n.value())
	}
}
