package peers

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/jackc/pgx/v5"
)

// PostgresHot sells units of one SKU from one row, and units of many SKUs from a row each.
type PostgresHot struct {
	p     *Postgres
	conns []*pgx.Conn
	stock int64
	skus  []string
}

const hotSchema = `
CREATE TABLE stock (sku text PRIMARY KEY, available bigint NOT NULL CHECK (available >= 0));
CREATE TABLE reservations (id text PRIMARY KEY, sku text NOT NULL, quantity bigint NOT NULL, expires_at timestamptz NOT NULL);
`

// hotReserve is a whole reservation in one statement, and so in one transaction and one round trip: the conditional update finds a row only when
// enough is left, the insert follows it.
const hotReserve = `
WITH taken AS (UPDATE stock SET available = available - 1 WHERE sku = $1 AND available >= 1 RETURNING sku)
INSERT INTO reservations SELECT $2, sku, 1, now() + interval '1 day' FROM taken`

var errSoldOut = errors.New("PostgreSQL: nothing left")

// Hot makes the tables, with so many units of each SKU, and opens a connection for every client.
func (p *Postgres) Hot(ctx context.Context, clients int, stock int64, skus []string) (*PostgresHot, error) {
	h := &PostgresHot{p: p, stock: stock, skus: skus}
	for range clients {
		c, err := p.Connect(ctx)
		if err != nil {
			h.Close()
			return nil, fmt.Errorf("connect to PostgreSQL: %w", err)
		}
		h.conns = append(h.conns, c)
	}
	_, err := h.conns[0].Exec(ctx, hotSchema)
	if err == nil {
		_, err = h.conns[0].Exec(ctx, "INSERT INTO stock SELECT unnest($1::text[]), $2", skus, stock)
	}
	if err != nil {
		h.Close()
		return nil, fmt.Errorf("make PostgreSQL's tables: %w", err)
	}
	return h, nil
}

// Reserve takes one unit. Each client may be used by one goroutine at a time.
func (h *PostgresHot) Reserve(ctx context.Context, client int, sku, id string) error {
	done, err := h.conns[client].Exec(ctx, hotReserve, sku, id)
	if err == nil && done.RowsAffected() != 1 {
		err = errSoldOut
	}
	return err
}

// ReserveMany takes one unit n times over one connection, sent together and committed together: one sync for all of them.
func (h *PostgresHot) ReserveMany(ctx context.Context, client int, sku, id string, n int) error {
	var batch pgx.Batch
	for i := range n {
		batch.Queue(hotReserve, sku, id+"-"+strconv.Itoa(i))
	}
	results := h.conns[client].SendBatch(ctx, &batch)
	for range n {
		done, err := results.Exec()
		if err == nil && done.RowsAffected() != 1 {
			err = errSoldOut
		}
		if err != nil {
			return errors.Join(err, results.Close())
		}
	}
	return results.Close()
}

// Check compares what was sold and what is left with what was there; every granted reservation must be there.
func (h *PostgresHot) Check(ctx context.Context, granted int64) error {
	var left, sold int64
	err := h.conns[0].QueryRow(ctx, "SELECT (SELECT sum(available) FROM stock)::bigint, (SELECT coalesce(sum(quantity), 0) FROM reservations)::bigint").Scan(&left, &sold)
	if err != nil {
		return fmt.Errorf("check PostgreSQL: %w", err)
	}
	return checkSum("PostgreSQL", h.stock*int64(len(h.skus)), left, sold, granted)
}

// Reconnect opens every client's connection again after a crash.
func (h *PostgresHot) Reconnect(ctx context.Context) error {
	for i, c := range h.conns {
		_ = c.Close(ctx) // it is dead
		var err error
		if h.conns[i], err = h.p.Connect(ctx); err != nil {
			return err
		}
	}
	return nil
}

// FirstReserve waits for a server that is starting and returns when it has made one reservation durable.
func (h *PostgresHot) FirstReserve(ctx context.Context, sku, id string) error {
	c, err := h.p.Await(ctx)
	if err != nil {
		return err
	}
	defer c.Close(ctx)
	done, err := c.Exec(ctx, hotReserve, sku, id)
	if err == nil && done.RowsAffected() != 1 {
		err = errSoldOut
	}
	return err
}

// Kept counts how many of the reservations are there: after a crash all acknowledged ones must be.
func (h *PostgresHot) Kept(ctx context.Context) (int64, error) {
	var n int64
	err := h.conns[0].QueryRow(ctx, "SELECT count(*) FROM reservations").Scan(&n)
	return n, err
}

// Close ends the connections.
func (h *PostgresHot) Close() {
	for _, c := range h.conns {
		_ = c.Close(context.Background()) // nothing is under way
	}
}
