package site

import "math"

// windows counts accepted work per named window ("2026-11-22T09", "2026-11-22"). Names sort as time does. Only the newest `kept`
// windows stay; a window that fell out is unknown and counts as full, so forgetting can refuse work but never exceed capacity.
// A freed window keeps its zero for that reason: its place shows that older ones have been forgotten.
type windows struct {
	kept int
	list []window // by name
}

type window struct {
	name  string
	count int64
}

// find looks from the newest end, where nearly every question lands.
func (w *windows) find(name string) (at int, found bool) {
	for at = len(w.list); at > 0; at-- {
		if last := w.list[at-1].name; last == name {
			return at - 1, true
		} else if last < name {
			break
		}
	}
	return at, false
}

func (w *windows) count(name string) int64 {
	at, found := w.find(name)
	switch {
	case found:
		return w.list[at].count
	case at == 0 && len(w.list) == w.kept:
		return math.MaxInt64
	}
	return 0
}

// add counts one more and returns the name as it is kept, so that thousands of jobs share one string.
func (w *windows) add(name string) string {
	if name == "" {
		return name
	}
	at, found := w.find(name)
	if found {
		w.list[at].count++
		return w.list[at].name
	}
	w.list = append(w.list, window{})
	copy(w.list[at+1:], w.list[at:])
	w.list[at] = window{name, 1}
	if len(w.list) > w.kept {
		w.list = append(w.list[:0], w.list[1:]...)
	}
	return name
}

// shared gives the name as it is kept, if it is: thousands of jobs have the same.
func (w *windows) shared(name []byte) string {
	for at := len(w.list); at > 0; at-- {
		if one := w.list[at-1].name; one == string(name) {
			return one
		}
	}
	return string(name)
}

// free gives one back to the window it was taken from.
func (w *windows) free(name string) {
	if at, found := w.find(name); found && w.list[at].count > 0 {
		w.list[at].count--
	}
}
