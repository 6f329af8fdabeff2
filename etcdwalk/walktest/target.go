package walktest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/kubeferry/kubeferry/etcdwalk"
)

// A Fault is what goes wrong with one write.
type Fault int

// The faults. OK is none.
const (
	OK            Fault = iota
	LostAfter           // the write takes effect, its answer is lost
	LostBefore          // the write never arrives, and nobody can tell
	Unavailable         // the write is refused for now
	NoSpace             // the quota is used up
	TooLarge            // the request limit is exceeded
	NoLease             // the lease is gone: it expired meanwhile
	Denied              // the rights do not suffice
	Contradiction       // the answer cannot be true: it comes from another cluster
)

// Calls counts what was asked of a Target. Writes is the sum over all Applies.
type Calls struct{ Heads, Lookups, Applies, Grants, Writes int }

// A Target is an etcdwalk.Target in memory, with etcd's revisions, guards and
// leases. Its fields may be set before it is used. The hooks may call the target.
type Target struct {
	// MaxWrite is the largest key and value together, in bytes.
	MaxWrite int64
	// BeforeApply, if set, runs before the n-th Apply, counted from 1.
	BeforeApply func(n int, writes []etcdwalk.Write)
	// Inject, if set, chooses the fault of a write of the n-th Apply.
	Inject func(n int, w etcdwalk.Write) Fault
	// ReadErr, if set, may fail the n-th Heads or Lookup, counted together.
	ReadErr func(n int) error
	// GrantErr, if set, may fail the n-th Grant.
	GrantErr func(n int) error

	mu       sync.Mutex
	revision int64
	kvs      map[string]etcdwalk.Entry
	leases   map[int64]int64 // TTL by id
	lease    int64           // the last id granted
	calls    Calls
	fired    map[Fault]int
}

var _ etcdwalk.Target = (*Target)(nil)

// NewTarget makes a target that holds the entries, written one after the other
// in the order of their keys. Their leases are granted under their own ids.
func NewTarget(entries ...etcdwalk.Entry) *Target {
	t := &Target{
		MaxWrite: 3 << 19, // etcd's default, 1.5 MiB
		revision: 1,
		kvs:      map[string]etcdwalk.Entry{},
		leases:   map[int64]int64{},
		lease:    0x7a0000,
		fired:    map[Fault]int{},
	}
	for _, e := range Sorted(entries) {
		if e.Lease != 0 {
			t.leases[e.Lease] = 3600
		}
		t.put(e.Key, e.Value, e.Lease)
	}
	return t
}

// Put writes a key as another client would, and returns the new revision.
func (t *Target) Put(key, value string) int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.put([]byte(key), []byte(value), 0)
}

// Delete deletes a key as another client would.
func (t *Target) Delete(key string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.delete([]byte(key))
}

// delete needs the lock.
func (t *Target) delete(key []byte) int64 {
	t.revision++
	delete(t.kvs, string(key))
	return t.revision
}

// Revoke ends a lease, and deletes its keys with it.
func (t *Target) Revoke(lease int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.revision++
	delete(t.leases, lease)
	maps.DeleteFunc(t.kvs, func(_ string, e etcdwalk.Entry) bool { return e.Lease == lease })
}

// put needs the lock.
func (t *Target) put(key, value []byte, lease int64) int64 {
	t.revision++
	e := etcdwalk.Entry{Key: key, Value: value}.Clone()
	e.CreateRevision, e.ModRevision, e.Version, e.Lease = t.revision, t.revision, 1, lease
	if old, ok := t.kvs[string(key)]; ok {
		e.CreateRevision, e.Version = old.CreateRevision, old.Version+1
	}
	t.kvs[string(key)] = e
	return t.revision
}

// Entries is what the target holds, sorted by key.
func (t *Target) Entries() []etcdwalk.Entry {
	t.mu.Lock()
	defer t.mu.Unlock()
	return Sorted(slices.Collect(maps.Values(t.kvs)))
}

// View is what the target holds, at its present revision.
func (t *Target) View() *View {
	v := NewView(t.Entries()...)
	v.About.Revision = t.Revision()
	return v
}

// Revision is the revision of the last write.
func (t *Target) Revision() int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.revision
}

// TTLs is the TTL of each lease by its id.
func (t *Target) TTLs() map[int64]int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return maps.Clone(t.leases)
}

// Calls tells what was asked of the target so far.
func (t *Target) Calls() Calls {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.calls
}

// Fired tells how often a fault was met by a write.
func (t *Target) Fired(f Fault) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.fired[f]
}

// Heads implements etcdwalk.Target.
func (t *Target) Heads(ctx context.Context, keys [][]byte) ([]int64, error) {
	if err := t.read(ctx, &t.calls.Heads); err != nil {
		return nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	heads := make([]int64, len(keys))
	for i, key := range keys {
		heads[i] = t.kvs[string(key)].ModRevision
	}
	return heads, nil
}

// Lookup implements etcdwalk.Target.
func (t *Target) Lookup(ctx context.Context, keys [][]byte) ([]*etcdwalk.Entry, error) {
	if err := t.read(ctx, &t.calls.Lookups); err != nil {
		return nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	found := make([]*etcdwalk.Entry, len(keys))
	for i, key := range keys {
		if e, ok := t.kvs[string(key)]; ok {
			e = e.Clone()
			found[i] = &e
		}
	}
	return found, nil
}

// read counts one read, and fails it if it shall.
func (t *Target) read(ctx context.Context, counter *int) error {
	t.mu.Lock()
	*counter++
	n := t.calls.Heads + t.calls.Lookups
	t.mu.Unlock()
	if err := ctx.Err(); err != nil || t.ReadErr == nil {
		return err
	}
	return t.ReadErr(n)
}

// Apply implements etcdwalk.Target.
func (t *Target) Apply(ctx context.Context, writes []etcdwalk.Write) []etcdwalk.Result {
	t.mu.Lock()
	t.calls.Applies++
	t.calls.Writes += len(writes)
	n := t.calls.Applies
	t.mu.Unlock()
	if t.BeforeApply != nil {
		t.BeforeApply(n, writes)
	}
	results := make([]etcdwalk.Result, len(writes))
	seen := map[string]bool{}
	for i, w := range writes {
		if seen[string(w.Key)] {
			panic(fmt.Sprintf("walktest: key %q is given twice to one Apply", w.Key))
		}
		seen[string(w.Key)] = true
		results[i] = t.apply(ctx, n, w)
	}
	return results
}

// apply makes one write and brings upon it what Inject chose.
func (t *Target) apply(ctx context.Context, n int, w etcdwalk.Write) etcdwalk.Result {
	if err := ctx.Err(); err != nil {
		return etcdwalk.Result{State: etcdwalk.WriteFailed, Err: err}
	}
	fault := OK
	if t.Inject != nil {
		fault = t.Inject(n, w)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.fired[fault]++
	switch fault {
	case OK:
		return t.write(w)
	case LostAfter:
		t.write(w)
		return etcdwalk.Result{State: etcdwalk.WriteUnknown, Err: errLost}
	case LostBefore:
		return etcdwalk.Result{State: etcdwalk.WriteUnknown, Err: errLost}
	default:
		return etcdwalk.Result{State: etcdwalk.WriteFailed, Err: faultErrs[fault]}
	}
}

// write needs the lock.
func (t *Target) write(w etcdwalk.Write) etcdwalk.Result {
	if err := w.Check(); err != nil {
		return etcdwalk.Result{State: etcdwalk.WriteFailed, Err: err}
	}
	if int64(len(w.Key)+len(w.Value)) > t.MaxWrite {
		return etcdwalk.Result{State: etcdwalk.WriteFailed, Err: etcdwalk.ErrTooLarge}
	}
	if t.kvs[string(w.Key)].ModRevision != w.Seen {
		return etcdwalk.Result{State: etcdwalk.WriteRaced}
	}
	if w.Delete {
		return etcdwalk.Result{State: etcdwalk.WriteApplied, Revision: t.delete(w.Key)}
	}
	if _, ok := t.leases[w.Lease]; w.Lease != 0 && !ok {
		return etcdwalk.Result{State: etcdwalk.WriteFailed, Err: etcdwalk.ErrNoLease}
	}
	return etcdwalk.Result{State: etcdwalk.WriteApplied, Revision: t.put(w.Key, w.Value, w.Lease)}
}

// Grant implements etcdwalk.Target.
func (t *Target) Grant(ctx context.Context, ttl int64) (int64, error) {
	t.mu.Lock()
	t.calls.Grants++
	n := t.calls.Grants
	t.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	if t.GrantErr != nil {
		if err := t.GrantErr(n); err != nil {
			return 0, err
		}
	}
	if ttl <= 0 {
		return 0, fmt.Errorf("grant a lease of %d seconds", ttl)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lease++
	t.leases[t.lease] = ttl
	return t.lease, nil
}

var errLost = errors.New("the answer was lost")

var faultErrs = map[Fault]error{
	Unavailable: etcdwalk.ErrUnavailable,
	NoSpace:     etcdwalk.ErrNoSpace,
	TooLarge:    etcdwalk.ErrTooLarge,
	NoLease:     etcdwalk.ErrNoLease,
	Denied:      etcdwalk.ErrDenied,

	Contradiction: etcdwalk.ErrInvariant,
}
