package gossip

import (
	"context"
	"net"
	"slices"
	"strconv"
	"time"
)

// callsMax bounds the addresses called at once.
const callsMax = 8

// join calls everybody who may be there. It returns when one has answered, when none can, or after JoinWithin; the search for those who
// are missing goes on until leave.
func (m *members) join(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, m.o.Limits.JoinWithin)
	defer cancel()
	m.call(ctx, m.missing(ctx))
	m.ended.Go(m.search)
}

// search calls who is missing, more often while nobody else is there. memberlist forgets members that have been dead for a while, so a
// split that lasts would never heal by itself.
func (m *members) search() {
	for {
		pause := m.o.Limits.RejoinEvery
		if len(m.all()) <= 1 && len(m.o.Seeds) > 0 {
			pause /= 5
		}
		select {
		case <-m.done:
			return
		case <-time.After(pause):
		}
		ctx, cancel := context.WithTimeout(context.Background(), m.o.Limits.JoinWithin)
		m.call(ctx, m.missing(ctx))
		cancel()
	}
}

// missing lists the gossip addresses that may belong to members gossip does not have: the seeds, who lives as the arbiter has it, and
// who was lost not long ago.
func (m *members) missing(ctx context.Context) []string {
	var addrs []string
	for _, seed := range m.o.Seeds {
		found, err := addresses(ctx, seed)
		if err != nil {
			m.failed(seed, err)
		}
		addrs = append(addrs, found...)
	}
	for _, s := range m.o.Map().Members {
		if s.GossipAddr != "" {
			addrs = append(addrs, s.GossipAddr)
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for addr, at := range m.lost {
		if time.Since(at) > m.o.Limits.LostFor {
			delete(m.lost, addr)
			continue
		}
		addrs = append(addrs, addr)
	}
	here := map[string]bool{m.addr: true}
	for _, one := range m.present {
		here[one.gossip] = true
	}
	addrs = slices.DeleteFunc(addrs, func(addr string) bool { return here[addr] })
	slices.Sort(addrs)
	return slices.Compact(addrs)
}

// addresses gives every address a seed's name stands for.
func addresses(ctx context.Context, seed string) ([]string, error) {
	host, port, err := split(seed)
	if err != nil {
		return nil, err
	}
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, err
	}
	addrs := make([]string, len(ips))
	for i, ip := range ips {
		addrs[i] = net.JoinHostPort(ip.Unmap().String(), strconv.Itoa(port))
	}
	return addrs, nil
}

// call exchanges views with each address. It returns at the first success; the other calls go on by themselves, each for
// StreamWithin at most.
func (m *members) call(ctx context.Context, addrs []string) {
	results := make(chan bool, len(addrs))
	turn := make(chan struct{}, callsMax)
	for _, addr := range addrs {
		go func() {
			select {
			case turn <- struct{}{}:
			case <-ctx.Done():
				results <- false
				return
			}
			defer func() { <-turn }()
			_, err := m.list.Join([]string{addr})
			if err != nil {
				m.failed(addr, err)
			}
			results <- err == nil
		}()
	}
	for range addrs {
		select {
		case ok := <-results:
			if ok {
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

// failed tells the operator once about an address that cannot be reached, until it could be.
func (m *members) failed(addr string, err error) {
	m.mu.Lock()
	known := m.reported[addr]
	m.reported[addr] = true
	m.mu.Unlock()
	if known {
		m.o.Log.Debug("gossip address still not reached", "addr", addr, "error", err)
		return
	}
	m.o.Log.Warn("gossip address not reached; it will be tried again", "addr", addr, "error", err)
}
