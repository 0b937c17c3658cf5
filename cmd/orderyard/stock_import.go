package main

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"orderyard/gateway/wire"
	"orderyard/messages"
)

const (
	// importBytesMax keeps a batch below what a NATS server takes by default, whatever the lengths of its SKUs.
	importBytesMax = 512 << 10
	// importErrorsShown bounds the error lines of one run: the rest is counted.
	importErrorsShown = 20
	// importRoundsMax bounds how often the rows of one batch that met a limit are sent again.
	importRoundsMax = 10
)

func newStockImportCmd(a *app) *cobra.Command {
	var asOf string
	var batch int
	cmd := &cobra.Command{
		Use:   "import FILE.csv|-",
		Short: "Set the stock of many buckets from a CSV file",
		Long: "Set the stock of many buckets from a CSV file with the columns sku, site, on_hand and, if wanted, as_of, safety_stock and\n" +
			"unsellable, named in its first row in any order. The file is streamed in batches; a wrong row is told with its line and stops\n" +
			"nothing. Importing a file again is harmless when its rows say when they were counted. Rows without as_of count as of now, or of\n" +
			"--as-of: to repeat an import of them whose end is unknown, give the same file, --batch and --command-id.",
		Example: "  orderyard stock import counts.csv",
		Args:    want("FILE.csv"),
		RunE: func(cmd *cobra.Command, args []string) error {
			at, err := a.parseMoment("as-of", asOf)
			if err != nil {
				return err
			}
			if batch < 1 || batch > wire.BatchMax {
				return usage("--batch must be from 1 to %d, is %d", wire.BatchMax, batch)
			}
			return a.importStock(cmd.Context(), args[0], at, batch)
		},
	}
	cmd.Flags().StringVar(&asOf, "as-of", "", "when it was counted, for rows without as_of (default: now)")
	cmd.Flags().IntVar(&batch, "batch", wire.BatchMax, "rows of one request")
	return a.withCommandID(cmd)
}

func (a *app) importStock(ctx context.Context, name string, asOf wire.Time, batch int) error {
	in, size := a.in, int64(-1)
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return fmt.Errorf("read the file: %w", err)
		}
		defer f.Close()
		if info, err := f.Stat(); err == nil {
			size = info.Size()
		}
		in = f
	}
	c, err := a.connect()
	if err != nil {
		return err
	}
	defer c.close()
	i := &stockImport{
		app: a, client: c, asOf: asOf, batchMax: batch, commandID: a.listCommandID(), buckets: make(map[bucketName]bool),
		bar: a.progressBar(size, "importing", progressbar.OptionShowBytes(true)), started: time.Now(),
	}
	if err := i.columns(csv.NewReader(in)); err != nil {
		return err
	}
	if err := i.run(ctx); err != nil {
		again := c.repeatably(i.commandID)
		if strings.Contains(err.Error(), again) {
			again = "" // it was said
		}
		return fmt.Errorf("%w; %s went in before that%s", err, plural(i.done, "row"), again)
	}
	return i.finish()
}

// progressBar is nil unless a person looks at the error stream.
func (a *app) progressBar(size int64, what string, options ...progressbar.Option) *progressbar.ProgressBar {
	if !a.progress || a.output == outputJSON {
		return nil
	}
	return progressbar.NewOptions64(size, append(options, progressbar.OptionSetWriter(a.err), progressbar.OptionSetDescription(what),
		progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish())...)
}

// row is one line of the file on its way.
type row struct {
	line    int
	request wire.SetStockRequest
}

type bucketName struct{ sku, site string }

// stockImport is one run over one file. It holds one batch in memory.
type stockImport struct {
	app       *app
	client    *client
	asOf      wire.Time
	batchMax  int
	commandID string // of which every batch makes its own
	bar       *progressbar.ProgressBar
	started   time.Time

	reader  *csv.Reader
	names   []string // of the columns, in the file's order
	batch   []row
	buckets map[bucketName]bool // of the batch, which names each once
	bytes   int                 // about, of the batch as JSON
	part    int                 // number of the batch

	done, ignored, failed int
	givenUp               bool // a row was not answered for good: it may have been counted, or may be yet
}

var importColumns = []string{"sku", "site", "on_hand", "as_of", "safety_stock", "unsellable"}

// columns reads the first row. A column nobody knows is a mistake: its figures would silently be lost.
func (i *stockImport) columns(r *csv.Reader) error {
	r.ReuseRecord = true
	i.reader = r
	header, err := r.Read()
	if errors.Is(err, io.EOF) {
		return errors.New("the file is empty; its first row names the columns " + strings.Join(importColumns, ", "))
	}
	if err != nil {
		return fmt.Errorf("read the first row: %w", err)
	}
	for _, name := range header {
		name = strings.ToLower(strings.TrimSpace(strings.TrimPrefix(name, "\ufeff")))
		if !slices.Contains(importColumns, name) {
			return fmt.Errorf("line 1: column %q is unknown; the columns are %s", name, strings.Join(importColumns, ", "))
		}
		if slices.Contains(i.names, name) {
			return fmt.Errorf("line 1: column %q stands there twice", name)
		}
		i.names = append(i.names, name)
	}
	for _, name := range importColumns[:3] {
		if !slices.Contains(i.names, name) {
			return fmt.Errorf("line 1: there is no column %q", name)
		}
	}
	return nil
}

func (i *stockImport) run(ctx context.Context) error {
	for {
		record, err := i.reader.Read()
		line, _ := i.reader.FieldPos(0)
		switch {
		case errors.Is(err, io.EOF):
			return i.send(ctx)
		case errors.Is(err, csv.ErrFieldCount):
			i.refuse(line, fmt.Errorf("has %d fields, the first row has %d", len(record), len(i.names)))
			continue
		case err != nil: // a quote that never closes: what follows cannot be told apart
			var parse *csv.ParseError
			if !errors.As(err, &parse) {
				return fmt.Errorf("read the file: %w", err)
			}
			i.refuse(parse.Line, parse.Err)
			continue
		}
		request, err := i.parse(record)
		if err != nil {
			i.refuse(line, err)
			continue
		}
		if err := i.add(ctx, row{line, request}); err != nil {
			return err
		}
	}
}

// add puts a row into the batch and hands the batch over when it is full. A bucket's second row begins another batch: when a row of a batch goes again
// it does so under the batch's id, which at a bucket stands for one content; and the bucket's rows take effect in the order of the file.
func (i *stockImport) add(ctx context.Context, r row) error {
	bucket := bucketName{r.request.SKU, r.request.Site}
	if i.buckets[bucket] {
		if err := i.send(ctx); err != nil {
			return err
		}
	}
	i.buckets[bucket] = true
	i.batch = append(i.batch, r)
	i.bytes += len(r.request.SKU)*6 + len(r.request.Site) + 160 // a byte of a SKU is at most \u00ff in JSON
	if len(i.batch) < i.batchMax && i.bytes < importBytesMax {
		return nil
	}
	return i.send(ctx)
}

// parse reads one record; empty optional fields are as if they were not there.
func (i *stockImport) parse(record []string) (wire.SetStockRequest, error) {
	request := wire.SetStockRequest{AsOf: i.asOf}
	for n, name := range i.names {
		value := strings.TrimSpace(record[n])
		var err error
		switch {
		case name == "sku":
			request.SKU, err = strings.Clone(value), messages.CheckSKU(value)
		case name == "site":
			request.Site, err = strings.Clone(value), messages.CheckToken(value)
		case value == "" && name != "on_hand":
		case name == "as_of":
			request.AsOf, err = parseCounted(value)
		default:
			var units int64
			if units, err = strconv.ParseInt(value, 10, 64); err != nil {
				err = fmt.Errorf("%q is no whole number", value)
			}
			*map[string]**int64{"on_hand": &request.OnHand, "safety_stock": &request.SafetyStock, "unsellable": &request.Unsellable}[name] = &units
		}
		if err != nil {
			return request, fmt.Errorf("%s: %w", name, err)
		}
	}
	return request, nil
}

// parseCounted reads a time within the bounds that the door has for it: the door refuses a list as a whole for one that is not.
func parseCounted(text string) (wire.Time, error) {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return 0, fmt.Errorf("%q is no time such as 2026-11-22T09:00:00Z", text)
	}
	at, err := wire.TimeOf(t)
	if err != nil {
		return 0, fmt.Errorf("%q %w", text, err)
	}
	return at, nil
}

// send hands the batch over. Rows that met a limit go again, alone, until the client's own patience ends, and under the same id: a row whose answer
// was late may have been counted, and counting it again would count as of now.
func (i *stockImport) send(ctx context.Context) error {
	commandID := partID(i.commandID, i.part)
	for round := 0; len(i.batch) > 0; round++ {
		requests := make([]wire.SetStockRequest, len(i.batch))
		for n, r := range i.batch {
			requests[n] = r.request
		}
		got, err := i.client.ask(ctx, messages.StockSubject("set"), commandID, requests)
		var told wire.StockListAnswer
		if got.body != nil {
			if err := wire.DecodeAnswer(got.body, &told); err != nil {
				return fmt.Errorf("read the answer: %w", err)
			}
		}
		if len(told.Results) != len(i.batch) {
			if err == nil {
				err = fmt.Errorf("the answer has %d results for %d rows", len(told.Results), len(i.batch))
			}
			return fmt.Errorf("lines %d and following: %w", i.batch[0].line, err)
		}
		i.batch = i.settle(told.Results, round+1 < importRoundsMax)
	}
	i.batch, i.bytes = i.batch[:0], 0
	i.part++
	clear(i.buckets)
	if i.bar != nil {
		_ = i.bar.Set64(i.reader.InputOffset())
	}
	return nil
}

// settle counts the answers and returns the rows that are worth sending again.
func (i *stockImport) settle(results []wire.StockAnswer, again bool) (rest []row) {
	for n, result := range results {
		failure := result.Failure()
		switch {
		case failure == nil:
			i.done++
			if result.Ignored {
				i.ignored++
			}
		case failure.GetRetryable() && again:
			rest = append(rest, i.batch[n])
		default:
			i.givenUp = i.givenUp || failure.GetRetryable()
			i.refuse(i.batch[n].line, failure)
		}
	}
	return rest
}

func (i *stockImport) refuse(line int, err error) {
	i.failed++
	if i.failed > importErrorsShown {
		return
	}
	if i.bar != nil {
		_ = i.bar.Clear()
	}
	fmt.Fprintf(i.app.err, "line %d: %s\n", line, clean(err.Error()))
}

func (i *stockImport) finish() error {
	if i.bar != nil {
		_ = i.bar.Finish()
	}
	if more := i.failed - importErrorsShown; more > 0 {
		fmt.Fprintf(i.app.err, "… and %s more\n", plural(more, "wrong row"))
	}
	seconds := time.Since(i.started).Seconds()
	var err error
	if i.app.output == outputJSON {
		err = i.app.println(fmt.Sprintf(`{"ok":%t,"rows":%d,"ignored":%d,"failed":%d}`, i.failed == 0, i.done, i.ignored, i.failed))
	} else {
		t := i.app.table("#ROWS SET", "#IGNORED", "#FAILED", "#SECONDS")
		t.add(i.done, i.ignored, i.failed, strconv.FormatFloat(seconds, 'f', 1, 64))
		err = t.print("")
	}
	if err != nil || i.failed == 0 {
		return err
	}
	hint := ""
	if i.givenUp {
		hint = i.client.repeatably(i.commandID)
	}
	return fmt.Errorf("%s failed%s", plural(i.failed, "row"), hint)
}
