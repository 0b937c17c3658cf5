package figures

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"pgregory.net/rapid"
)

// TestStatistics proves the middle, the bounds and the quantiles of small lists, with and without a value in the middle.
func TestStatistics(t *testing.T) {
	for _, c := range []struct {
		name              string
		values            []float64
		median, low, high float64
		p99               float64
	}{
		{"Nothing", nil, 0, 0, 0, 0},
		{"One", []float64{7}, 7, 7, 7, 7},
		{"Odd", []float64{9, 1, 5}, 5, 1, 9, 9},
		{"Even", []float64{4, 1, 9, 2}, 3, 1, 9, 9},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := slices.Clone(c.values)
			low, high := Bounds(c.values)
			if m := Median(c.values); m != c.median || low != c.low || high != c.high {
				t.Errorf("got median %v in %v to %v", m, low, high)
			}
			if got := Quantile(c.values, 0.99); got != c.p99 {
				t.Errorf("p99 is %v", got)
			}
			if !slices.Equal(before, c.values) {
				t.Error("the rounds were put in another order: pairs would no longer fit")
			}
		})
	}
}

// TestQuantile proves beside its definition that Quantile is the smallest value with enough values at or below it.
func TestQuantile(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.Float64Range(0, 100), 1, 40).Draw(t, "values")
		q := rapid.SampledFrom([]float64{0.01, 0.25, 0.5, 0.9, 0.99, 1}).Draw(t, "q")
		atMost := func(v float64) (n int) {
			for _, x := range values {
				if x <= v {
					n++
				}
			}
			return n
		}
		got := Quantile(values, q)
		need := q * float64(len(values))
		if float64(atMost(got)) < need-1e-9 {
			t.Fatalf("only %d of %d values are within %v", atMost(got), len(values), got)
		}
		for _, v := range values {
			if v < got && float64(atMost(v)) >= need+1e-9 {
				t.Fatalf("%v is smaller than %v and enough", v, got)
			}
		}
	})
}

// TestRatios proves that sides are compared round by round, not sum by sum, and that a dead round of the other side makes no infinity.
func TestRatios(t *testing.T) {
	got := Ratios([]float64{10, 40, 5}, []float64{5, 10, 0})
	if !slices.Equal(got, []float64{2, 4}) {
		t.Errorf("got %v", got)
	}
	if g := AtLeast("rate", "×", got, 3); !g.Met || g.Value != 3 || g.Lowest != 2 || g.Highest != 4 {
		t.Errorf("got %+v", g)
	}
}

// TestGoals proves that a goal is met on its bound, missed beyond it and never met without a measurement.
func TestGoals(t *testing.T) {
	for _, c := range []struct {
		name string
		goal Goal
		met  bool
	}{
		{"LeastOnBound", AtLeast("", "×", []float64{30}, 30), true},
		{"LeastBelow", AtLeast("", "×", []float64{29.9}, 30), false},
		{"MostOnBound", AtMost("", "ms", []float64{10}, 10), true},
		{"MostAbove", AtMost("", "ms", []float64{10.1}, 10), false},
		{"MostOfNothing", AtMost("", "ms", nil, 10), false},
		{"LeastOfNothing", AtLeast("", "ms", nil, 0), false},
	} {
		if c.goal.Met != c.met {
			t.Errorf("%s: got %+v", c.name, c.goal)
		}
	}
}

// TestTimetable proves that an open loop keeps its rate for hours without drifting, and that a late sender's requests count from when they
// were due.
func TestTimetable(t *testing.T) {
	begin := time.Unix(1000, 0)
	table := Timetable{Begin: begin, Rate: 3}
	if got := table.Due(3).Sub(begin); got != time.Second {
		t.Errorf("the fourth request is due after %v", got)
	}
	if got := table.Due(3 * 3600 * 24).Sub(begin); got != 24*time.Hour {
		t.Errorf("after a day the timetable is off by %v", got-24*time.Hour)
	}
	if n := table.Count(10 * time.Second); n != 30 {
		t.Errorf("%d requests are due in ten seconds", n)
	}
	if late := table.Behind(3, begin.Add(1500*time.Millisecond)); late != 500*time.Millisecond {
		t.Errorf("a request due after 1 s is %v late at 1.5 s", late)
	}
	if early := table.Behind(3, begin); early != 0 {
		t.Errorf("an early request is %v late", early)
	}
}

// TestTimetableAtAnyRate proves for any rate that requests are due in order, evenly, and that Count counts exactly those due in time.
func TestTimetableAtAnyRate(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		table := Timetable{Begin: time.Unix(0, 0), Rate: rapid.Float64Range(0.5, 50_000).Draw(t, "rate")}
		n := rapid.Int64Range(0, 1_000_000).Draw(t, "n")
		step := table.Due(n + 1).Sub(table.Due(n)).Seconds()
		if math.Abs(step-1/table.Rate) > 2e-6 {
			t.Fatalf("request %d is due %v s before the next", n, step)
		}
		d := time.Duration(rapid.Int64Range(int64(time.Millisecond), int64(20*time.Second)).Draw(t, "d"))
		count := table.Count(d)
		if table.Due(count).Sub(table.Begin) < d || count > 0 && table.Due(count-1).Sub(table.Begin) >= d {
			t.Fatalf("%d requests are not exactly those due in %v", count, d)
		}
	})
}

// sample is a report with a winning row, a losing one and names that could break a table or a picture.
func sample() *Report {
	h := hdrhistogram.New(1, 60_000_000, 3)
	for v := int64(100); v <= 100_000; v += 100 {
		_ = h.RecordValue(v)
	}
	ours := NewRow("reserve | ours <fast>", "/s", []float64{30_000, 10_000, 20_000}, h)
	ours.Ours = true
	theirs := NewRow("reserve & theirs", "/s", []float64{38_000, 36_000, 40_000}, h)
	return &Report{
		Machine: Machine{Made: time.Unix(1_800_000_000, 0).UTC(), CPU: "a CPU", Cores: 2, Disk: "ext4", Load: 2.5, Versions: map[string]string{"Redis": "7.0"}},
		Benches: []Bench{
			{
				ID: "B2", Name: "reserve", Title: "One hot SKU", Setup: "3 rounds", Rows: []Row{ours, theirs},
				Goals: []Goal{AtLeast("rate, ours / theirs", "×", Ratios(ours.Rounds, theirs.Rounds), 1.5)},
				Notes: []string{"sold + left = stock"}, Skips: []string{"PostgreSQL is not installed"},
			},
			{ID: "B8", Name: "crash", Title: "Crash", Failed: "no disk"},
		},
	}
}

// TestLosingRowsAreWritten proves that a report hides nothing: a missed goal, the slower rounds, a missing peer and a benchmark without a
// result all stand in the Markdown, and a name cannot break its table.
func TestLosingRowsAreWritten(t *testing.T) {
	text := sample().Markdown()
	for _, want := range []string{
		"| rate, ours / theirs | ≥ 1.50 × | **0.500 ×** | 0.278 | 0.789 | missed |", "reserve \\| ours <fast>", "| 20,000 | 10,000 | 30,000 |",
		"PostgreSQL is not installed", "**No result:** no disk", "Others were using the machine", "Redis: 7.0", "](reserve-rates.svg)", "](reserve-latency.svg)",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the report lacks %q:\n%s", want, text)
		}
	}
	width := 0
	for line := range strings.Lines(text) {
		cells := strings.Count(strings.ReplaceAll(line, "\\|", ""), "|")
		if cells == 0 {
			width = 0
		} else if width == 0 {
			width = cells
		} else if cells != width {
			t.Errorf("a row of %d cells in a table of %d: %s", cells, width, line)
		}
	}
}

// TestWrite proves that the JSON gives back what was measured and that every picture the Markdown names is there and is well-formed XML.
func TestWrite(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "folder")
	want := sample()
	if err := want.Write(dir); err != nil {
		t.Fatal(err)
	}
	body, err := os.ReadFile(filepath.Join(dir, "report.json"))
	if err != nil {
		t.Fatal(err)
	}
	var got Report
	if err := json.Unmarshal(body, &got); err != nil {
		t.Fatal(err)
	}
	if got.Markdown() != want.Markdown() {
		t.Error("the JSON holds less than the Markdown tells")
	}
	for _, name := range []string{"reserve-rates.svg", "reserve-latency.svg"} {
		picture, err := os.Open(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		defer picture.Close()
		shapes := 0
		for d := xml.NewDecoder(picture); ; {
			token, err := d.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if e, ok := token.(xml.StartElement); ok && e.Name.Local == "rect" {
				shapes++
			}
		}
		if shapes < 2 {
			t.Errorf("%s has %d bars for two rows", name, shapes)
		}
	}
}

// TestBarsAreToScale proves that a bar's length is its median's share of the highest figure with the same unit.
func TestBarsAreToScale(t *testing.T) {
	rows := []Row{NewRow("a", "/s", []float64{100}, nil), NewRow("b", "/s", []float64{50}, nil), NewRow("c", "ms", []float64{3}, nil)}
	text := string(ratesSVG("t", rows))
	full, half := `width="410.0"`, `width="205.0"`
	if strings.Count(text, full) != 2 || strings.Count(text, half) != 1 {
		t.Errorf("bars are not 410, 205 and 410 wide:\n%s", text)
	}
}

// TestNumber proves that figures are written with three digits that mean something.
func TestNumber(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 0.1234: "0.123", 1.234: "1.23", 12.34: "12.3", 123.4: "123", 12_345.6: "12,346", 1_234_567: "1,234,567", -1234: "-1,234"} {
		if got := Number(v); got != want {
			t.Errorf("%v: got %s, want %s", v, got, want)
		}
	}
}

// TestThisMachine proves that the facts of the machine are read where the kernel tells them.
func TestThisMachine(t *testing.T) {
	m := ThisMachine(t.TempDir())
	if m.Cores < 1 || m.MemoryMiB < 1 || m.CPU == "" || m.Disk == "" || !strings.Contains(m.System, " ") {
		t.Errorf("got %+v", m)
	}
}
