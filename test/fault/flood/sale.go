package flood

import (
	"container/heap"
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"
)

// Sale is a crowd that wants one thing.
type Sale struct {
	Subject   string
	Buyers    int
	PerSecond float64 // who come, open-loop
	// Attempt is how long a buyer waits for an answer before it asks again.
	Attempt time.Duration
	// Body appends the request of a buyer; it is the same at every attempt, and so is the command id.
	Body func(dst []byte, buyer int) []byte

	mu        sync.Mutex
	began     time.Time
	purchases []Purchase
	next      attempts
	sold      int
	told      int
}

// Purchase is one buyer's story. Times are since the start.
type Purchase struct {
	Began time.Duration // when the first attempt left
	Told  time.Duration // when the outcome was known
	Code  string        // "ok", the code of a refusal that is final, "" = never known
	Tries int
}

// Won says that the buyer was told yes.
func (p *Purchase) Won() bool { return p.Code == ok }

// Late lists the winners who began after the first buyer had been told a refusal, which must be none where nothing is given back: whoever
// was told no saw that all was gone. first is when that was, below zero = never.
func Late(purchases []Purchase, refusal string) (late []int, first time.Duration) {
	first = -1
	for i := range purchases {
		if p := &purchases[i]; p.Code == refusal && (first < 0 || p.Told < first) {
			first = p.Told
		}
	}
	for i := range purchases {
		if p := &purchases[i]; p.Won() && first >= 0 && p.Began > first {
			late = append(late, i)
		}
	}
	return late, first
}

// attempt is when to ask again for a buyer who does not know yet.
type attempt struct {
	at    time.Duration
	buyer int
	tries int // after so many; another answer may have made it void
}

type attempts []attempt

func (a attempts) Len() int           { return len(a) }
func (a attempts) Less(i, j int) bool { return a[i].at < a[j].at }
func (a attempts) Swap(i, j int)      { a[i], a[j] = a[j], a[i] }
func (a *attempts) Push(x any)        { *a = append(*a, x.(attempt)) }
func (a *attempts) Pop() any {
	last := (*a)[len(*a)-1]
	*a = (*a)[:len(*a)-1]
	return last
}

const againMin = 20 * time.Millisecond

// again are the answers after which the same command may be sent once more: nobody has decided.
var again = map[string]bool{"limit": true, "unavailable": true, "moved": true, "timeout": true, nobody: true}

// Progress says how many buyers won and how many know, so far.
func (s *Sale) Progress() (sold, told int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sold, s.told
}

// Run lets the crowd buy until every buyer knows or ctx ends, which is an error.
func (s *Sale) Run(ctx context.Context, servers string) ([]Purchase, error) {
	l, err := dial(servers, fmt.Sprintf("%x", rand.Uint64()))
	if err != nil {
		return nil, err
	}
	s.began, s.purchases = time.Now(), make([]Purchase, s.Buyers)
	done := make(chan error, 1)
	go func() { done <- l.read(s.take) }()
	err = s.sell(ctx, l)
	_ = l.close() // ends the reader
	if broken := <-done; err == nil && !ended(broken) {
		err = broken
	}
	return s.purchases, err
}

func (s *Sale) sell(ctx context.Context, l *line) error {
	rng := rand.New(rand.NewPCG(rand.Uint64(), 1))
	come, due := 0, time.Duration(0)
	for ctx.Err() == nil {
		now := time.Since(s.began)
		s.mu.Lock()
		for ; come < s.Buyers && due <= now; come++ {
			s.purchases[come].Began = now
			s.ask(l, come, now)
			due += time.Duration(rng.ExpFloat64() / s.PerSecond * float64(time.Second))
		}
		for len(s.next) > 0 && s.next[0].at <= now {
			a := heap.Pop(&s.next).(attempt)
			if p := &s.purchases[a.buyer]; p.Code == "" && p.Tries == a.tries {
				s.ask(l, a.buyer, now)
			}
		}
		over := s.told == s.Buyers
		s.mu.Unlock()
		if err := l.flush(); err != nil || over {
			return err
		}
		time.Sleep(look)
	}
	return fmt.Errorf("the sale was not over: %w", ctx.Err())
}

// ask sends for a buyer, and again when no answer comes in time.
func (s *Sale) ask(l *line, buyer int, now time.Duration) {
	p := &s.purchases[buyer]
	p.Tries++
	l.put(s.Subject, buyer, fmt.Sprint("sale-", buyer), s.Body(nil, buyer))
	heap.Push(&s.next, attempt{now + s.Attempt, buyer, p.Tries})
}

// take books an answer: to whichever attempt it is, the buyer knows.
func (s *Sale) take(a answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, now := &s.purchases[a.number], a.at.Sub(s.began)
	if p.Code != "" {
		return
	}
	word := code(a.body)
	if again[word] {
		heap.Push(&s.next, attempt{now + max(retryAfter(a.body), againMin), a.number, p.Tries})
		return
	}
	p.Code, p.Told = word, now
	s.told++
	if word == ok {
		s.sold++
	}
}
