package messages

import "strings"

// Kind says which state machine an entity runs.
type Kind uint8

// The kinds of virtual actor. Their numbers are written to the journal.
const (
	KindNone   Kind = 0
	KindOrder  Kind = 1
	KindBucket Kind = 2
	KindSite   Kind = 3
	// KindRouting is no entity: a task addressed to it is computed on the spot by the node that runs the entity.
	KindRouting Kind = 100
)

func (k Kind) String() string {
	switch k {
	case KindOrder:
		return "order"
	case KindBucket:
		return "bucket"
	case KindSite:
		return "site"
	case KindRouting:
		return "routing"
	}
	return "none"
}

// Ref names one entity in the cluster.
type Ref struct {
	Kind Kind
	ID   string
}

func (r Ref) String() string { return r.Kind.String() + "/" + r.ID }

// IsZero reports whether r names nothing.
func (r Ref) IsZero() bool { return r.Kind == KindNone && r.ID == "" }

// OrderRef names an order by its id, "<channel>-<external id>".
func OrderRef(id string) Ref { return Ref{KindOrder, id} }

// SiteRef names a site.
func SiteRef(id string) Ref { return Ref{KindSite, id} }

// BucketRef names the stock of one SKU at one site.
func BucketRef(sku, site string) Ref { return Ref{KindBucket, sku + "@" + site} }

// SplitBucket parses "<sku>@<site>"; a SKU holds no '@', so the split is unique.
func SplitBucket(id string) (sku, site string, ok bool) { return strings.Cut(id, "@") }

// OrderID makes the order's id from what the channel calls it.
func OrderID(channel, externalID string) string { return channel + "-" + externalID }
