package etcdwalk

import "fmt"

// An IdentityState says what is known of who a Kubernetes cluster is.
type IdentityState string

// What can be known. A namespace that is there and cannot be read is not
// absent: etcd's own id does not stand in for it, since clusters made from one
// template share that id, and an etcd rebuilt from its own snapshot changes it.
const (
	IdentityUID        IdentityState = "uid"        // kube-system has this UID
	IdentityNone       IdentityState = "none"       // there is no such namespace
	IdentityUnreadable IdentityState = "unreadable" // there is one: sealed, or of a form that is not decoded
)

// An Identity is what tells one Kubernetes cluster from others: the UID of the
// namespace kube-system under one prefix of a keyspace, which may hold several
// clusters.
type Identity struct {
	Prefix string        `json:"prefix"`
	State  IdentityState `json:"identity"`
	UID    string        `json:"uid,omitempty"`
	// Encoding and SHA256 (in hexadecimal) are those of the stored value. They
	// are there only where it cannot be read. Equal bytes are a proof like an
	// equal UID.
	Encoding string `json:"encoding,omitempty"`
	SHA256   string `json:"sha256,omitempty"`
}

// String names the cluster for people, without the prefix.
func (i Identity) String() string {
	switch {
	case i.State == IdentityUID:
		return i.UID
	case i.State == IdentityNone:
		return "<none>"
	case i.State == "":
		return "unknown"
	case i.Encoding == "":
		return "unreadable"
	}
	return fmt.Sprintf("unreadable (%s)", i.Encoding)
}

// A Relation is what the identities of two clusters say of each other.
type Relation int

// The relations. Only the first two are proven.
const (
	SameCluster  Relation = iota // by UID, by equal bytes, or by etcd's id where there is no UID
	OtherCluster                 // both have a UID, and not the same
	OtherStore                   // one has no UID, and etcd's ids differ: another cluster, or a rebuilt etcd
	Undecided                    // an identity cannot be read, or etcd's id is not known
)

// Relate compares the identities of two clusters, which etcd calls a and b.
func (i Identity) Relate(a ClusterID, other Identity, b ClusterID) Relation {
	readable := func(i Identity) bool { return i.State == IdentityUID || i.State == IdentityNone }
	switch {
	case !readable(i) && !readable(other) && i.SHA256 != "" && i.SHA256 == other.SHA256:
		return SameCluster
	case !readable(i) || !readable(other):
		return Undecided
	case i.State == IdentityUID && other.State == IdentityUID && i.UID == other.UID:
		return SameCluster
	case i.State == IdentityUID && other.State == IdentityUID:
		return OtherCluster
	case a == 0 || b == 0: // kine tells no id
		return Undecided
	case a == b:
		return SameCluster
	}
	return OtherStore
}

// Identify takes the identities that were found in the view that i is of.
func (i *Info) Identify(found []Identity) {
	i.Identities = found
	i.KubeSystemUID = i.Identity().UID
}

// Identity is the first that is one; of several prefixes most are unused. What
// a view of before there were identities tells is its UID, if it has one; if
// not, the State is empty: not known.
func (i Info) Identity() Identity {
	for _, each := range i.Identities {
		if each.State != IdentityNone {
			return each
		}
	}
	switch {
	case len(i.Identities) > 0:
		return i.Identities[0]
	case i.KubeSystemUID != "":
		return Identity{State: IdentityUID, UID: i.KubeSystemUID}
	}
	return Identity{}
}
