package entity

import (
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"pgregory.net/rapid"

	"orderyard/messages"
)

// numbered is a message of a sender that counts its own.
type numbered struct{ sender, number int }

// recorder keeps what it was given. It panics on every hundredth message of one sender.
type recorder struct {
	mu       sync.Mutex
	last     map[int]int
	count    int
	poison   int
	disorder string
}

func (r *recorder) Receive(ctx actor.Context) {
	m, ok := ctx.Message().(*numbered)
	if !ok {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.count++; m.number != r.last[m.sender]+1 {
		r.disorder = fmt.Sprintf("message %d of sender %d came behind %d", m.number, m.sender, r.last[m.sender])
	}
	r.last[m.sender] = m.number
	if m.sender == r.poison && m.number%100 == 0 {
		panic("as told")
	}
}

func (r *recorder) seen() (int, string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.count, r.disorder
}

// Proves that a mailbox loses nothing, doubles nothing and keeps each sender's order, while several threads send at once and the receiver panics
// again and again; and that it ends when it is told to.
func TestMailboxKeepsOrder(t *testing.T) {
	pool := newPool()
	defer pool.close()
	system := actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return slog.New(slog.DiscardHandler) }))
	defer system.Shutdown()
	r := &recorder{last: map[int]int{}, poison: 1}
	pid := system.Root.Spawn(actor.PropsFromProducer(func() actor.Actor { return r }, actor.WithDispatcher(pool), actor.WithMailbox(pool.mailbox),
		actor.WithGuardian(actor.NewOneForOneStrategy(1_000_000, time.Minute, func(any) actor.Directive { return actor.ResumeDirective }))))
	const senders, each = 4, 3000
	var wait sync.WaitGroup
	for s := range senders {
		wait.Go(func() {
			for n := range each {
				system.Root.Send(pid, &numbered{s, n + 1})
			}
		})
	}
	wait.Wait()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		count, disorder := r.seen()
		if disorder != "" {
			t.Fatal(disorder)
		}
		if count == senders*each {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("%d of %d messages came", count, senders*each)
		}
	}
	if err := system.Root.StopFuture(pid).Wait(); err != nil {
		t.Fatal(err)
	}
}

// Proves that few and many remembered answers and flights are found alike: whatever is added and dropped, both do what a map does.
func TestFewAndManyAlike(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var d dedup
		var f flights
		answers, passes, order := map[string]bool{}, map[string]uint64{}, []string{}
		most := rapid.SampledFrom([]int{3, 20, 60}).Draw(t, "most")
		for i := range rapid.IntRange(1, 120).Draw(t, "steps") {
			id := fmt.Sprint("c", i)
			d.add(&messages.DedupEntry{CommandId: id, AtMs: int64(i)}, 0, most)
			if order = append(order, id); len(order) > most {
				delete(answers, order[0])
				order = order[1:]
			}
			answers[id] = true
			if rapid.IntRange(0, 9).Draw(t, "load") == 0 {
				d.load(append([]*messages.DedupEntry(nil), d.list()...))
			}
			pass := uint64(rapid.IntRange(0, 2).Draw(t, "pass"))
			f.add(id).pass = pass
			passes[id] = pass
			if rapid.IntRange(0, 19).Draw(t, "sweep") == 0 {
				f.sweep(pass)
				for id, p := range passes {
					if p != pass {
						delete(passes, id)
					}
				}
			}
			for j := range i + 2 {
				id := fmt.Sprint("c", j)
				if _, ok := d.get(id); ok != answers[id] {
					t.Fatalf("answer %s is there: %v, want %v", id, ok, answers[id])
				}
				pass, want := passes[id]
				if got := f.find(id); (got != nil) != want || want && (got.pass != pass || got.id != id) {
					t.Fatalf("flight %s is %+v, want %v of pass %d", id, got, want, pass)
				}
			}
		}
	})
}
