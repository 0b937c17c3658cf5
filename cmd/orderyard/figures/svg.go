package figures

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"math"
)

// Sizes of a picture in pixels, and its colors: ours, the others', and a scale that reads on white and on black.
const (
	pictureWidth = 860
	nameWidth    = 300
	valueWidth   = 150
	barHeight    = 18
	rowHeight    = 30
	headHeight   = 44

	colorOurs   = "#0b7a75"
	colorOthers = "#b0793a"
	colorText   = "#6b7280"
)

// pictures draws what the rows hold: rates as bars, one scale for each unit, and latencies as one bar per quantile.
func (b *Bench) pictures() map[string][]byte {
	found := map[string][]byte{}
	var rates, latencies []Row
	for _, r := range b.Rows {
		if r.Median > 0 {
			rates = append(rates, r)
		}
		if r.Latency != nil {
			latencies = append(latencies, r)
		}
	}
	if len(rates) > 0 {
		found["rates"] = ratesSVG(b.Title, rates)
	}
	if len(latencies) > 0 {
		found["latency"] = latencySVG(b.Title, latencies)
	}
	return found
}

// ratesSVG draws one bar per row, its median as the length and the lowest and highest round as a line across its end.
func ratesSVG(title string, rows []Row) []byte {
	most := map[string]float64{}
	for _, r := range rows {
		most[r.Unit] = max(most[r.Unit], r.Highest)
	}
	p := newPicture(title, "median of the rounds; the line spans the lowest and the highest", len(rows))
	for i, r := range rows {
		scale := float64(pictureWidth-nameWidth-valueWidth) / most[r.Unit]
		y := headHeight + i*rowHeight
		p.label(nameWidth-8, y+barHeight-4, "end", r.Name)
		p.bar(nameWidth, y, r.Median*scale, barHeight, r.Ours)
		p.line(nameWidth+r.Lowest*scale, y+barHeight/2, nameWidth+r.Highest*scale, y+barHeight/2)
		p.label(nameWidth+int(r.Highest*scale)+8, y+barHeight-4, "start", Number(r.Median)+" "+r.Unit)
	}
	return p.end()
}

// latencySVG draws p50, p90, p99 and p99.9 of each row on one logarithmic scale: what matters is how many times longer the tail is.
func latencySVG(title string, rows []Row) []byte {
	const quantiles, thin = 4, 6
	low, high := math.Inf(1), 0.0
	for _, r := range rows {
		low, high = min(low, r.Latency.P50), max(high, r.Latency.P999)
	}
	low = max(low, 0.001) / 2
	scale := float64(pictureWidth-nameWidth-valueWidth) / max(math.Log(high/low), 0.01)
	p := newPicture(title, "latency in ms, logarithmic: p50, p90, p99, p99.9 from above", len(rows))
	for i, r := range rows {
		y := headHeight + i*rowHeight
		p.label(nameWidth-8, y+barHeight-4, "end", r.Name)
		longest := 0.0
		for q, v := range [quantiles]float64{r.Latency.P50, r.Latency.P90, r.Latency.P99, r.Latency.P999} {
			length := math.Log(max(v, low)/low) * scale
			longest = max(longest, length)
			p.bar(nameWidth, y+q*thin-2, length, thin-1, r.Ours)
		}
		p.label(nameWidth+int(longest)+8, y+barHeight-4, "start", Number(r.Latency.P50)+" … "+Number(r.Latency.P999))
	}
	return p.end()
}

type picture struct{ bytes.Buffer }

func newPicture(title, legend string, rows int) *picture {
	p := &picture{}
	height := headHeight + rows*rowHeight + 8
	fmt.Fprintf(p, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" font-family="sans-serif" font-size="12">`+"\n",
		pictureWidth, height, pictureWidth, height)
	fmt.Fprint(p, "<title>")
	p.text(title)
	fmt.Fprint(p, "</title>\n")
	p.label(8, 16, "start", title)
	p.label(8, 33, "start", legend)
	return p
}

func (p *picture) bar(x, y int, width, height float64, ours bool) {
	color := colorOthers
	if ours {
		color = colorOurs
	}
	fmt.Fprintf(p, `<rect x="%d" y="%d" width="%.1f" height="%.0f" fill="%s"/>`+"\n", x, y, max(width, 1), height, color)
}

func (p *picture) line(x1 float64, y1 int, x2 float64, y2 int) {
	fmt.Fprintf(p, `<line x1="%.1f" y1="%d" x2="%.1f" y2="%d" stroke="%s" stroke-width="2"/>`+"\n", x1, y1, x2, y2, colorText)
}

func (p *picture) label(x, y int, anchor, text string) {
	fmt.Fprintf(p, `<text x="%d" y="%d" text-anchor="%s" fill="%s">`, x, y, anchor, colorText)
	p.text(text)
	fmt.Fprint(p, "</text>\n")
}

// text writes what came from outside so that it stays text.
func (p *picture) text(s string) { _ = xml.EscapeText(p, []byte(s)) } // a buffer takes everything

func (p *picture) end() []byte {
	fmt.Fprint(p, "</svg>\n")
	return p.Bytes()
}
