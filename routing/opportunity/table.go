package opportunity

import (
	"cmp"
	"errors"
	"math"
	"slices"
	"strings"

	"orderyard/messages"
	"orderyard/routing"
	"orderyard/routing/shadow"
)

// microMinor is how many micro-units of money (package shadow) make a minor unit.
const microMinor = shadow.Micro / 100

// Table is the shadow prices of one computation. It never changes.
type Table struct {
	head *messages.PriceTable // without rows
	rows []*messages.PriceRow // by SKU
	at   map[string]int32
}

var _ routing.Prices = (*Table)(nil)

// Head says who computed the table, when and how; without rows. It is read only.
func (t *Table) Head() *messages.PriceTable { return t.head }

// Buckets is how many SKUs at sites have a price above zero.
func (t *Table) Buckets() (n int64) {
	for _, row := range t.rows {
		n += int64(len(row.Sites))
	}
	return n
}

// Lasts says whether the table still knows prices: past its horizon nobody has thought of what is ordered now.
func (t *Table) Lasts(now int64) bool { return t != nil && now < t.head.AtMs+t.head.HorizonMs }

// Newer says whether the table is to take the place of another, which may be nil.
func (t *Table) Newer(o *Table) bool {
	return o == nil || cmp.Or(cmp.Compare(t.head.Version, o.head.Version), cmp.Compare(t.head.From, o.head.From)) > 0
}

// Price is what a unit of a SKU is worth at a site that has atp units now, in minor units: the computed price, corrected for units that went
// faster or slower since than the horizon allows. It implements routing.Prices.
func (t *Table) Price(sku, site string, atp, now int64) int64 {
	r, ok := t.at[sku]
	if !ok {
		return 0
	}
	row := t.rows[r]
	i, found := slices.BinarySearch(row.Sites, site)
	if !found {
		return 0
	}
	const most = 1 << 31
	d := shadow.Drift{Gain: t.head.Gain, Expected: max(t.head.HorizonMs/1000, 1)}
	d.Left = min(max(d.Expected-max(now-t.head.AtMs, 0)/1000, 0), d.Expected)
	return (d.Follow(row.Prices[i], min(row.Had[i], most), min(atp, most)) + microMinor/2) / microMinor
}

// Entry is one price.
type Entry struct {
	SKU, Site   string
	Price       int64 // minor units, as it was computed
	Had         int64 // units at that time
	DemandMilli int64 // thousandths of units of the SKU that all sites together are expected to be asked for within the horizon
}

// Entries lists the prices of a SKU, or of all when it is empty: the dearest first, at most so many. more says that there are others.
func (t *Table) Entries(sku string, most int) (list []Entry, more bool) {
	for _, row := range t.rows {
		if sku != "" && row.Sku != sku {
			continue
		}
		for i, site := range row.Sites {
			list = append(list, Entry{row.Sku, site, (row.Prices[i] + microMinor/2) / microMinor, row.Had[i], row.DemandMilli})
		}
	}
	slices.SortFunc(list, func(a, b Entry) int {
		return cmp.Or(cmp.Compare(b.Price, a.Price), strings.Compare(a.SKU, b.SKU), strings.Compare(a.Site, b.Site))
	})
	if len(list) > most {
		return list[:most], true
	}
	return list, false
}

// Parts sends the table in parts of about so many bytes, at least one.
func (t *Table) Parts(bytesMax int, send func(*messages.PriceTable) error) error {
	part := bare(t.head)
	for i, size := 0, 0; i < len(t.rows); i++ {
		part.Rows = append(part.Rows, t.rows[i])
		if size += t.rows[i].SizeVT(); size < bytesMax || i+1 == len(t.rows) {
			continue
		}
		if err := send(part); err != nil {
			return err
		}
		part, size = bare(t.head), 0
	}
	return send(part)
}

// bare is a head without rows.
func bare(h *messages.PriceTable) *messages.PriceTable {
	return &messages.PriceTable{From: h.From, Version: h.Version, AtMs: h.AtMs, HorizonMs: h.HorizonMs, Gain: h.Gain, Figures: h.Figures}
}

var errTable = errors.New("the parts of the price table do not fit together")

// Join makes a table of its parts.
func Join(parts []*messages.PriceTable) (*Table, error) {
	if len(parts) == 0 {
		return nil, errTable
	}
	head := bare(parts[0])
	var rows []*messages.PriceRow
	for _, p := range parts {
		if p.Version != head.Version || p.From != head.From {
			return nil, errTable
		}
		rows = append(rows, p.Rows...)
	}
	return newTable(head, rows)
}

// newTable checks what a table takes for granted.
func newTable(head *messages.PriceTable, rows []*messages.PriceRow) (*Table, error) {
	if head.Figures == nil {
		head.Figures = &messages.PriceFigures{}
	}
	head.Gain = min(max(head.Gain, 0), shadow.CostMax)
	head.HorizonMs = min(max(head.HorizonMs, 1), 1000*math.MaxInt32)
	slices.SortFunc(rows, func(a, b *messages.PriceRow) int { return strings.Compare(a.Sku, b.Sku) })
	t := &Table{head: head, rows: rows, at: make(map[string]int32, len(rows))}
	for i, row := range rows {
		if len(row.Sites) != len(row.Prices) || len(row.Sites) != len(row.Had) || !slices.IsSorted(row.Sites) {
			return nil, errTable
		}
		if slices.ContainsFunc(row.Had, func(units int64) bool { return units < 0 }) {
			return nil, errTable
		}
		t.at[row.Sku] = int32(i)
	}
	return t, nil
}
