package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"orderyard/configs"
	"orderyard/gateway/wire"
	"orderyard/messages"
)

const saleHeader = "invoice,sku,description,quantity,invoiced_at,unit_price,customer,country\n"

// writeHistory writes a history into a file, packed when its name ends in .gz.
func writeHistory(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if strings.HasSuffix(name, ".gz") {
		var packed bytes.Buffer
		w := gzip.NewWriter(&packed)
		if _, err := w.Write([]byte(text)); err != nil || w.Close() != nil {
			t.Fatal(err)
		}
		text = packed.String()
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestReplayRows proves what becomes of one row, by a row per kind of value and per kind of dirt: the reason names what is wrong first.
func TestReplayRows(t *testing.T) {
	for _, c := range []struct{ row, want string }{
		{`536365,85123A,LAMP,6,2010-12-01 08:26:00,2.55,17850,UK`, "536365 85123A 6 255 17850"},
		{`536365, 85123a ,"LAMP, ""WHITE""",6,12/1/2010 8:26,2.5,,UK`, "536365 85123a 6 250 "},
		{`A56/1,DCGS0003,,1,2010-12-01T08:26:00Z,0.005,1,UK`, "A56_1 DCGS0003 1 1 1"},
		{`C536379,22556,,-12,2010-12-01 09:41:00,0,14527,UK`, "C536379 22556 12 0 14527 cancel"},
		{`C536379,22556,,12,2010-12-01 09:41:00,1,14527,UK`, rejectPositive},
		{`536365,85123A,LAMP,-6,2010-12-01 08:26:00,2.55,17850,UK`, rejectNegative},
		{`536365,85123A,LAMP,0,2010-12-01 08:26:00,2.55,17850,UK`, rejectZeroQuantity},
		{`536365,85123A,LAMP,six,2010-12-01 08:26:00,2.55,17850,UK`, rejectQuantity},
		{`536365,85123A,LAMP,99999999999999999999,2010-12-01 08:26:00,2.55,17850,UK`, rejectQuantity},
		{`536365,85123A,LAMP,1000001,2010-12-01 08:26:00,2.55,17850,UK`, rejectTooMany},
		{`536365,85123A,LAMP,6,2010-12-01 08:26:00,0.0,17850,UK`, rejectZeroPrice},
		{`536365,85123A,LAMP,6,2010-12-01 08:26:00,-11062.06,17850,UK`, rejectNegativePrice},
		{`536365,85123A,LAMP,6,2010-12-01 08:26:00,1e3,17850,UK`, rejectPrice},
		{`536365,85123A,LAMP,6,2010-12-01 08:26:00,NaN,17850,UK`, rejectPrice},
		{`536365,85123A,LAMP,6,yesterday,2.55,17850,UK`, rejectDate},
		{`536365,85@23A,LAMP,6,2010-12-01 08:26:00,2.55,17850,UK`, rejectSKU},
		{`536365,,LAMP,6,2010-12-01 08:26:00,2.55,17850,UK`, rejectSKU},
		{"536365,\xff,LAMP,6,2010-12-01 08:26:00,2.55,17850,UK", rejectSKU},
		{`,85123A,LAMP,6,2010-12-01 08:26:00,2.55,17850,UK`, rejectInvoice},
		{`536365,POST,POSTAGE,3,2010-12-01 08:45:00,18.0,12583,France`, rejectAdjustment},
		{`536365,m,Manual,3,2010-12-01 08:45:00,18.0,12583,France`, rejectAdjustment},
		{`536365,gift_0001_20,,1,2010-12-01 08:45:00,18.0,12583,France`, rejectAdjustment},
		{`536365,85123A,LAMP`, rejectColumns},
		{`536365,85123A,"LAMP,6,2010-12-01 08:26:00,2.55,17850,UK`, rejectColumns},
		{`536365,85123A,` + strings.Repeat("x", replayRowMax) + `,6,2010-12-01 08:26:00,2.55,17850,UK`, rejectTooLong},
	} {
		// A good row behind the bad one: nothing may swallow it.
		file, err := openReplay(writeHistory(t, "h.csv", saleHeader+c.row+"\n1,Z9,,1,2010-12-01 08:26:00,1,,\n"))
		if err != nil {
			t.Fatal(err)
		}
		row, rejected, err := file.next()
		got := fmt.Sprintf("%s %s %d %d %s", row.invoice, row.sku, row.quantity, row.price, row.customer)
		if row.cancel {
			got += " cancel"
		}
		if rejected != nil {
			got = rejected.reason
		}
		after, _, errAfter := file.next()
		if err != nil || got != c.want || after.sku != "Z9" || errAfter != nil {
			t.Errorf("%.80s: %s, want %s (%v); then %q %v", c.row, got, c.want, err, after.sku, errAfter)
		}
		if _, _, err := file.next(); !errors.Is(err, io.EOF) {
			t.Errorf("no end: %v", err)
		}
		file.close()
	}
}

// TestReplayInvoices proves how rows become orders, on gzip: at most 500 lines each, a number that comes back is a further order.
func TestReplayInvoices(t *testing.T) {
	text := saleHeader
	for n := range 1001 {
		text += fmt.Sprintf("7,S%d,,1,2010-12-01 08:26:00,1,5,UK\n", n)
	}
	text += "8,A,,1,2010-12-01 08:26:00,1,5,UK\n7,A,,1,2010-12-01 08:26:00,1,5,UK\nC9,A,,-1,2010-12-01 08:26:00,1,5,UK\n"
	file, err := openReplay(writeHistory(t, "h.csv.gz", text))
	if err != nil {
		t.Fatal(err)
	}
	defer file.close()
	var got []string
	past := newHistory()
	err = newInvoices(file, func(rejection) {}).each(func(i *invoice) error {
		got = append(got, fmt.Sprintf("%s:%d", i.external(), len(i.lines)))
		if i.cancel {
			for _, o := range past.match(i) {
				got = append(got, "cancels "+o.id)
			}
			return nil
		}
		past.add(i, nil)
		_, errs := new(i.document(1, wire.Policy{Partial: "ship_available", OnShort: "backorder"})).Message()
		if len(errs) > 0 {
			t.Errorf("%s is no order: %v", i.external(), errs)
		}
		return nil
	})
	want := []string{"7:500", "7-2:500", "7-3:1", "8:1", "7-4:1", "C9:1", "cancels replay-7-4"}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v %v, want %v", got, err, want)
	}
}

// TestSpread proves that opening stock is complete, goes to the same few sites every time, and makes a SKU known even when there is none.
func TestSpread(t *testing.T) {
	centers, stores := []string{"D1", "D2", "D3", "D4", "D5", "D6", "D7", "D8"}, []string{"S1", "S2", "S3", "S4"}
	for units := range int64(50) {
		for _, sites := range [][2][]string{{centers, stores}, {centers, nil}, {nil, stores}} {
			shares, sum := spread(1, "22001", units, sites[0], sites[1]), int64(0)
			for _, s := range shares {
				sum += s.units
			}
			if sum != units || len(shares) == 0 || len(shares) > stockCenters+stockStores {
				t.Fatalf("%d units: %v", units, shares)
			}
			if again := spread(1, "22001", units, sites[0], sites[1]); !slices.Equal(again, shares) {
				t.Fatalf("%v, then %v", shares, again)
			}
		}
	}
}

func startReplayYard(t *testing.T) string {
	t.Helper()
	cfg := configs.Dev()
	cfg.Node.Data, cfg.NATS.Port, cfg.HTTP.Addr = t.TempDir(), 0, ""
	cfg.NATS.Sync = configs.SyncInterval // nothing here is about power loss
	y, err := openYard(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := y.close(); err != nil {
			t.Error(err)
		}
	})
	return y.server.ClientURL()
}

func runReplay(t *testing.T, want int, args ...string) (*replayReport, string) {
	t.Helper()
	var out, errs bytes.Buffer
	a := newApp(nil, &out, &errs, func(string) string { return "" })
	code := a.execute(t.Context(), append([]string{"replay"}, args...))
	if code != want {
		t.Fatalf("exit %d, want %d\n%s\n%s", code, want, out.String(), errs.String())
	}
	report := new(replayReport)
	if slices.Contains(args, outputJSON) {
		if err := json.Unmarshal(out.Bytes(), report); err != nil {
			t.Fatalf("%v\n%s", err, out.String())
		}
	}
	return report, out.String()
}

// TestReplay proves the whole way with the example and an invoice of 600 lines, against a node with an empty store: every number of
// the report, orders that end, no broken invariant; and that a second run adds nothing.
func TestReplay(t *testing.T) {
	server := startReplayYard(t)
	text, err := os.ReadFile("../../examples/history.csv")
	if err != nil {
		t.Fatal(err)
	}
	for n := range 600 {
		text = fmt.Appendf(text, "700050,40%03d,BUTTON %d,2,2026-01-06 10:00:00,0.10,5001,United States\n", n, n)
	}
	file := writeHistory(t, "history.csv.gz", string(text))
	rejects := filepath.Join(t.TempDir(), "rejects.csv")
	flags := []string{file, "--server", server, "--fleet", "--reject-permille", "0", "--stock-factor", "3", "--splits-max", "20", "-o", "json"}
	first, _ := runReplay(t, exitOK, append(flags, "--rejects", rejects)...)
	o := first.Orders
	if o.Sent != 42 || o.Placed != 42 || o.Repeated != 0 || len(o.Refused) > 0 || o.Lines < 600 || o.Allocated+o.Cancelled < 42 ||
		o.Moving != 0 || o.Unexplained != 0 || !first.Settled {
		t.Errorf("orders %+v, statuses %v", o, first.Statuses)
	}
	c := first.Cancellations
	if c.Invoices != 4 || c.Outcomes[cancelUnknown] != 2 || c.Outcomes[cancelDone]+c.Outcomes[cancelRequested]+c.Outcomes[cancelTooLate] != 2 {
		t.Errorf("cancellations %+v", c)
	}
	reasons := map[string]int64{}
	for _, r := range first.Rejected.Reasons {
		reasons[r.Reason] = r.Rows
	}
	if first.Rejected.Rows != 12 || reasons[rejectColumns] != 2 || reasons[rejectAdjustment] != 2 || reasons[rejectZeroPrice] != 1 || len(reasons) != 10 {
		t.Errorf("rejected %d: %v", first.Rejected.Rows, reasons)
	}
	if told, err := os.ReadFile(rejects); err != nil || bytes.Count(told, []byte("\n")) != 13 {
		t.Errorf("rejects file: %v\n%s", err, told)
	}
	if v := first.Verdict; len(v.Violations) > 0 || !v.Settled {
		t.Errorf("verdict %+v", v)
	}
	if first.OpeningStock.SKUs != 610 || first.OpeningStock.Units < 3*1200 || first.OpeningStock.Ignored != 0 {
		t.Errorf("opening stock %+v", first.OpeningStock)
	}
	again, _ := runReplay(t, exitOK, flags...)
	if a := again.Orders; a.Placed != 0 || a.Repeated != 42 || a.Allocated != o.Allocated || a.Cancelled != o.Cancelled {
		t.Errorf("the second run: %+v after %+v", a, o)
	}
	_, table := runReplay(t, exitOK, flags[:len(flags)-2]...)
	for _, want := range []string{"42 repeated an earlier answer", "adjustment code", "at rest after", "every invariant holds"} {
		if !strings.Contains(table, want) {
			t.Errorf("no %q in\n%s", want, table)
		}
	}
	conflict, _ := runReplay(t, exitOK, append(flags, "--seed", "2", "--no-stock", "--limit", "3")...)
	if conflict.Orders.Refused[messages.CodeConflict] != 3 || conflict.Orders.Placed != 0 {
		t.Errorf("another seed: %+v", conflict.Orders)
	}
}

// TestReplayShort proves that a factor below 1 is kept: what is not there is backordered, and the run comes to rest with that.
func TestReplayShort(t *testing.T) {
	text := saleHeader
	for n := range 10 {
		text += fmt.Sprintf("%d,A,,10,2010-12-01 08:26:00,1,%d,UK\n", n+1, n)
	}
	report, _ := runReplay(t, exitOK, writeHistory(t, "h.csv", text), "--server", startReplayYard(t), "--fleet", "--reject-permille", "0",
		"--stock-factor", "0.5", "--splits-max", "20", "-o", "json")
	if o := report.Orders; o.Sent != 10 || o.BackorderedUnits != 50 || o.Exceptions != 0 || len(report.Verdict.Violations) > 0 {
		t.Errorf("%+v %v", o, report.Statuses)
	}
}

// TestReplayRefusals proves that what cannot work is told before anything is sent.
func TestReplayRefusals(t *testing.T) {
	good := writeHistory(t, "h.csv", saleHeader+"1,A,,1,2010-12-01 08:26:00,1,,\n")
	cut := writeHistory(t, "cut.csv.gz", saleHeader+strings.Repeat("1,A,,1,2010-12-01 08:26:00,1,,\n", 1000))
	if err := os.Truncate(cut, 60); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args string
		code int
	}{
		{filepath.Join(t.TempDir(), "none.csv"), exitFailed},
		{writeHistory(t, "empty.csv", ""), exitFailed},
		{writeHistory(t, "h.csv", "a,b\n1,2\n"), exitFailed},
		{writeHistory(t, "h.csv", saleHeader), exitFailed},
		{cut, exitFailed},
		{good + " --inflight 0", exitUsage},
		{good + " --stock-factor -1", exitUsage},
		{good + " --rate NaN", exitUsage},
		{good + " --server nats://127.0.0.1:1", exitUnavailable},
	} {
		runReplay(t, c.code, strings.Fields(c.args)...)
	}
}

// TestReplayRealFile proves that the whole real history is understood, where somebody keeps a copy of it: every row is a line, a
// cancellation or has a reason, and every order passes the check of the door.
func TestReplayRealFile(t *testing.T) {
	root := os.Getenv("ORDERYARD_TEST_DATA")
	if root == "" {
		root = "../../../shared/data"
	}
	path := filepath.Join(root, "online-retail", "2010-12_2011-08.csv.gz")
	if _, err := os.Stat(path); err != nil {
		t.Skipf("the real order history is not here; ORDERYARD_TEST_DATA names its folder: %v", err)
	}
	file, err := openReplay(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.close()
	rejects := rejections{reasons: map[string]*rejectedRows{}}
	g := newInvoices(file, rejects.add)
	orders, cancels, matched, lines, seen, past := 0, 0, 0, 0, map[string]bool{}, newHistory()
	began := time.Now()
	err = g.each(func(i *invoice) error {
		lines += len(i.lines)
		if i.cancel {
			if cancels++; len(past.match(i)) > 0 {
				matched++
			}
			return nil
		}
		orders++
		past.add(i, nil)
		if seen[i.orderID()] {
			t.Errorf("order id %s twice", i.orderID())
		}
		seen[i.orderID()] = true
		if _, errs := new(i.document(1, wire.Policy{})).Message(); len(errs) > 0 {
			t.Errorf("invoice %s is no order: %v", i.external(), errs)
		}
		return nil
	})
	if err != nil || g.rows != 320_705 || lines+int(rejects.rows) != g.rows || orders < 12_000 || cancels < 2000 || matched*4 < cancels*3 || rejects.rows > 5000 {
		t.Errorf("%d rows: %d orders, %d lines, %d of %d cancellations matched, %d rejected: %v", g.rows, orders, lines, matched, cancels, rejects.rows, err)
	}
	t.Logf("%d orders and %d cancellations in %v", orders, cancels, time.Since(began).Round(time.Millisecond))
}
