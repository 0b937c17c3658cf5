package inventory

// A bucket tells orders a part of what it owes them at a time: NoticesMax notices, and one question about an old claim. What is not taken for now,
// for nobody serves its order, lets others go first: else the orders of one partition that nobody serves would keep the bucket from telling all
// others. None of this is part of the state: a bucket that was read back begins anew.

// Postpone takes note that a task is not taken for now, where more are owed than are told at a time. It says whether others go.
func Postpone(s *State, task string, now int64) bool {
	if task == s.question.ID {
		return s.askNext(now)
	}
	if s.noticesOwed-len(s.later.items) <= s.atOnce {
		return false
	}
	room := s.atOnce
	for i := range s.notices {
		n := &s.notices[i]
		if !n.isOwed() {
			continue
		}
		if room--; room < 0 {
			return false
		}
		if n.task.ID != task {
			continue
		}
		n.until = now + min(int64(putOffMinMs)<<min(n.times, 8), putOffMaxMs)
		n.times++
		s.later.push(*n)
		*n = notice{}
		s.settleNotices()
		return true
	}
	return false
}

func newLater() minHeap[notice] {
	return minHeap[notice]{less: func(a, b notice) bool { return a.until < b.until || a.until == b.until && a.contest < b.contest }}
}

// comeBack puts the notices whose time is over behind the others, and says when the next one's is; 0 = none is put off.
func (s *State) comeBack(now int64) int64 {
	for len(s.later.items) > 0 {
		next := s.later.items[0].until
		if next > now && next <= now+putOffMaxMs { // later: the clock was set back
			return next
		}
		if n := s.later.pop(); n.isOwed() {
			s.notices = append(s.notices, n)
		}
	}
	return 0
}

// askNext asks about the next claim that is old enough. Behind the last one it begins again with the oldest, after a pause.
func (s *State) askNext(now int64) bool {
	one := s.asked
	if one == nil {
		one = s.unchecked
	}
	if one == nil {
		return false
	}
	if next := one.nextUnchecked(); next != nil && next.madeAt+CheckAfterMs <= now {
		s.asked = next
		return true
	}
	if s.asked == nil {
		return false // the only one
	}
	s.asked, s.askFrom = nil, now+checkPauseMs
	return true
}

func (r *reservation) nextUnchecked() *reservation {
	for r = r.next; r != nil && !r.unchecked; r = r.next {
	}
	return r
}
