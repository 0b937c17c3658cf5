package peers

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// PostgresFlow is the way of an order as a textbook service keeps it in PostgreSQL: one transaction for each step, so that a crash between two
// steps loses none of them.
type PostgresFlow struct {
	conns []*pgx.Conn
	units int64 // of each bucket at first
}

// FlowOrder is one order for the flow.
type FlowOrder struct {
	ID    string
	Body  []byte // the document the channel sent
	Lines []FlowLine
}

// FlowLine is one of its lines.
type FlowLine struct {
	SKU      string
	Quantity int64
}

const flowSchema = `
CREATE TABLE flow_stock (site text, sku text, on_hand bigint NOT NULL, reserved bigint NOT NULL, allocated bigint NOT NULL,
	PRIMARY KEY (site, sku), CHECK (on_hand - reserved - allocated >= 0));
CREATE INDEX ON flow_stock (sku);
CREATE TABLE flow_orders (id text PRIMARY KEY, body jsonb NOT NULL, status text NOT NULL);
CREATE TABLE flow_lines (order_id text REFERENCES flow_orders, line int, sku text NOT NULL, quantity bigint NOT NULL, PRIMARY KEY (order_id, line));
CREATE TABLE flow_reservations (order_id text, line int, site text NOT NULL, sku text NOT NULL, quantity bigint NOT NULL, status text NOT NULL,
	PRIMARY KEY (order_id, line));
CREATE TABLE flow_fulfillments (id text PRIMARY KEY, order_id text NOT NULL, site text NOT NULL, status text NOT NULL);
`

// The statements of the steps. Several statements of one step are sent together: one round trip, one transaction, one sync.
const (
	flowSites = `SELECT site FROM flow_stock WHERE sku = ANY($1) AND on_hand - reserved - allocated >= $2 GROUP BY site HAVING count(*) = $3 ORDER BY site`

	flowReserve = `
WITH taken AS (UPDATE flow_stock SET reserved = reserved + $5 WHERE site = $3 AND sku = $4 AND on_hand - reserved - allocated >= $5 RETURNING sku)
INSERT INTO flow_reservations SELECT $1, $2, $3, sku, $5, 'reserved' FROM taken`

	flowAllocate = `UPDATE flow_stock SET reserved = reserved - $3, allocated = allocated + $3 WHERE site = $1 AND sku = $2`
)

// Flow makes the tables and opens a connection for every client.
func (p *Postgres) Flow(ctx context.Context, clients int, sites, skus []string, units int64) (*PostgresFlow, error) {
	f := &PostgresFlow{units: units}
	for range clients {
		c, err := p.Connect(ctx)
		if err != nil {
			f.Close()
			return nil, fmt.Errorf("connect to PostgreSQL: %w", err)
		}
		f.conns = append(f.conns, c)
	}
	_, err := f.conns[0].Exec(ctx, flowSchema)
	if err == nil {
		_, err = f.conns[0].Exec(ctx, "INSERT INTO flow_stock SELECT site, sku, $3, 0, 0 FROM unnest($1::text[]) site, unnest($2::text[]) sku", sites, skus, units)
	}
	if err == nil {
		_, err = f.conns[0].Exec(ctx, "VACUUM ANALYZE flow_stock") // the planner knows the table from the first order on
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("make PostgreSQL's tables: %w", err)
	}
	return f, nil
}

// Place takes one order all the way: placed, routed, every line reserved, handed over, accepted, allocated. choose is the routing; it gets the sites
// that can deliver everything.
func (f *PostgresFlow) Place(ctx context.Context, client int, o FlowOrder, choose func(sites []string) string) error {
	c := f.conns[client]
	if err := placeOrder(ctx, c, o); err != nil {
		return fmt.Errorf("place: %w", err)
	}
	site, err := route(ctx, c, o, choose)
	if err != nil {
		return fmt.Errorf("route: %w", err)
	}
	for i, line := range o.Lines { // a step for each bucket, as buckets may live in different stores
		done, err := c.Exec(ctx, flowReserve, o.ID, i, site, line.SKU, line.Quantity)
		if err == nil && done.RowsAffected() != 1 {
			err = errSoldOut
		}
		if err != nil {
			return fmt.Errorf("reserve: %w", err)
		}
	}
	if err := together(ctx, c, "hand over",
		statement{"INSERT INTO flow_fulfillments VALUES ($1, $1, $2, 'submitted')", []any{o.ID, site}},
		statement{"UPDATE flow_orders SET status = 'reserved' WHERE id = $1", []any{o.ID}}); err != nil {
		return err
	}
	if err := together(ctx, c, "accept",
		statement{"UPDATE flow_fulfillments SET status = 'accepted' WHERE id = $1", []any{o.ID}}); err != nil {
		return err
	}
	// Rows are locked in one order, else two orders for the same SKUs could wait for each other.
	lines := slices.SortedFunc(slices.Values(o.Lines), func(a, b FlowLine) int { return strings.Compare(a.SKU, b.SKU) })
	steps := make([]statement, 0, len(lines)+2)
	for _, line := range lines {
		steps = append(steps, statement{flowAllocate, []any{site, line.SKU, line.Quantity}})
	}
	steps = append(steps,
		statement{"UPDATE flow_reservations SET status = 'confirmed' WHERE order_id = $1", []any{o.ID}},
		statement{"UPDATE flow_orders SET status = 'allocated' WHERE id = $1", []any{o.ID}})
	return together(ctx, c, "allocate", steps...)
}

func placeOrder(ctx context.Context, c *pgx.Conn, o FlowOrder) error {
	steps := []statement{{"INSERT INTO flow_orders VALUES ($1, $2, 'placed')", []any{o.ID, o.Body}}}
	for i, line := range o.Lines {
		steps = append(steps, statement{"INSERT INTO flow_lines VALUES ($1, $2, $3, $4)", []any{o.ID, i, line.SKU, line.Quantity}})
	}
	return together(ctx, c, "insert", steps...)
}

func route(ctx context.Context, c *pgx.Conn, o FlowOrder, choose func([]string) string) (string, error) {
	skus, most := map[string]bool{}, int64(0)
	for _, line := range o.Lines {
		skus[line.SKU] = true
		most = max(most, line.Quantity)
	}
	wanted := make([]string, 0, len(skus))
	for sku := range skus {
		wanted = append(wanted, sku)
	}
	rows, err := c.Query(ctx, flowSites, wanted, most, len(wanted))
	if err != nil {
		return "", err
	}
	sites, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return "", err
	}
	if len(sites) == 0 {
		return "", errSoldOut
	}
	return choose(sites), nil
}

type statement struct {
	text string
	args []any
}

// together sends the statements of one step in one round trip; they are one transaction.
func together(ctx context.Context, c *pgx.Conn, step string, statements ...statement) error {
	var batch pgx.Batch
	for _, s := range statements {
		batch.Queue(s.text, s.args...)
	}
	results := c.SendBatch(ctx, &batch)
	for range statements {
		done, err := results.Exec()
		if err == nil && done.RowsAffected() == 0 {
			err = errors.New("no row")
		}
		if err != nil {
			return fmt.Errorf("%s: %w", step, errors.Join(err, results.Close()))
		}
	}
	return results.Close()
}

// Check says whether every order went all the way and exactly its units are allocated.
func (f *PostgresFlow) Check(ctx context.Context, orders int64) error {
	var allocated, done, ordered, open int64
	err := f.conns[0].QueryRow(ctx, `SELECT (SELECT sum(allocated) FROM flow_stock)::bigint, (SELECT count(*) FROM flow_orders WHERE status = 'allocated'),
		(SELECT coalesce(sum(quantity), 0) FROM flow_lines)::bigint, (SELECT sum(reserved) FROM flow_stock)::bigint`).Scan(&allocated, &done, &ordered, &open)
	if err != nil {
		return fmt.Errorf("check PostgreSQL: %w", err)
	}
	if done != orders || allocated != ordered || open != 0 {
		return fmt.Errorf("PostgreSQL: %d of %d orders are allocated, %d of %d units, %d still reserved: the figures are void", done, orders, allocated, ordered, open)
	}
	return nil
}

// Close ends the connections.
func (f *PostgresFlow) Close() {
	for _, c := range f.conns {
		_ = c.Close(context.Background()) // nothing is under way
	}
}
