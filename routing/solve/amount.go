package solve

import "math/bits"

// words of an amount.
const words = 3

// wordMax bounds how far two plans may lie apart in one word. Bounds add up the savings of all sites and the prices of all items, so it is
// less when there are many: see begin.
const wordMax = int64(1) << 54

// amount is a value of the objective, all levels in one. Amounts are added word by word and compared from the first word on.
type amount [words]int64

func (a *amount) less(b *amount) bool {
	if a[0] != b[0] {
		return a[0] < b[0]
	}
	if a[1] != b[1] {
		return a[1] < b[1]
	}
	return a[2] < b[2]
}

func (a *amount) compare(b *amount) int {
	if *a == *b {
		return 0
	}
	if a.less(b) {
		return -1
	}
	return 1
}

func (a *amount) positive() bool {
	if a[0] != 0 {
		return a[0] > 0
	}
	if a[1] != 0 {
		return a[1] > 0
	}
	return a[2] > 0
}

func (a *amount) add(b *amount) {
	a[0] += b[0]
	a[1] += b[1]
	a[2] += b[2]
}

func (a *amount) sub(b *amount) {
	a[0] -= b[0]
	a[1] -= b[1]
	a[2] -= b[2]
}

func (a *amount) addTimes(b *amount, n int64) {
	a[0] += b[0] * n
	a[1] += b[1] * n
	a[2] += b[2] * n
}

func minus(a, b *amount) amount {
	return amount{a[0] - b[0], a[1] - b[1], a[2] - b[2]}
}

// packing says where each level lies in an amount. Units short are the level 0, those of the problem come behind it.
type packing struct {
	levels []packed
	limit  int64 // how far two plans may lie apart in one word
	wide   bool  // more than one word is in use
}

// packed is a level's span (how far two plans can lie apart) and its place: values are shifted to the right, then weighted into a word.
type packed struct {
	span   int64
	low    int64 // how far below zero a plan can be
	shift  int
	word   int
	weight int64 // 0 = it found no room
}

// lay finds a place for every level: from the first on, as many into one word as fit. It returns how many found room.
func (p *packing) lay() int {
	n, word, from := len(p.levels), 0, 0
	for from < n && word < words {
		to, product := from, int64(1)
		for to < n {
			hi, lo := bits.Mul64(uint64(product), uint64(p.levels[to].span)+1)
			if hi != 0 || lo > uint64(p.limit) {
				break
			}
			product, to = int64(lo), to+1
		}
		weight := int64(1)
		for k := to - 1; k >= from; k-- {
			p.levels[k].word, p.levels[k].weight = word, weight
			weight *= p.levels[k].span + 1
		}
		word, from = word+1, to
	}
	p.wide = word > 1
	for k := from; k < n; k++ {
		p.levels[k].weight = 0
	}
	return from
}

// put adds a value of a level to an amount.
func (l *packed) put(a *amount, value int64) { a[l.word] += (value >> l.shift) * l.weight }

// widen takes up how far plans can be above and below zero. What is wider than most is made coarser, so that every level finds room in a word of
// its own.
func (l *packed) widen(above, below sum, most int64) {
	span := above
	var carry uint64
	span.lo, carry = bits.Add64(above.lo, below.lo, 0)
	span.hi += below.hi + carry
	l.shift = 0
	for ; span.hi != 0 || span.lo > uint64(most); l.shift++ {
		span.halve()
		below.halve()
	}
	l.span, l.low = int64(span.lo), int64(below.lo)
	if l.shift > 0 { // every term is rounded down on its own
		l.span, l.low = most, l.low+1<<32
	}
}

// sum is a sum of products that does not overflow.
type sum struct{ hi, lo uint64 }

func (s *sum) add(a, b uint64) {
	hi, lo := bits.Mul64(a, b)
	var carry uint64
	s.lo, carry = bits.Add64(s.lo, lo, 0)
	s.hi += hi + carry
}

func (s *sum) halve() {
	s.lo = s.lo>>1 | s.hi<<63
	s.hi >>= 1
}

func resize[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n, n+n/2)
	}
	return s[:n]
}
