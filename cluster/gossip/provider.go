package gossip

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/asynkron/protoactor-go/actor"
	protocluster "github.com/asynkron/protoactor-go/cluster"

	"orderyard/cluster"
	"orderyard/cluster/link"
	"orderyard/messages"
)

// provider is protoactor's view of memberlist: its ClusterProvider.
type provider struct {
	start func(*protocluster.Cluster) error
	stop  func(graceful bool) error
}

// StartMember is called by protoactor when its remote listens.
func (p *provider) StartMember(c *protocluster.Cluster) error { return p.start(c) }

// StartClient is not used: every process is a member, whether it owns partitions or not.
func (p *provider) StartClient(*protocluster.Cluster) error {
	return errors.New("a process joins as a member")
}

// Shutdown leaves.
func (p *provider) Shutdown(graceful bool) error { return p.stop(graceful) }

// topology is what protoactor is told. When a member leaves it, protoactor ends the streams to it and never lets the same id in again. So
// nobody leaves whom the arbiter counts among the living, gossip may say what it likes; and who has left and comes back gets another id.
type topology struct {
	times map[string]int  // an incarnation has left
	told  map[string]bool // incarnations
}

// next gives the members for what gossip and the arbiter say now. It is called by one goroutine.
func (t *topology) next(gossip []member, living []*messages.NodeSession) protocluster.Members {
	addrs := make(map[string]string, len(gossip))
	for _, s := range living {
		addrs[s.Incarnation] = s.RemoteAddr
	}
	for _, m := range gossip {
		addrs[m.session.Incarnation] = m.session.RemoteAddr
	}
	for id := range t.told {
		if _, there := addrs[id]; !there {
			t.times[id]++
			delete(t.told, id)
		}
	}
	var members protocluster.Members
	for _, incarnation := range slices.Sorted(maps.Keys(addrs)) {
		host, port, err := split(addrs[incarnation])
		if err != nil {
			continue
		}
		t.told[incarnation] = true
		id := incarnation
		if n := t.times[incarnation]; n > 0 {
			id = fmt.Sprintf("%s#%d", id, n+1)
		}
		members = append(members, &protocluster.Member{Id: id, Host: bracket(host), Port: int32(port)})
	}
	return members
}

func newTopology() *topology { return &topology{times: map[string]int{}, told: map[string]bool{}} }

// identities finds entities for protoactor: its IdentityLookup. There is no activation to place or to remember: the PID is that of the
// link of the node that owns the partition.
type identities struct{ view func() *cluster.Map }

// Get gives the PID of the link of the node that owns an identity; nil when none does at the moment.
func (i identities) Get(id *protocluster.ClusterIdentity) *actor.PID {
	kind, ok := kinds[id.Kind]
	m := i.view()
	if !ok || len(m.Owners) == 0 {
		return nil
	}
	owner := m.Owner(cluster.PartitionOf(messages.Ref{Kind: kind, ID: id.Identity}, len(m.Owners)))
	if owner == nil {
		return nil
	}
	return actor.NewPID(owner.RemoteAddr, link.EarName)
}

// RemovePid has nothing to remove.
func (identities) RemovePid(*protocluster.ClusterIdentity, *actor.PID) {}

// Setup has nothing to set up.
func (identities) Setup(*protocluster.Cluster, []string, bool) {}

// Shutdown has nothing to shut down.
func (identities) Shutdown() {}

var kinds = map[string]messages.Kind{
	messages.KindOrder.String(): messages.KindOrder, messages.KindBucket.String(): messages.KindBucket, messages.KindSite.String(): messages.KindSite,
}
