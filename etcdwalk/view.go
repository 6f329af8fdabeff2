package etcdwalk

import (
	"context"
	"fmt"
	"iter"
	"strconv"
	"time"
)

// A View is a keyspace at one moment.
type View interface {
	// Info tells what is known before the walk.
	Info() Info
	// Walk yields the selected entries, keys strictly ascending, and ends at
	// the first error. Who stops early frees what the walk holds.
	Walk(ctx context.Context, sel Selection) iter.Seq2[Entry, error]
	// Leases tells the TTLs of the leases with these ids. It answers for each
	// id, in the order asked; what cannot be told has a State that says so.
	Leases(ctx context.Context, ids []int64) ([]Lease, error)
	// Count tells how many keys the ranges of a selection hold, whatever of them it
	// matches, without reading values; less than 0: it is not known.
	Count(ctx context.Context, sel Selection) (int64, error)
}

// A Sink takes the entries of a walk, keys strictly ascending. The bytes of e
// are the caller's again when Put returns.
type Sink interface {
	Put(ctx context.Context, e Entry) error
}

// API names the interface that a view was read through.
type API string

// The interfaces that kubeferry knows.
const (
	V3   API = "v3"
	V2   API = "v2"
	File API = "file" // an etcd database file
)

// A ClusterID is the id that etcd gives a cluster: a hash of its peer URLs and
// token, hence no identity by itself. Its text form is etcd's: hexadecimal.
type ClusterID uint64

// String returns the id as etcdctl prints it.
func (id ClusterID) String() string { return strconv.FormatUint(uint64(id), 16) }

// MarshalText implements encoding.TextMarshaler.
func (id ClusterID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (id *ClusterID) UnmarshalText(text []byte) error {
	n, err := strconv.ParseUint(string(text), 16, 64)
	if err != nil {
		return fmt.Errorf("cluster id %q: %w", text, err)
	}
	*id = ClusterID(n)
	return nil
}

// Info is what is known of a View before it is walked.
type Info struct {
	API       API       `json:"api"`
	ClusterID ClusterID `json:"cluster_id"`
	// KubeSystemUID is the UID of Identity, where it has one. Readers that know
	// no Identities go by it.
	KubeSystemUID string `json:"kube_system_uid,omitempty"`
	// Identities say which Kubernetes clusters the view holds: one for each
	// prefix that was looked under. None: it was not looked.
	Identities    []Identity `json:"identities,omitempty"`
	ServerVersion string     `json:"server_version,omitempty"`
	// Revision is the moment of the view.
	Revision int64 `json:"revision"`
	// Taken is the moment as a time; zero: not known. An archive keeps it elsewhere.
	Taken time.Time `json:"-"`
	// Alarms are those that the cluster had raised then.
	Alarms []Alarm `json:"alarms,omitempty"`
}

// An Alarm is what a cluster says is wrong with itself, in etcd's word.
type Alarm string

// The alarms of etcd (api/etcdserverpb: AlarmType).
const (
	AlarmCorrupt Alarm = "CORRUPT" // its members hold different data
	AlarmNoSpace Alarm = "NOSPACE" // its quota is used up: it takes no writes
)

// Outcome is what is known of a View only after it was walked.
type Outcome struct {
	// Consistent says that all entries are of one moment.
	Consistent bool `json:"consistent"`
	// FirstIndex and LastIndex are the indices of a v2 store before and after.
	FirstIndex int64 `json:"first_index,omitempty"`
	LastIndex  int64 `json:"last_index,omitempty"`
	// Restarts counts the walks that were given up because their revision was
	// compacted away.
	Restarts int `json:"restarts"`
	// ReadAgain counts the parts that another member was found to hold alike.
	ReadAgain int `json:"read_again,omitempty"`
	// Doubts say, one by one, why the source may be corrupt: what became known of
	// it only while it was walked.
	Doubts []string `json:"doubts,omitempty"`
}

// LeaseState says how much is known of a lease.
type LeaseState string

// What can be known of a lease.
const (
	LeaseLive    LeaseState = "live"
	LeaseExpired LeaseState = "expired" // gone when it was asked for
	LeaseUnknown LeaseState = "unknown" // the server would not tell
)

// A Lease is what etcd knows of a lease. Times are in seconds, as etcd's are.
type Lease struct {
	ID        int64      `json:"id"`
	State     LeaseState `json:"state"`
	Granted   int64      `json:"granted_ttl"`
	Remaining int64      `json:"remaining_ttl"`
}
