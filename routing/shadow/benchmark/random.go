package benchmark

import "math/bits"

// source is the splitmix64 generator. It is written out here, because a published seed must mean the same numbers in every version
// of every library.
type source struct{ state uint64 }

func (s *source) next() uint64 {
	s.state += 0x9e3779b97f4a7c15
	return mix(s.state)
}

// mix makes unrelated numbers of neighboring ones.
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// child is the seed of the n-th thing below a seed.
func child(seed uint64, n int) uint64 { return mix(seed ^ mix(uint64(n)+0x632be59bd9b4e019)) }

// uniform is a number in [0, 1).
func (s *source) uniform() float64 { return float64(s.next()>>11) * 0x1p-53 }

// below is an integer in [0, n).
func (s *source) below(n int) int {
	hi, _ := bits.Mul64(s.next(), uint64(n))
	return int(hi)
}

// shuffle puts the numbers in a random order.
func (s *source) shuffle(numbers []int) {
	for i := len(numbers) - 1; i > 0; i-- {
		j := s.below(i + 1)
		numbers[i], numbers[j] = numbers[j], numbers[i]
	}
}
