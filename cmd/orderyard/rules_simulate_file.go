package main

import (
	"cmp"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"slices"
	"time"

	"orderyard/actors"
	"orderyard/actors/site"
	"orderyard/configs"
	"orderyard/gateway/wire"
	"orderyard/messages"
	"orderyard/routing/geo"
	"orderyard/routing/whatif"
)

// pastOfFile reads an order history, sites and stock.
func (a *app) pastOfFile(f simulateFlags) (*past, error) {
	p := &past{yard: whatif.NewYard(), types: map[string]string{}, source: f.orders}
	if err := p.readHistory(f); err != nil {
		return nil, fmt.Errorf("%s: %w", f.orders, err)
	}
	docs, err := a.simulatedSites(f.sites)
	if err != nil {
		return nil, err
	}
	views := make([]*messages.SiteView, len(docs))
	for i, doc := range docs {
		views[i] = &messages.SiteView{Doc: doc, Version: 1}
	}
	p.addSites(views)
	if f.stock != "" {
		return p, p.readStock(f.stock)
	}
	return p, p.spreadStock(f, docs)
}

// readHistory reads the orders. Cancellations and rows that are no order lines are counted.
func (p *past) readHistory(f simulateFlags) error {
	file, err := openReplay(f.orders)
	if err != nil {
		return err
	}
	defer file.close()
	lines := 0
	g := newInvoices(file, func(rejection) { p.rejected++ })
	err = g.each(func(i *invoice) error {
		if i.cancel {
			p.cancelled++
			return nil
		}
		if f.limit > 0 && len(p.orders) == f.limit {
			return errEnough
		}
		if lines += len(i.lines); lines > simulateLinesMax {
			return fmt.Errorf("the orders have more than %d lines: take a part of them with --limit", simulateLinesMax)
		}
		document := i.document(f.seed, f.policy)
		o, errs := document.Message()
		if f := messages.InvalidAll(errs); f != nil {
			return fmt.Errorf("line %d: %w", i.line, f)
		}
		locate(o.ShipTo)
		if f.promise > 0 {
			o.DeliverBy = time.UnixMilli(o.PlacedAtMs).UTC().AddDate(0, 0, f.promise).Format(time.DateOnly)
		}
		p.orders = append(p.orders, o)
		return nil
	})
	whatif.Sort(p.orders)
	return err
}

// locate puts an address on the map, as a node does when it takes an order.
func locate(to *messages.Address) {
	if to == nil || to.HasPosition {
		return
	}
	if lat, lon, ok := geo.Locate(to.Country, to.PostalCode); ok {
		to.Lat, to.Lon, to.HasPosition = lat, lon, true
	}
}

// simulatedSites reads a file of sites; without one it takes those that come with the program.
func (a *app) simulatedSites(name string) ([]*messages.SiteDoc, error) {
	if name == "" {
		return demoNetwork()
	}
	data, err := a.read(name, siteFileMax)
	if err != nil {
		return nil, err
	}
	list, err := configs.Documents(name, data)
	if err != nil {
		return nil, err
	}
	docs := make([]*messages.SiteDoc, len(list))
	for i, d := range list {
		var doc wire.Site
		f := wire.Decode(d.JSON, &doc)
		if f == nil {
			docs[i], f = doc.Message(func(postal, country string) (float64, float64, bool) { return geo.Locate(country, postal) })
		}
		if f == nil {
			f = messages.InvalidAll(site.ValidateDoc(docs[i]))
		}
		if f != nil {
			return nil, fmt.Errorf("%s:%d: %w", name, d.Line, f)
		}
		docs[i].Status = cmp.Or(docs[i].Status, "online") // as a site that is described for the first time
	}
	return docs, nil
}

// addSites gives the yard sites in the form in which a node knows them.
func (p *past) addSites(views []*messages.SiteView) {
	known := actors.NewKnowledge(nil, func() int64 { return time.Now().UnixMilli() }, func(messages.Request) {})
	for _, v := range views {
		known.Observe(messages.SiteRef(v.Doc.Id), v, nil)
	}
	for _, id := range known.View().SiteIDs() {
		if s, ok := known.View().Site(id); ok {
			p.yard.AddSite(s)
			p.types[id] = s.Type
		}
	}
}

// readStock reads counts. Unlike an import it stops at the first wrong row: figures with a hole in the stock would look like an answer.
func (p *past) readStock(name string) error {
	file, err := os.Open(name)
	if err != nil {
		return fmt.Errorf("read the stock: %w", err)
	}
	defer file.Close()
	var columns stockImport
	if err := columns.columns(csv.NewReader(file)); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	for {
		record, err := columns.reader.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		line, _ := columns.reader.FieldPos(0)
		row, err := columns.parse(record)
		if err != nil {
			return fmt.Errorf("%s:%d: %w", name, line, err)
		}
		if _, known := p.types[row.Site]; !known {
			return fmt.Errorf("%s:%d: site %q is none of the sites; name the file that describes it with --sites", name, line, row.Site)
		}
		units := *row.OnHand
		for _, kept := range []*int64{row.SafetyStock, row.Unsellable} {
			if kept != nil {
				units -= *kept
			}
		}
		p.yard.AddStock(row.SKU, row.Site, units)
	}
}

// spreadStock sets what `orderyard replay` would set: the demand of each SKU by a factor, over a few centers and a few stores.
func (p *past) spreadStock(f simulateFlags, docs []*messages.SiteDoc) error {
	var centers, stores []string
	for _, d := range docs {
		switch {
		case d.Status != "online":
		case d.Type == "store":
			stores = append(stores, d.Id)
		default:
			centers = append(centers, d.Id)
		}
	}
	if len(centers)+len(stores) == 0 {
		return errors.New("no site is online, so there is nowhere to put stock")
	}
	demand := map[string]int64{}
	for _, o := range p.orders {
		for _, l := range o.Lines {
			demand[l.Sku] += l.Quantity
		}
	}
	for _, sku := range slices.Sorted(maps.Keys(demand)) {
		units := int64(math.Ceil(float64(demand[sku]) * f.factor))
		for _, part := range spread(f.seed, sku, min(units, wire.QuantityMax), centers, stores) {
			p.yard.AddStock(sku, part.site, part.units)
		}
	}
	return nil
}
