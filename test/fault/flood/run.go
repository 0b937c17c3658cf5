package flood

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Stream is one kind of requests.
type Stream struct {
	Subject string
	// PerSecond is the rate of an open loop. Window is how many a closed loop keeps under way; one that is refused waits a little.
	PerSecond float64
	Window    int
	// Body appends the document of request n.
	Body func(dst []byte, n int) []byte
}

// Result is what became of a stream's requests.
type Result struct {
	Sent     int
	OK       int
	Good     int // answered ok while the run lasted: goodput
	Codes    map[string]int
	Silent   int
	Took     *hdrhistogram.Histogram // of those answered ok, in µs
	Shed     *hdrhistogram.Histogram // of those answered `limit`
	RetryMin time.Duration           // the times to come back
	RetryMax time.Duration
}

// Report is all of a run.
type Report struct {
	Streams []Result
	Lasted  time.Duration
	// Behind is how late a request left at worst: far above the pause between two looks the generator was the bottleneck.
	Behind time.Duration
}

const (
	look     = 500 * time.Microsecond
	pauseFor = 50 * time.Millisecond
	patience = 7 * time.Second // beyond the door's own deadline
	// closedMax is more than any closed loop here does in a second.
	closedMax = 60_000
)

// running is one run. sent holds the time each request was to leave, as nanoseconds since the start, by number; the number's remainder says
// which stream it is of.
type running struct {
	l        *line
	began    time.Time
	streams  []Stream
	results  []Result
	sent     []atomic.Int64
	count    []int          // sent, by stream
	answered []atomic.Int64 // by stream
	refused  []atomic.Int64
	seen     []int64 // of the refused
	paused   [][]time.Duration
	last     time.Duration
	body     []byte
	behind   time.Duration
}

// Run sends for a time and then waits for the answers that are still to come. It ends early with ctx.
func Run(ctx context.Context, servers string, lasts time.Duration, streams ...Stream) (Report, error) {
	l, err := dial(servers, fmt.Sprintf("%x", rand.Uint64()))
	if err != nil {
		return Report{}, err
	}
	r := &running{
		l: l, began: time.Now(), streams: streams, results: make([]Result, len(streams)), sent: make([]atomic.Int64, room(lasts, streams)),
		count: make([]int, len(streams)), answered: make([]atomic.Int64, len(streams)), last: lasts,
		refused: make([]atomic.Int64, len(streams)), seen: make([]int64, len(streams)), paused: make([][]time.Duration, len(streams)),
	}
	for i := range r.results {
		r.results[i] = Result{
			Codes: map[string]int{}, Took: hdrhistogram.New(1, int64(time.Minute/time.Microsecond), 2),
			Shed: hdrhistogram.New(1, int64(time.Minute/time.Microsecond), 2),
		}
	}
	done := make(chan error, 1)
	go func() { done <- l.read(r.take) }()
	err = r.send(ctx)
	took := time.Since(r.began)
	for end := time.Now().Add(patience); err == nil && r.open() > 0 && time.Now().Before(end) && ctx.Err() == nil; {
		time.Sleep(5 * time.Millisecond)
	}
	_ = l.close() // ends the reader
	if broken := <-done; err == nil && !ended(broken) {
		err = broken
	}
	for i := range r.results {
		r.results[i].Sent = r.count[i]
		r.results[i].Silent = r.count[i] - int(r.answered[i].Load())
	}
	return Report{Streams: r.results, Lasted: took, Behind: r.behind}, err
}

// room is for how many numbers there must be: streams take turns, so each costs as many as the fastest.
func room(lasts time.Duration, streams []Stream) int {
	most := 0.0
	for _, s := range streams {
		rate := s.PerSecond*1.2 + 100
		if s.PerSecond == 0 {
			rate = closedMax
		}
		most = max(most, rate)
	}
	return int(most*(lasts.Seconds()+1)) * len(streams)
}

func (r *running) open() (n int) {
	for i := range r.streams {
		n += r.count[i] - int(r.answered[i].Load())
	}
	return n
}

// send is the writer's loop.
func (r *running) send(ctx context.Context) error {
	rng := rand.New(rand.NewPCG(rand.Uint64(), 1))
	next := make([]time.Duration, len(r.streams)) // when an open loop sends again
	for {
		now := time.Since(r.began)
		if now >= r.last || ctx.Err() != nil {
			return ctx.Err()
		}
		for i := range r.streams {
			s := &r.streams[i]
			if s.PerSecond == 0 {
				r.pause(i, now)
				for r.count[i]-int(r.answered[i].Load())+len(r.paused[i]) < s.Window {
					r.one(i, now)
				}
				continue
			}
			for next[i] <= now {
				r.behind = max(r.behind, now-next[i])
				r.one(i, next[i])
				next[i] += time.Duration(rng.ExpFloat64() / s.PerSecond * float64(time.Second))
			}
		}
		if err := r.l.flush(); err != nil {
			return err
		}
		time.Sleep(look)
	}
}

// pause keeps a closed loop's refused requests away for a while: else it would be an open one.
func (r *running) pause(stream int, now time.Duration) {
	for n := r.refused[stream].Load(); r.seen[stream] < n; r.seen[stream]++ {
		r.paused[stream] = append(r.paused[stream], now+pauseFor)
	}
	list := r.paused[stream]
	for len(list) > 0 && list[0] <= now {
		list = list[1:]
	}
	r.paused[stream] = list
}

func (r *running) one(stream int, due time.Duration) {
	n := r.count[stream]
	number := n*len(r.streams) + stream
	if number >= len(r.sent) {
		return // no run of the suite is that long
	}
	r.body = r.streams[stream].Body(r.body[:0], n)
	r.sent[number].Store(int64(due) + 1)
	r.count[stream]++
	r.l.put(r.streams[stream].Subject, number, "", r.body)
}

// take books an answer. Only the reader calls it.
func (r *running) take(a answer) {
	stream := a.number % len(r.streams)
	due := time.Duration(r.sent[a.number].Swap(0)) - 1
	if due < 0 {
		r.results[stream].Codes["(twice)"]++
		return
	}
	res, took := &r.results[stream], a.at.Sub(r.began)-due
	word := code(a.body)
	res.Codes[word]++
	switch word {
	case ok:
		res.OK++
		if a.at.Sub(r.began) <= r.last {
			res.Good++
		}
		_ = res.Took.RecordValue(max(took.Microseconds(), 1)) // above a minute there is none
	case "limit":
		_ = res.Shed.RecordValue(max(took.Microseconds(), 1))
		r.refused[stream].Add(1)
		after := retryAfter(a.body)
		res.RetryMax = max(res.RetryMax, after)
		if res.RetryMin == 0 || after < res.RetryMin {
			res.RetryMin = after
		}
	}
	r.answered[stream].Add(1)
}
