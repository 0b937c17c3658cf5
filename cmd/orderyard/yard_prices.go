package main

import (
	"cmp"
	"context"

	"github.com/prometheus/client_golang/prometheus"

	"orderyard/actors"
	"orderyard/gateway/wire"
	"orderyard/messages"
	"orderyard/routing"
	"orderyard/routing/opportunity"
)

// openPricing begins to count orders and to compute or fetch shadow prices, when the configuration wants it.
func (y *yard) openPricing(context.Context) error {
	c := y.cfg.Routing.Opportunity
	if !c.Enabled {
		return nil
	}
	o := actors.PricingOptions{
		Self: y.cfg.Node.Name, Every: c.Every, Horizon: c.Horizon, HalfLife: c.HalfLife, Within: c.Within,
		SKUsMax: c.SKUsMax, FlowsMax: c.FlowsMax, RoundsMax: c.RoundsMax, PostalDigits: c.PostalDigits,
		Costs: opportunity.Costs{Parcel: int64(c.ParcelCost), Unit1000Km: int64(c.UnitCostPer1000Km)}, Log: y.log,
	}
	if m := y.member; m != nil {
		o.Self, o.Bus, o.Owner, o.Members = m.incarnation, m.bus, m.pricer, m.others
	}
	var err error
	if y.pricing, err = actors.StartPricing(y.node.Knowledge, o); err != nil {
		return err
	}
	y.registry.MustRegister(newPricingCollector(y.pricing, y.nowMs))
	return nil
}

// pricer is who computes shadow prices: the owner of partition 0, of whom there is one, and who seldom changes.
func (m *member) pricer() string {
	if owner := m.current().Owner(0); owner != nil {
		return owner.Incarnation
	}
	return ""
}

// prices tells what this node routes by.
func (y *yard) prices(q wire.PricesRequest) (wire.PricesAnswer, *messages.Failure) {
	if y.pricing == nil {
		return wire.PricesAnswer{}, messages.Fail(messages.CodeNotFound, "",
			"node %s makes no shadow prices: routing.opportunity.enabled is false", y.cfg.Node.Name)
	}
	rules := y.node.Rules().Set
	a := wire.PricesAnswer{Asked: rules != nil && rules.AsksPrices()}
	now, t := y.nowMs(), y.pricing.Table()
	if !t.Lasts(now) {
		return a, nil
	}
	h := t.Head()
	f := h.Figures
	a.Version, a.ComputedBy, a.At, a.AgeMs, a.Until = int64(h.Version), h.From, wire.Time(h.AtMs), max(now-h.AtMs, 0), wire.Time(h.AtMs+h.HorizonMs)
	a.Orders, a.SKUs, a.SKUsCut, a.Sites, a.Flows, a.FlowsCut = f.OrdersMilli/1000, f.Skus, f.SkusCut, f.Sites, f.Flows, f.FlowsCut
	a.Costs, a.Bound, a.Rounds, a.TookMs, a.Buckets = f.Costs, f.Bound, f.Rounds, f.TookUs/1000, t.Buckets()
	list, more := t.Entries(q.SKU, int(cmp.Or(q.Limit, wire.PricesDefault)))
	a.More = more
	for _, e := range list {
		atp := atpOf(y.node.View().Stock(e.SKU), e.Site)
		a.Prices = append(a.Prices, wire.PriceRow{
			SKU: e.SKU, Site: e.Site, Price: t.Price(e.SKU, e.Site, atp, now), Computed: e.Price, ATP: atp, Had: e.Had, Expected: (e.DemandMilli + 500) / 1000,
		})
	}
	return a, nil
}

func atpOf(rows []routing.SiteStock, site string) int64 {
	for _, s := range rows {
		if s.Site == site {
			return s.ATP
		}
	}
	return 0
}

// pricingCollector exports how old and how large the table is, and what was counted.
type pricingCollector struct{ numbers []runtimeNumber }

func newPricingCollector(p *actors.Pricing, nowMs func() int64) *pricingCollector {
	c := &pricingCollector{}
	add := func(kind prometheus.ValueType, name, help string, value func() float64) {
		c.numbers = append(c.numbers, runtimeNumber{prometheus.NewDesc("orderyard_"+name, help, nil, nil), kind, value})
	}
	table := func(name, help string, value func(*opportunity.Table) float64) {
		add(prometheus.GaugeValue, name, help, func() float64 {
			if t := p.Table(); t != nil {
				return value(t)
			}
			return 0
		})
	}
	table("prices_age_seconds", "Age of the shadow prices in use; 0 = none yet.", func(t *opportunity.Table) float64 {
		return max(float64(nowMs()-t.Head().AtMs)/1000, 0)
	})
	table("prices", "SKUs at sites with a shadow price above zero.", func(t *opportunity.Table) float64 { return float64(t.Buckets()) })
	table("prices_bound", "The least that serving the expected orders costs, minor units.", func(t *opportunity.Table) float64 {
		return float64(t.Head().Figures.Bound)
	})
	table("prices_seconds", "How long the prices in use took to compute.", func(t *opportunity.Table) float64 {
		return float64(t.Head().Figures.TookUs) / 1e6
	})
	counter := func(name, help string, value func() int64) {
		add(prometheus.CounterValue, name, help, func() float64 { return float64(value()) })
	}
	s := p.Stats()
	counter("prices_computed_total", "Tables of shadow prices computed here.", s.Computed.Load)
	counter("prices_failed_total", "Computations that failed.", s.Failed.Load)
	counter("prices_fetched_total", "Tables fetched from another node.", s.Fetched.Load)
	counter("demand_unheard_total", "Nodes that did not tell a computation what is ordered there.", s.Unheard.Load)
	add(prometheus.GaugeValue, "demand_flows", "Contents × regions of orders counted here.", func() float64 { flows, _, _, _ := p.Counted(); return float64(flows) })
	counter("demand_apart_total", "Flows taken apart into lines for want of room.", func() int64 { _, apart, _, _ := p.Counted(); return apart })
	counter("demand_lost_total", "Flows forgotten for want of room.", func() int64 { _, _, lost, _ := p.Counted(); return lost })
	counter("demand_missed_total", "Orders not counted because too many came at once.", func() int64 { _, _, _, missed := p.Counted(); return missed })
	return c
}

// Describe implements prometheus.Collector.
func (c *pricingCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, n := range c.numbers {
		ch <- n.desc
	}
}

// Collect implements prometheus.Collector.
func (c *pricingCollector) Collect(ch chan<- prometheus.Metric) {
	for _, n := range c.numbers {
		ch <- prometheus.MustNewConstMetric(n.desc, n.kind, n.value())
	}
}
