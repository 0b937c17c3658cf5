package actors

import "sync"

// uncoveredRetryMs is when the caller of an order with an unknown SKU may come back to a node that does not know everything yet.
const uncoveredRetryMs = 200

// coverage is which partitions' buckets the view holds: all that a partition had when it was served here, or when another node had told it
// whole. A partition once covered stays so: what comes later is told as it comes. Only a node that shares its view asks for it.
type coverage struct {
	mu      sync.Mutex
	shared  bool
	covered []bool
	missing int
	own     []uint32 // covered by serving it here, in that order
	serving []bool   // served here now: nobody else makes buckets of it
	ring    func()
}

func (c *coverage) init(partitions int) {
	c.covered, c.serving, c.missing = make([]bool, partitions), make([]bool, partitions), partitions
}

// note marks a partition. own says that it was served here, which others are to be told.
func (c *coverage) note(partition int, own bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if partition >= len(c.covered) {
		return
	}
	if !c.covered[partition] {
		c.covered[partition] = true
		c.missing--
	}
	if !own {
		return
	}
	c.serving[partition] = true
	c.own = append(c.own, uint32(partition))
	if c.ring != nil {
		c.ring()
	}
}

// left notes that a partition is served here no more. What the view holds of it stays, and may be behind from now on.
func (c *coverage) left(partition int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if partition < len(c.serving) {
		c.serving[partition] = false
	}
}

// Serving lists the partitions that are served here now: of those this node knows every bucket, whatever it may have missed of others.
func (k *Knowledge) Serving() []uint32 {
	c := &k.coverage
	c.mu.Lock()
	defer c.mu.Unlock()
	var list []uint32
	for p, yes := range c.serving {
		if yes {
			list = append(list, uint32(p))
		}
	}
	return list
}

// Partitions is how many there are.
func (k *Knowledge) Partitions() int { return len(k.coverage.covered) }

// served lists the partitions that were served here.
func (c *coverage) served() []uint32 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.own[:len(c.own):len(c.own)]
}

// all lists the covered partitions.
func (c *coverage) all() []uint32 {
	c.mu.Lock()
	defer c.mu.Unlock()
	var list []uint32
	for p, yes := range c.covered {
		if yes {
			list = append(list, uint32(p))
		}
	}
	return list
}

// Cover notes that a partition is served here: every bucket and site of it has been observed.
func (k *Knowledge) Cover(partition int) { k.coverage.note(partition, true) }

// Uncovered counts the partitions of which this node does not know every bucket yet. A node that does not share its view knows all.
func (k *Knowledge) Uncovered() int {
	k.coverage.mu.Lock()
	defer k.coverage.mu.Unlock()
	if !k.coverage.shared {
		return 0
	}
	return k.coverage.missing
}
