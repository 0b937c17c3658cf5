package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"orderyard/gateway/api"
)

// openHTTP is the first thing a start does: a node that reads a large store lives and says what it waits for, and a supervisor that asks for life
// does not kill it half-way, again and again. Nothing of the yard is read by a probe until opened says that it is there.
func (y *yard) openHTTP(context.Context) error {
	y.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "orderyard_ready", Help: "1 when the node serves."}, func() float64 {
			if y.ready() == nil {
				return 1
			}
			return 0
		}))
	if y.cfg.HTTP.Addr == "" {
		return nil
	}
	o := api.Options{
		Addr: y.cfg.HTTP.Addr, Gatherer: y.registry, Ready: y.ready, Profile: y.cfg.HTTP.Profile, Log: y.log,
		Note: func() string { return refusedNote(y.node.Runtime().Refused()) }, // it is asked of a ready node only
	}
	if y.member != nil {
		o.Status = func() any {
			if y.starting.Load() != nil {
				return nil
			}
			return clusterDoor{y.member}.Status()
		}
	}
	var err error
	y.http, err = api.Start(o)
	return err
}

// doing is what the probe says from now on of a node that starts. what may be called at any time and must not wait; what it reads must be there.
func (y *yard) doing(what func() string) { y.starting.Store(&what) }

// opened ends the start: all that the doors and the probe read is there.
func (y *yard) opened(context.Context) error {
	y.starting.Store(nil)
	return nil
}

// ready says why the node does not serve.
func (y *yard) ready() error {
	if what := y.starting.Load(); what != nil {
		return errors.New((*what)())
	}
	if y.member != nil {
		return y.member.readiness()
	}
	r := y.node.Runtime()
	if !r.Ready() && len(r.Refused())+len(r.Partitions()) < y.cfg.Partitions {
		return errors.New("not every partition serves")
	}
	return nil
}

// refusedNote is for people; "" = none is refused.
func refusedNote(partitions []int) string {
	if len(partitions) == 0 {
		return ""
	}
	return fmt.Sprintf("partitions %v are refused: their journal is damaged", partitions)
}
