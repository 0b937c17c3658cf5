package entity

// flight is a task on its way: when to send it again, and how often that has happened.
type flight struct {
	id       string
	again    int64
	attempts int
	pass     uint64
}

// flights are the tasks of one entity that were sent and are not settled. Most entities have a few at a time: those are looked through; the index
// is made when there are many.
type flights struct {
	list  []flight
	index map[string]int
}

const fewFlights = 16

// find gives a flight until the next add or sweep; nil when there is none.
func (f *flights) find(id string) *flight {
	if f.index != nil {
		if i, ok := f.index[id]; ok {
			return &f.list[i]
		}
		return nil
	}
	for i := range f.list {
		if f.list[i].id == id {
			return &f.list[i]
		}
	}
	return nil
}

func (f *flights) add(id string) *flight {
	f.list = append(f.list, flight{id: id})
	switch {
	case f.index != nil:
		f.index[id] = len(f.list) - 1
	case len(f.list) > fewFlights:
		f.reindex()
	}
	return &f.list[len(f.list)-1]
}

// sweep drops what was not seen in a pass.
func (f *flights) sweep(pass uint64) {
	kept := f.list[:0]
	for i := range f.list {
		if f.list[i].pass == pass {
			kept = append(kept, f.list[i])
		}
	}
	clear(f.list[len(kept):])
	f.list, f.index = kept, nil
	if len(kept) > fewFlights {
		f.reindex()
	}
}

func (f *flights) reindex() {
	f.index = make(map[string]int, len(f.list))
	for i := range f.list {
		f.index[f.list[i].id] = i
	}
}
