package probe

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"orderyard/cluster"
	"orderyard/gateway/wire"
	"orderyard/messages"
	"orderyard/test/fault/client"
)

// Options are the dials of the writers.
type Options struct {
	Partitions int
	Site       string
	Pace       time.Duration // between two writes to one partition; default 100 ms
	Patience   time.Duration // for one answer; default 5 s
	PendingMax int           // unanswered writes of one partition; above it a beat is left out. Default 100
}

// Probe is one writer per partition, until Stop.
type Probe struct {
	o    Options
	ask  *client.Client
	skus []string

	mu      sync.Mutex
	lanes   []lane
	pending map[uint64]write
	tally   *client.Tally

	cancel context.CancelFunc
	wait   sync.WaitGroup
	sub    *nats.Subscription
}

// lane is one partition's story.
type lane struct {
	sent    int64
	known   int64 // acknowledged
	pending int
	acks    []Ack
}

// Ack is one acknowledged commit.
type Ack struct{ Sent, Told time.Time }

type write struct {
	lane int
	sent time.Time
}

// initial is what every bucket holds at first.
const initial = 1000

// SKUs finds for every partition one SKU whose bucket at the site lies in it.
func SKUs(partitions int, site string) []string {
	found, missing := make([]string, partitions), partitions
	for i := 0; missing > 0; i++ {
		sku := "PROBE-" + strconv.Itoa(i)
		if p := cluster.PartitionOf(messages.BucketRef(sku, site), partitions); found[p] == "" {
			found[p] = sku
			missing--
		}
	}
	return found
}

// Start counts the buckets and begins to write. The client is shared and must outlive Stop.
func Start(ctx context.Context, ask *client.Client, o Options) (*Probe, error) {
	if o.Pace == 0 {
		o.Pace = 100 * time.Millisecond
	}
	if o.Patience == 0 {
		o.Patience = 5 * time.Second
	}
	if o.PendingMax == 0 {
		o.PendingMax = 100
	}
	p := &Probe{
		o: o, ask: ask, skus: SKUs(o.Partitions, o.Site), lanes: make([]lane, o.Partitions), pending: map[uint64]write{}, tally: client.NewTally(),
	}
	for _, sku := range p.skus {
		n := int64(initial)
		body := client.Encode(wire.SetStockRequest{SKU: sku, Site: o.Site, OnHand: &n})
		if got := ask.Insist(ctx, messages.StockSubject("set"), body, "probe-"+nats.NewInbox()); !got.OK() {
			return nil, fmt.Errorf("count %s: %s", sku, got.String())
		}
	}
	inbox := nats.NewInbox()
	var err error
	if p.sub, err = ask.Conn().Subscribe(inbox+".*", p.answered); err != nil {
		return nil, fmt.Errorf("listen for answers: %w", err)
	}
	run, cancel := context.WithCancel(context.Background())
	p.cancel = cancel
	p.wait.Go(func() { p.write(run, inbox+".") })
	return p, nil
}

// Stop ends the writers and waits for what is under way, as long as its patience lasts.
func (p *Probe) Stop() {
	p.cancel()
	p.wait.Wait()
	for end := time.Now().Add(p.o.Patience); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		p.forget(time.Now())
		p.mu.Lock()
		n := len(p.pending)
		p.mu.Unlock()
		if n == 0 {
			break
		}
	}
	_ = p.sub.Unsubscribe() // a closed connection has none
}

// write sends to the partitions in turn, evenly over the pace.
func (p *Probe) write(ctx context.Context, inbox string) {
	tick := time.NewTicker(p.o.Pace / time.Duration(len(p.lanes)))
	defer tick.Stop()
	run := nats.NewInbox() // makes command ids unique
	for n := uint64(1); ; n++ {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			if n%uint64(len(p.lanes)) == 0 {
				p.forget(now)
			}
		}
		at := int(n % uint64(len(p.lanes)))
		m := nats.NewMsg(messages.StockSubject("adjust"))
		m.Reply = inbox + strconv.FormatUint(n, 10)
		m.Data = client.Encode(wire.AdjustStockRequest{SKU: p.skus[at], Site: p.o.Site, Delta: 1, Reason: "probe"})
		m.Header.Set(messages.HeaderCommandID, run+strconv.FormatUint(n, 10))
		m.Header.Set(messages.HeaderDeadlineMs, strconv.FormatInt(time.Now().Add(p.o.Patience*3/4).UnixMilli(), 10))
		if !p.note(n, at) {
			continue
		}
		if err := p.ask.Conn().PublishMsg(m); err != nil {
			p.drop(n, client.Offline)
		}
	}
}

func (p *Probe) note(n uint64, at int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.lanes[at].pending >= p.o.PendingMax {
		return false
	}
	p.lanes[at].pending++
	p.lanes[at].sent++
	p.pending[n] = write{at, time.Now()}
	return true
}

// drop gives one write up.
func (p *Probe) drop(n uint64, word string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if w, found := p.pending[n]; found {
		delete(p.pending, n)
		p.lanes[w.lane].pending--
		p.tally.Add(w.sent, word)
	}
}

// forget gives up what has waited too long.
func (p *Probe) forget(now time.Time) {
	var late []uint64
	p.mu.Lock()
	for n, w := range p.pending {
		if now.Sub(w.sent) > p.o.Patience {
			late = append(late, n)
		}
	}
	p.mu.Unlock()
	for _, n := range late {
		p.drop(n, client.Silence)
	}
}

func (p *Probe) answered(m *nats.Msg) {
	told := time.Now()
	n, err := strconv.ParseUint(messages.LastToken(m.Subject), 10, 64)
	if err != nil {
		return
	}
	if m.Header.Get("Status") == "503" {
		p.drop(n, client.Nobody)
		return
	}
	var head wire.Head
	word := "ok"
	if err := wire.DecodeAnswer(m.Data, &head); err != nil {
		word = client.Garbled
	} else if f := head.Failure(); f != nil {
		word = f.Code
	}
	if word == "ok" {
		p.mu.Lock()
		if w, found := p.pending[n]; found {
			l := &p.lanes[w.lane]
			l.known++
			l.acks = append(l.acks, Ack{w.sent, told})
		}
		p.mu.Unlock()
	}
	p.drop(n, word)
}

// Tally counts every write by its outcome.
func (p *Probe) Tally() *client.Tally { return p.tally }

// Acks gives a partition's acknowledged commits in the order they were told.
func (p *Probe) Acks(partition int) []Ack {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.lanes[partition].acks)
}

// Least is how many units a partition's bucket must hold by what was acknowledged until a moment.
func (p *Probe) Least(partition int, until time.Time) int64 {
	n := int64(initial)
	for _, a := range p.Acks(partition) {
		if !a.Told.After(until) {
			n++
		}
	}
	return n
}

// First is how long after a moment the first write that was sent after it was acknowledged; false when none was yet.
func (p *Probe) First(partition int, after time.Time) (time.Duration, bool) {
	first, found := time.Duration(0), false
	for _, a := range p.Acks(partition) {
		if d := a.Told.Sub(after); a.Sent.After(after) && (!found || d < first) {
			first, found = d, true
		}
	}
	return first, found
}

// Gap is the longest time without an acknowledgment between two moments, their edges included.
func (p *Probe) Gap(partition int, from, to time.Time) time.Duration {
	return gap(p.Acks(partition), from, to)
}

func gap(acks []Ack, from, to time.Time) time.Duration {
	longest, last := time.Duration(0), from
	for _, a := range acks {
		if a.Told.Before(from) || a.Told.After(to) {
			continue
		}
		longest, last = max(longest, a.Told.Sub(last)), a.Told
	}
	return max(longest, to.Sub(last))
}

// Gaps is Gap for every partition.
func (p *Probe) Gaps(from, to time.Time) []time.Duration {
	all := make([]time.Duration, p.o.Partitions)
	for i := range all {
		all[i] = p.Gap(i, from, to)
	}
	return all
}

// Everywhere waits until a write sent after the moment has been acknowledged on every partition, and tells how long that took. It
// gives up after the time, naming the partitions that are still mute.
func (p *Probe) Everywhere(after time.Time, within time.Duration) (time.Duration, error) {
	for {
		slowest, mute := time.Duration(0), []int(nil)
		for i := range p.o.Partitions {
			d, found := p.First(i, after)
			if !found {
				mute = append(mute, i)
			}
			slowest = max(slowest, d)
		}
		if len(mute) == 0 {
			return slowest, nil
		}
		if time.Since(after) > within {
			return 0, fmt.Errorf("no commit on partitions %v within %v", mute, within)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// Audit compares the buckets with what was acknowledged: each holds every acknowledged unit, and no unit more than were sent. It is for
// after Stop.
func (p *Probe) Audit(ctx context.Context) error {
	for i, sku := range p.skus {
		got := p.ask.Insist(ctx, messages.StockSubject("get"), client.Encode(wire.GetStockRequest{SKU: sku, Site: p.o.Site}), "")
		var a wire.StockAnswer
		if !got.OK() || got.Read(&a) != nil || a.Bucket == nil {
			return fmt.Errorf("partition %d: get %s: %s", i, sku, got.String())
		}
		p.mu.Lock()
		least, most := initial+p.lanes[i].known, initial+p.lanes[i].sent
		p.mu.Unlock()
		if a.OnHand < least || a.OnHand > most {
			return fmt.Errorf("partition %d: %s holds %d, acknowledged are %d and sent %d", i, sku, a.OnHand, least, most)
		}
	}
	return nil
}
