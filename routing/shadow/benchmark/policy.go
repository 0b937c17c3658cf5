package benchmark

// decider assigns the orders of one instance, one after the other.
type decider interface {
	// begin starts a sequence.
	begin(seed uint64)
	// prepare is called before order t with the stock it finds; what it does is timed apart from the decision.
	prepare(t int, stock []int64)
	// decide assigns each item of the order to a center with stock, or to the virtual one.
	decide(a Arrival, stock []int64, out []int32)
}

// plain is a decider without memory.
type plain func(a Arrival, stock []int64, out []int32)

func (plain) begin(uint64)                                   {}
func (plain) prepare(int, []int64)                           {}
func (p plain) decide(a Arrival, stock []int64, out []int32) { p(a, stock, out) }

// staticNearest gives each item to the nearest center that carries it and nowhere else.
func staticNearest(in *Instance) decider {
	virtual := in.Virtual()
	return plain(func(a Arrival, stock []int64, out []int32) {
		for l, i := range in.Types[a.Type] {
			k := in.Near[i][a.City]
			if k != virtual && stock[k*in.Items+i] == 0 {
				k = virtual
			}
			out[l] = int32(k)
		}
	})
}

// nearestFirst gives each item to the nearest center that has it now.
func nearestFirst(in *Instance) decider {
	virtual := in.Virtual()
	return plain(func(a Arrival, stock []int64, out []int32) {
		for l, i := range in.Types[a.Type] {
			best := virtual
			for k := range virtual {
				if stock[k*in.Items+i] > 0 && (best == virtual || in.Miles[k][a.City] < in.Miles[best][a.City]) {
					best = k
				}
			}
			out[l] = int32(best)
		}
	})
}

// fewestSplits gives as many items as possible to one center, then as many of the rest, the nearest on ties.
func fewestSplits(in *Instance) decider {
	virtual := in.Virtual()
	return plain(func(a Arrival, stock []int64, out []int32) {
		items := in.Types[a.Type]
		for l := range items {
			out[l] = int32(virtual)
		}
		for {
			best, most := -1, 0
			for k := range virtual {
				holds := 0
				for l, i := range items {
					if int(out[l]) == virtual && stock[k*in.Items+i] > 0 {
						holds++
					}
				}
				if holds > most || holds == most && holds > 0 && in.Miles[k][a.City] < in.Miles[best][a.City] {
					best, most = k, holds
				}
			}
			if most == 0 {
				return
			}
			for l, i := range items {
				if int(out[l]) == virtual && stock[best*in.Items+i] > 0 {
					out[l] = int32(best)
				}
			}
		}
	})
}
