package wire

// ClusterStatusRequest asks any node how it sees the cluster.
type ClusterStatusRequest struct{}

// ClusterStatusAnswer is the cluster as the answering node sees it.
type ClusterStatusAnswer struct {
	Head
	Cluster *ClusterStatus `json:"cluster,omitzero"`
}

// ClusterStatus counts partitions by where they stand: owned + moving + unowned = partitions.
type ClusterStatus struct {
	AnsweredBy string          `json:"answered_by"`
	Partitions int             `json:"partitions"`
	Owned      int             `json:"owned"`
	Moving     int             `json:"moving"`
	Unowned    int             `json:"unowned"`
	Nodes      []ClusterMember `json:"nodes"`
}

// ClusterMember is one process.
type ClusterMember struct {
	Node        string `json:"node"`
	Incarnation string `json:"incarnation"`
	Status      string `json:"status"` // joining ready draining
	Partitions  int    `json:"partitions"`
	Weight      int    `json:"weight"`
	RemoteAddr  string `json:"remote_addr"`
	GossipAddr  string `json:"gossip_addr"`
	Gossip      bool   `json:"gossip"` // the answering node sees it in its gossip, too
	StartedAt   Time   `json:"started_at"`
	Version     string `json:"version"`
}

// Of a ClusterMember.
const (
	MemberJoining  = "joining"
	MemberReady    = "ready"
	MemberDraining = "draining"
)

// ClusterPartitionsRequest asks for the table of ownership.
type ClusterPartitionsRequest struct{}

// ClusterPartitionsAnswer has a row for every partition.
type ClusterPartitionsAnswer struct {
	Head
	Partitions []ClusterPartition `json:"partitions,omitempty"`
}

// ClusterPartition is one partition's ownership record.
type ClusterPartition struct {
	Partition   int    `json:"partition"`
	Phase       string `json:"phase"` // owned moving released unowned
	Node        string `json:"node,omitempty"`
	Incarnation string `json:"incarnation,omitempty"`
	Next        string `json:"next,omitempty"` // node it moves to
	Since       Time   `json:"since,omitzero"`
}

// ClusterDrainRequest asks a node, by its name or incarnation, to give its partitions away and to take none.
type ClusterDrainRequest struct {
	Node string `json:"node"`
}

// ClusterDrainAnswer says that the node has begun; ClusterStatus tells how far it is.
type ClusterDrainAnswer struct {
	Head
	Node        string `json:"node,omitempty"`
	Incarnation string `json:"incarnation,omitempty"`
	Partitions  int    `json:"partitions"` // it still has
}
