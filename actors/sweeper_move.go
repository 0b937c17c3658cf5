package actors

import (
	"context"
	"fmt"
	"slices"
	"time"

	"orderyard/messages"
)

// Moves that need each other go one after the other: first those whose units are there already; when what they gave back is seen, those that
// wait for it. What waits in a ring, each for the next, goes at once: every order lets go before it asks (actors/order/sweep.go), so they mostly meet. An
// order that comes too late is declined by the bucket and planned again, like any other.

// move carries out what was found, group by group.
func (s *Sweeper) move(ctx context.Context, r *SweepReport) error {
	r.Outcome = make([]string, len(r.Moves))
	groups := 0
	for i := range r.Moves {
		groups = max(groups, r.Moves[i].Group+1)
	}
	stamp := s.know.clock()
	// Groups need nothing of each other, but for free stock of one bucket, which is there for all of them.
	s.each(ctx, groups, func(g int) {
		var left []int
		for i := range r.Moves {
			if r.Moves[i].Group == g {
				left = append(left, i)
			}
		}
		s.moveGroup(ctx, r, left, stamp)
	})
	for i, outcome := range r.Outcome {
		switch outcome {
		case sweepMoved:
			r.Moved++
			r.Saved += r.Moves[i].Saving()
		case "":
			r.Outcome[i] = "not tried"
		}
	}
	if ctx.Err() != nil {
		return fmt.Errorf("move orders: %w", ctx.Err())
	}
	return nil
}

// moveGroup moves what is ready, and again, until nothing is left or what is missing does not come.
func (s *Sweeper) moveGroup(ctx context.Context, r *SweepReport, left []int, stamp int64) {
	began := true // nothing of the group is on its way back
	for len(left) > 0 && ctx.Err() == nil {
		ready := s.ready(r, left)
		for end := time.Now().Add(sweepBackIn); len(ready) == 0 && !began && time.Now().Before(end) && ctx.Err() == nil; ready = s.ready(r, left) {
			time.Sleep(sweepBackPoll)
		}
		if len(ready) == 0 {
			if ready = left; !s.ring(r, left) {
				for _, i := range left {
					r.Outcome[i] = "what it needs was taken"
				}
				return
			}
		}
		began = false
		s.each(ctx, len(ready), func(k int) { r.Outcome[ready[k]] = s.moveOne(ctx, r, ready[k], stamp) })
		left = slices.DeleteFunc(slices.Clone(left), func(i int) bool { return slices.Contains(ready, i) })
	}
}

// moveOne moves one order and says what became of it.
func (s *Sweeper) moveOne(ctx context.Context, r *SweepReport, at int, stamp int64) string {
	m := &r.Moves[at]
	o := r.Orders[m.Order]
	for _, a := range m.To.Assignments {
		a.Manual = s.know.view.asks(a.Site)
	}
	if d := m.To.Decision; d != nil {
		note := fmt.Sprintf("moved by a sweep: %d instead of %d", m.After, m.Before)
		if d.Note != "" {
			note = d.Note + "; " + note
		}
		d.Note = note
	}
	id := fmt.Sprintf("sweep/%s/%d/%d", o.ID, o.Version, stamp)
	if _, err := s.one(ctx, o.ID, id, &messages.Reassign{Version: o.Version, Plan: m.To}); err != nil {
		return err.Error()
	}
	return sweepMoved
}

// bucketAt names a bucket.
type bucketAt struct{ sku, site string }

// net is what a move takes from buckets beyond what it gives back to them; negative where it gives.
func (r *SweepReport) net(at int, into map[bucketAt]int64) {
	m := &r.Moves[at]
	book := func(parts []*messages.Assignment, sign int64) {
		for _, a := range parts {
			for _, l := range a.Lines {
				into[bucketAt{m.SKU(l.Line), a.Site}] += sign * l.Quantity
			}
		}
	}
	book(m.To.Assignments, 1)
	book(m.From, -1)
}

// ready gives the moves whose units are all there now, each beside those before it.
func (s *Sweeper) ready(r *SweepReport, left []int) (ready []int) {
	taken := map[bucketAt]int64{}
	for _, i := range left {
		need := map[bucketAt]int64{}
		r.net(i, need)
		fits := true
		for p, n := range need {
			fits = fits && (n <= 0 || n+taken[p] <= s.know.view.ATP(p.sku, p.site))
		}
		if !fits {
			continue
		}
		for p, n := range need {
			taken[p] += max(n, 0)
		}
		ready = append(ready, i)
	}
	return ready
}

// ring says that the moves together take no more than there is and they give back.
func (s *Sweeper) ring(r *SweepReport, left []int) bool {
	need := map[bucketAt]int64{}
	for _, i := range left {
		r.net(i, need)
	}
	for p, n := range need {
		if n > 0 && n > s.know.view.ATP(p.sku, p.site) {
			return false
		}
	}
	return true
}
