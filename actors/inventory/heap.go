package inventory

// minHeap is a binary heap of values. container/heap would box each of them.
type minHeap[T any] struct {
	items []T
	less  func(a, b T) bool
}

func (h *minHeap[T]) push(x T) {
	h.items = append(h.items, x)
	i := len(h.items) - 1
	for i > 0 {
		parent := (i - 1) / 2
		if !h.less(h.items[i], h.items[parent]) {
			return
		}
		h.items[i], h.items[parent] = h.items[parent], h.items[i]
		i = parent
	}
}

func (h *minHeap[T]) pop() T {
	var zero T
	top, last := h.items[0], len(h.items)-1
	h.items[0], h.items[last] = h.items[last], zero
	h.items = h.items[:last]
	h.down(0)
	return top
}

// replaceTop puts x in the place of the smallest.
func (h *minHeap[T]) replaceTop(x T) {
	h.items[0] = x
	h.down(0)
}

// order makes a heap of items in any order; sorted items cost one comparison each.
func (h *minHeap[T]) order() {
	for i := len(h.items)/2 - 1; i >= 0; i-- {
		h.down(i)
	}
}

func (h *minHeap[T]) down(i int) {
	for {
		child := 2*i + 1
		if child >= len(h.items) {
			return
		}
		if right := child + 1; right < len(h.items) && h.less(h.items[right], h.items[child]) {
			child = right
		}
		if !h.less(h.items[child], h.items[i]) {
			return
		}
		h.items[i], h.items[child] = h.items[child], h.items[i]
		i = child
	}
}
