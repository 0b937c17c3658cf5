package history

import (
	"fmt"
	"math"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/anishathalye/porcupine"
)

// Recorder collects operations from many clients at once.
type Recorder struct {
	began time.Time
	mu    sync.Mutex
	ops   []porcupine.Operation
	asked map[*porcupine.Operation]bool // called, and nothing heard yet
}

// NewRecorder starts the clock of a history.
func NewRecorder() *Recorder {
	return &Recorder{began: time.Now(), asked: map[*porcupine.Operation]bool{}}
}

// Now is the recorder's clock, in nanoseconds: it only moves forward.
func (r *Recorder) Now() int64 { return time.Since(r.began).Nanoseconds() }

// Begin writes down that a client is about to ask. Until End the operation is open: it may have taken effect already, and a check made
// meanwhile must reckon with it.
func (r *Recorder) Begin(client int, in Input) *porcupine.Operation {
	op := &porcupine.Operation{ClientId: client, Input: in, Call: r.Now(), Output: Output{}, Return: math.MaxInt64}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked[op] = true
	return op
}

// End writes down what came of an operation. Without a known output it stays open; a read without one says nothing and is not kept.
func (r *Recorder) End(op *porcupine.Operation, out Output) {
	in := op.Input.(Input)
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.asked, op)
	if out.Known {
		op.Output, op.Return = out, r.Now()
	}
	if out.Known || in.Kind != Get {
		r.ops = append(r.ops, *op)
	}
}

// Add writes down one operation that began at call. Without a known output it stays open.
func (r *Recorder) Add(client int, in Input, call int64, out Output) {
	op := porcupine.Operation{ClientId: client, Input: in, Call: call, Output: out, Return: math.MaxInt64}
	if out.Known {
		op.Return = r.Now()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ops = append(r.ops, op)
}

// Verdict is the result for one bucket.
type Verdict struct {
	Bucket     string
	Result     porcupine.CheckResult
	Operations int
	Open       int // without an outcome
	Took       time.Duration

	history []porcupine.Operation
}

// OK says that the history is possible. Not to know is no excuse.
func (v Verdict) OK() bool { return v.Result == porcupine.Ok }

func (v Verdict) String() string {
	return fmt.Sprintf("%s: %s, %d operations, %d open, checked in %v", v.Bucket, v.Result, v.Operations, v.Open, v.Took.Round(time.Millisecond))
}

// Check judges every bucket by itself, each within the time. It may be called while clients go on: what is under way counts as open.
func (r *Recorder) Check(within time.Duration) []Verdict {
	r.mu.Lock()
	perBucket := map[string][]porcupine.Operation{}
	keep := func(op porcupine.Operation) {
		bucket := op.Input.(Input).Bucket
		perBucket[bucket] = append(perBucket[bucket], op)
	}
	for _, op := range r.ops {
		keep(op)
	}
	for op := range r.asked {
		if op.Input.(Input).Kind != Get {
			keep(*op)
		}
	}
	r.mu.Unlock()
	var verdicts []Verdict
	for bucket, ops := range perBucket {
		v := Verdict{Bucket: bucket, Operations: len(ops), history: ops}
		for _, op := range ops {
			if op.Return == math.MaxInt64 {
				v.Open++
			}
		}
		began := time.Now()
		v.Result = porcupine.CheckOperationsTimeout(Model(), ops, within)
		v.Took = time.Since(began)
		verdicts = append(verdicts, v)
	}
	slices.SortFunc(verdicts, func(a, b Verdict) int { return len(b.history) - len(a.history) })
	return verdicts
}

// drawMost bounds what is drawn: a page of more operations opens in no browser.
const drawMost = 3000

// Draw writes a page that shows how far the history can be explained. An impossible history is cut behind the first operations that
// already make it impossible, so that the page ends where the trouble is.
func (v Verdict) Draw(file string, within time.Duration) error {
	ops := slices.Clone(v.history)
	slices.SortFunc(ops, func(a, b porcupine.Operation) int { return int(min(max(a.Call-b.Call, -1), 1)) })
	if v.Result == porcupine.Illegal {
		ops = shortest(ops, within)
	}
	_, info := porcupine.CheckOperationsVerbose(Model(), ops[max(len(ops)-drawMost, 0):], within)
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	if err := porcupine.Visualize(Model(), info, f); err != nil {
		f.Close()
		return fmt.Errorf("draw %s: %w", v.Bucket, err)
	}
	return f.Close()
}

// Trouble tells the end of the shortest impossible history in words, a line per operation: when it was called and answered, in
// milliseconds of the history, by whom, and what.
func (v Verdict) Trouble(lines int, within time.Duration) []string {
	if v.Result != porcupine.Illegal {
		return nil
	}
	ops := slices.Clone(v.history)
	slices.SortFunc(ops, func(a, b porcupine.Operation) int { return int(min(max(a.Call-b.Call, -1), 1)) })
	ops = shortest(ops, within)
	var told []string
	for _, op := range ops[max(len(ops)-lines, 0):] {
		end := "open"
		if op.Return != math.MaxInt64 {
			end = fmt.Sprintf("%.1f", float64(op.Return)/1e6)
		}
		told = append(told, fmt.Sprintf("%.1f – %s client %d: %s", float64(op.Call)/1e6, end, op.ClientId, describe(op.Input.(Input), op.Output.(Output))))
	}
	return told
}

// shortest finds, by halving, how many operations in the order of their calls are enough to be impossible. Cutting a history at a
// moment keeps it honest when those who had been called and not answered by then stay open.
func shortest(ops []porcupine.Operation, within time.Duration) []porcupine.Operation {
	cut := func(n int) []porcupine.Operation {
		if n == len(ops) {
			return ops
		}
		head, end := slices.Clone(ops[:n]), ops[n].Call
		for i := range head {
			if head[i].Return > end {
				head[i].Return, head[i].Output = math.MaxInt64, Output{}
			}
		}
		return head
	}
	lo, hi, end := 0, len(ops), time.Now().Add(within)
	for lo < hi && time.Now().Before(end) {
		n := (lo + hi) / 2
		if porcupine.CheckOperationsTimeout(Model(), cut(n), time.Until(end)) == porcupine.Illegal {
			hi = n
		} else {
			lo = n + 1
		}
	}
	return cut(hi) // known to be impossible, also when the time was too short to find a shorter one
}

// Between gives the time of the operations of all buckets that were answered, for latency.
func (r *Recorder) Between(from, to time.Time) []time.Duration {
	a, b := from.Sub(r.began).Nanoseconds(), to.Sub(r.began).Nanoseconds()
	r.mu.Lock()
	defer r.mu.Unlock()
	var took []time.Duration
	for _, op := range r.ops {
		if op.Return != math.MaxInt64 && op.Call >= a && op.Call <= b {
			took = append(took, time.Duration(op.Return-op.Call))
		}
	}
	return took
}
