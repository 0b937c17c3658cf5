package gossip

import (
	"github.com/asynkron/protoactor-go/actor"
	protocluster "github.com/asynkron/protoactor-go/cluster"

	"orderyard/cluster"
	"orderyard/cluster/link"
	"orderyard/messages"
)

// lookup is protoactor's IdentityLookup over the map of owners: an identity is found at the link of the node that owns its partition
// now. There is nothing to activate and nothing to remember: the owner checks every request.
type lookup struct{ g *Gossip }

var _ protocluster.IdentityLookup = (*lookup)(nil)

// Get implements IdentityLookup; nil when the kind is unknown or nobody owns the partition at the moment.
func (l *lookup) Get(id *protocluster.ClusterIdentity) *actor.PID {
	var kind messages.Kind
	for _, k := range []messages.Kind{messages.KindOrder, messages.KindBucket, messages.KindSite} {
		if k.String() == id.Kind {
			kind = k
		}
	}
	if kind == messages.KindNone {
		return nil
	}
	m := l.g.o.Map()
	owner := m.Owner(cluster.PartitionOf(messages.Ref{Kind: kind, ID: id.Identity}, len(m.Owners)))
	if owner == nil {
		return nil
	}
	return actor.NewPID(owner.RemoteAddr, link.EarName)
}

// RemovePid implements IdentityLookup: nothing is remembered.
func (l *lookup) RemovePid(*protocluster.ClusterIdentity, *actor.PID) {}

// Setup implements IdentityLookup.
func (l *lookup) Setup(*protocluster.Cluster, []string, bool) {}

// Shutdown implements IdentityLookup.
func (l *lookup) Shutdown() {}
