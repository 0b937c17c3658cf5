package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unicode"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"golang.org/x/term"

	"orderyard/gateway/wire"
)

// isTerminal says whether a person looks at w.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// colored: only for a person who did not ask for plain text (no-color.org).
func (a *app) colored() bool {
	return a.terminal && a.getenv("NO_COLOR") == "" && a.getenv("TERM") != "dumb"
}

// rows are a table: aligned columns, no borders, so that it can be read, cut and grepped.
type rows struct {
	app    *app
	writer table.Writer
}

// columns beginning with '#' hold numbers and are aligned to the right.
func (a *app) table(columns ...string) *rows {
	w := table.NewWriter()
	style := table.StyleDefault
	style.Box = table.BoxStyle{PaddingRight: "  "}
	style.Options = table.OptionsNoBordersAndSeparators
	style.Format.Header = text.FormatDefault
	w.SetStyle(style)
	w.SuppressTrailingSpaces()
	header, configs := make(table.Row, len(columns)), make([]table.ColumnConfig, 0, len(columns))
	for i, name := range columns {
		right := strings.HasPrefix(name, "#")
		header[i] = strings.TrimPrefix(name, "#")
		if right {
			configs = append(configs, table.ColumnConfig{Number: i + 1, Align: text.AlignRight, AlignHeader: text.AlignRight})
		}
	}
	w.AppendHeader(header)
	w.SetColumnConfigs(configs)
	return &rows{a, w}
}

// add appends one row; texts from outside lose their control characters, so that no order can rewrite the terminal.
func (r *rows) add(cells ...any) {
	row := make(table.Row, len(cells))
	for i, cell := range cells {
		switch c := cell.(type) {
		case status:
			row[i] = r.app.paint(clean(string(c)))
		case wire.Time:
			row[i] = moment(c)
		case string:
			row[i] = orDash(clean(c))
		default:
			row[i] = cell
		}
	}
	r.writer.AppendRow(row)
}

// print writes the table, or one sentence when it has no rows.
func (r *rows) print(whenEmpty string) error {
	if r.writer.Length() == 0 {
		if whenEmpty == "" {
			return nil
		}
		return r.app.println(whenEmpty)
	}
	return r.app.println(r.writer.Render())
}

// section writes the table below another one, with an empty line between; nothing when it has no rows.
func (r *rows) section() error {
	if r.writer.Length() == 0 {
		return nil
	}
	return r.app.println("\n" + r.writer.Render())
}

// status is a state that gets a color.
type status string

var palette = map[string]text.Colors{
	"delivered": {text.FgGreen}, "completed": {text.FgGreen}, "shipped": {text.FgGreen}, "online": {text.FgGreen}, "ok": {text.FgGreen},
	"accepted": {text.FgGreen},
	"held":     {text.FgYellow}, "backordered": {text.FgYellow}, "suspended": {text.FgYellow}, "on_hold": {text.FgYellow},
	"timed_out": {text.FgYellow}, "submitted": {text.FgYellow},
	"exception": {text.FgRed}, "rejected": {text.FgRed}, "offline": {text.FgRed}, "failed": {text.FgRed},
	"cancelled": {text.Faint},
}

func (a *app) paint(word string) string {
	colors, ok := palette[word]
	if !ok || !a.colored() {
		return orDash(word)
	}
	return "\x1b[" + sequence(colors) + "m" + word + "\x1b[0m"
}

// sequence is written here because go-pretty decides about colors for the whole process, from its own look at standard output.
func sequence(colors text.Colors) string {
	codes := make([]string, len(colors))
	for i, c := range colors {
		codes[i] = strconv.Itoa(int(c))
	}
	return strings.Join(codes, ";")
}

// println writes to standard output. A reader that has seen enough (`| head`) is no failure.
func (a *app) println(line string) error {
	_, err := fmt.Fprintln(a.out, line)
	if errors.Is(err, syscall.EPIPE) {
		return nil
	}
	return err
}

// printJSON writes an answer as it came, indented: its fields are the contract's and stay as they are.
func (a *app) printJSON(body []byte) error {
	var indented bytes.Buffer
	if err := json.Indent(&indented, body, "", "  "); err != nil {
		return fmt.Errorf("the answer is not JSON: %w", err)
	}
	return a.println(indented.String())
}

// printValue writes one of this program's own documents.
func (a *app) printValue(v any) error {
	body, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("write JSON: %w", err)
	}
	return a.println(string(body))
}

// clean replaces what a terminal would obey instead of show.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\t' || r == '\n' || r == '\r' {
			return ' '
		}
		if !unicode.IsPrint(r) {
			return unicode.ReplacementChar
		}
		return r
	}, s)
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func list(words []string) string { return strings.Join(words, ",") }

// moment is a time for people: UTC to the second, as one word less than RFC 3339.
func moment(t wire.Time) string {
	if t == 0 {
		return "-"
	}
	return t.Time().Format("2006-01-02 15:04:05")
}

// decimals of currencies that do not have two, by ISO 4217.
var decimals = map[string]int{
	"CLF": 4, "UYW": 4,
	"BHD": 3, "IQD": 3, "JOD": 3, "KWD": 3, "LYD": 3, "OMR": 3, "TND": 3,
	"BIF": 0, "CLP": 0, "DJF": 0, "GNF": 0, "ISK": 0, "JPY": 0, "KMF": 0, "KRW": 0, "PYG": 0, "RWF": 0, "UGX": 0, "UYI": 0, "VND": 0, "VUV": 0,
	"XAF": 0, "XOF": 0, "XPF": 0,
}

// money writes minor units the way people do.
func money(amount int64, currency string) string {
	places, ok := decimals[currency]
	if !ok {
		places = 2
	}
	digits := strconv.FormatUint(magnitude(amount), 10)
	if places > 0 {
		if len(digits) <= places {
			digits = strings.Repeat("0", places-len(digits)+1) + digits
		}
		digits = digits[:len(digits)-places] + "." + digits[len(digits)-places:]
	}
	if amount < 0 {
		digits = "-" + digits
	}
	return digits + " " + clean(currency)
}

func magnitude(n int64) uint64 {
	if n < 0 {
		return -uint64(n)
	}
	return uint64(n)
}

func kilometers(m int64) string {
	if m == 0 {
		return "-"
	}
	return strconv.FormatInt((m+500)/1000, 10) + " km"
}

// parseMoment reads a time of the command line: RFC 3339, or a duration from now. What it computes from the clock it remembers, for the same words
// mean another time the next time.
func (a *app) parseMoment(flag, value string) (wire.Time, error) {
	if value == "" {
		return 0, nil
	}
	d, relative := time.ParseDuration(value)
	t, absolute := time.Parse(time.RFC3339, value)
	switch {
	case relative == nil:
		t = a.now().Add(d)
	case absolute != nil:
		return 0, usage("--%s must be a time such as 2026-11-22T09:00:00Z or a duration from now such as 2h, not %q", flag, value)
	}
	at, err := wire.TimeOf(t)
	if err != nil {
		return 0, usage("--%s %q %v", flag, value, err)
	}
	if relative == nil {
		a.moments = append(a.moments, "--"+flag+" "+at.String())
	}
	return at, nil
}
