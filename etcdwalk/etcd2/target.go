package etcd2

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	client "go.etcd.io/etcd/client/v2"
	"golang.org/x/sync/errgroup"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/tree"
)

// atOnce is how many requests are under way together: the API takes one node a
// request.
const atOnce = 16

// A Target writes to a cluster, one node a request. Keys that end in a slash are
// directories.
type Target struct {
	cluster *Cluster

	mu     sync.Mutex
	leases []time.Time      // when those that were granted end, by id less 1
	lost   map[string]int64 // leases of writes whose answer was lost, by key
}

var _ etcdwalk.Target = (*Target)(nil)

// Target returns the cluster as something to write to.
func (c *Cluster) Target() *Target { return &Target{cluster: c, lost: map[string]int64{}} }

// Holds tells why no node can be what an entry of a view of another API, or of this
// one, says; nil: one can.
func (*Target) Holds(from etcdwalk.API, e etcdwalk.Entry) error {
	switch {
	case !utf8.Valid(e.Value):
		return errors.New("API v2 would damage the value: it is not text in UTF-8")
	case !storable(string(e.Key)), tree.IsDirectory(e.Key) && !tree.Is(from):
		return errors.New("no leaf of API v2 can have this key")
	}
	return nil
}

// Sequential says that one batch must follow the other: directories go first. The
// target has several requests under way by itself.
func (*Target) Sequential() bool { return true }

// Heads implements etcdwalk.Target.
func (t *Target) Heads(ctx context.Context, keys [][]byte) ([]int64, error) {
	found, err := t.Lookup(ctx, keys)
	heads := make([]int64, len(found))
	for i, e := range found {
		if e != nil {
			heads[i] = e.ModRevision
		}
	}
	return heads, err
}

// Lookup implements etcdwalk.Target. A directory where a leaf is asked for, or the
// reverse, has a value that no value equals.
func (t *Target) Lookup(ctx context.Context, keys [][]byte) ([]*etcdwalk.Entry, error) {
	found := make([]*etcdwalk.Entry, len(keys))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for i, key := range keys {
		group.Go(func() (err error) {
			found[i], err = t.lookup(ctx, string(key))
			return err
		})
	}
	return found, group.Wait()
}

// otherSort is the value of what is a directory where a leaf is asked for, or the
// reverse. No value of this API is like it, since it is not UTF-8.
const otherSort = "\xff"

func (t *Target) lookup(ctx context.Context, key string) (*etcdwalk.Entry, error) {
	if !storable(key) {
		return nil, nil // nor can it be written: see apply
	}
	answer, err := t.cluster.get(ctx, key, false)
	if err != nil {
		return nil, fmt.Errorf("look up key %q: %w", key, err)
	}
	if answer.Node == nil {
		return nil, nil
	}
	e := entryOf(answer.Node)
	if string(e.Key) != key {
		e.Key, e.Value = []byte(key), []byte(otherSort)
	}
	if e.Lease != 0 {
		e.Lease = t.recognise(key, answer.Node.TTL, e.Lease)
	}
	return &e, nil
}

// recognise tells the lease of a node that has ttl seconds left: one of ours if the
// answer to a write under it was lost and the times agree, else that of the node.
func (t *Target) recognise(key string, ttl, own int64) int64 {
	t.mu.Lock()
	id := t.lost[key]
	t.mu.Unlock()
	if id == 0 {
		return own
	}
	left, err := t.remaining(id)
	if err != nil || (left-time.Duration(ttl)*time.Second).Abs() > 2*time.Second {
		return own
	}
	return id
}

// storable tells whether the API can address a key: a path in UTF-8, clean, below
// the root.
func storable(key string) bool {
	path := strings.TrimSuffix(key, "/")
	if !strings.HasPrefix(path, "/") || !utf8.ValidString(path) || strings.ContainsRune(path, utf8.RuneError) {
		return false
	}
	for part := range strings.SplitSeq(path[1:], "/") {
		if part == "" || part == "." || part == ".." {
			return false
		}
	}
	return true
}

// Apply implements etcdwalk.Target. Who gives keys in several batches gives them one
// after the other: a leaf makes its directories, and these cannot be given a TTL
// then. So directories go first, and hold up what is below them.
func (t *Target) Apply(ctx context.Context, writes []etcdwalk.Write) []etcdwalk.Result {
	results := make([]etcdwalk.Result, len(writes))
	held := map[string]error{}
	for i, w := range writes {
		if !tree.IsDirectory(w.Key) {
			continue
		}
		results[i] = t.applyBelow(ctx, w, held)
		if err := holdUp(results[i]); err != nil {
			held[string(w.Key)] = fmt.Errorf("its directory %q comes first: %w", w.Key, err)
		}
	}
	var group errgroup.Group
	group.SetLimit(atOnce)
	for i, w := range writes {
		if tree.IsDirectory(w.Key) {
			continue
		}
		group.Go(func() error {
			results[i] = t.applyBelow(ctx, w, held)
			return nil
		})
	}
	_ = group.Wait() // each result has its own error
	return results
}

// holdUp tells why nothing may be written below a directory that came to this end;
// nil: it may.
func holdUp(r etcdwalk.Result) error {
	switch {
	case r.State == etcdwalk.WriteUnknown: // it may be there or not
		return fmt.Errorf("%w%.0w", r.Err, etcdwalk.ErrUnavailable)
	case errors.Is(r.Err, etcdwalk.ErrUnavailable), errors.Is(r.Err, etcdwalk.ErrExpired):
		return r.Err
	}
	return nil
}

// applyBelow makes one write, unless a directory above holds it up.
func (t *Target) applyBelow(ctx context.Context, w etcdwalk.Write, held map[string]error) etcdwalk.Result {
	for dir := range tree.Above(w.Key) {
		if err := held[string(dir)]; err != nil {
			return etcdwalk.Result{State: etcdwalk.WriteFailed, Err: err}
		}
	}
	return t.apply(ctx, w)
}

// apply makes one write. Nothing is sent that the client would send without its
// guard: to it an index of 0 and a TTL of 0 mean "not given".
func (t *Target) apply(ctx context.Context, w etcdwalk.Write) etcdwalk.Result {
	failed := func(err error) etcdwalk.Result { return etcdwalk.Result{State: etcdwalk.WriteFailed, Err: err} }
	key := string(w.Key)
	options := client.SetOptions{Dir: tree.IsDirectory(w.Key)}
	wrong := w.Check()
	switch {
	case ctx.Err() != nil:
		return failed(ctx.Err())
	case wrong != nil:
		return failed(wrong)
	case !storable(key):
		return failed(errors.New("no node of API v2 can have this key"))
	case w.Seen < 0:
		return failed(fmt.Errorf("index %d is no guard", w.Seen))
	case w.Seen > 0 && options.Dir:
		return failed(errors.New("API v2 cannot change a directory under a guard"))
	case w.Delete:
		return t.send(ctx, w, func(ctx context.Context, member client.KeysAPI) (*client.Response, error) {
			return member.Delete(ctx, key, &client.DeleteOptions{PrevIndex: uint64(w.Seen)})
		})
	case !utf8.Valid(w.Value) || options.Dir && len(w.Value) > 0:
		return failed(errors.New("API v2 would damage the value: it is not UTF-8"))
	case w.Seen == 0:
		options.PrevExist = client.PrevNoExist
	default:
		options.PrevIndex = uint64(w.Seen)
	}
	if w.Lease != 0 {
		var err error
		if options.TTL, err = t.remaining(w.Lease); err != nil {
			return failed(err)
		}
	}
	return t.send(ctx, w, func(ctx context.Context, member client.KeysAPI) (*client.Response, error) {
		return member.Set(ctx, key, string(w.Value), &options)
	})
}

// send makes the one request of a write.
func (t *Target) send(ctx context.Context, w etcdwalk.Write, request func(context.Context, client.KeysAPI) (*client.Response, error)) etcdwalk.Result {
	attempt, done := context.WithTimeout(ctx, t.cluster.cfg.CommandTimeout)
	defer done()
	member, turn := t.cluster.member()
	answer, err := request(attempt, member)
	if err == nil {
		err = checkAnswer(answer)
	}
	if err == nil {
		return etcdwalk.Result{State: etcdwalk.WriteApplied, Revision: int64(answer.Node.ModifiedIndex)}
	}
	result := t.refused(ctx, err, turn)
	if result.State == etcdwalk.WriteUnknown && w.Lease != 0 && !w.Delete {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.lost[string(w.Key)] = w.Lease
	}
	return result
}

// refused tells what the error of a write means. Only an answer of etcd, or no
// connection at all, is certain to mean that nothing was done.
func (t *Target) refused(ctx context.Context, err error, turn int64) etcdwalk.Result {
	_, answered := errors.AsType[client.Error](err)
	switch {
	case isCode(err, client.ErrorCodeTestFailed, client.ErrorCodeNodeExist, client.ErrorCodeKeyNotFound):
		return etcdwalk.Result{State: etcdwalk.WriteRaced}
	case isCode(err, client.ErrorCodeNotFile):
		return etcdwalk.Result{State: etcdwalk.WriteFailed, Err: errors.New("there is a directory of this name")}
	case isCode(err, client.ErrorCodeInvalidForm): // Go's limit for a form, 10 MiB
		return etcdwalk.Result{State: etcdwalk.WriteFailed, Err: etcdwalk.ErrTooLarge}
	case isCode(err, client.ErrorCodeNotDir):
		return etcdwalk.Result{State: etcdwalk.WriteFailed, Err: errors.New("a part of its path is not a directory")}
	}
	judged := t.cluster.judge(ctx, err)
	if errors.Is(judged, etcdwalk.ErrUnavailable) {
		t.cluster.passOver(turn, judged)
	}
	if answered && !isCode(err, client.ErrorCodeRaftInternal, client.ErrorCodeLeaderElect) || unsent(err) {
		return etcdwalk.Result{State: etcdwalk.WriteFailed, Err: judged}
	}
	return etcdwalk.Result{State: etcdwalk.WriteUnknown, Err: judged}
}

// Grant implements etcdwalk.Target. The API has no leases: it is the Target that
// remembers when a key is to go.
func (t *Target) Grant(ctx context.Context, ttl int64) (int64, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	if ttl <= 0 {
		return 0, fmt.Errorf("a TTL of %d seconds%.0w", ttl, etcdwalk.ErrNoLease)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.leases = append(t.leases, time.Now().Add(time.Duration(ttl)*time.Second))
	return int64(len(t.leases)), nil
}

// remaining is how long a lease still lives, in whole seconds, rounded to the
// nearest.
func (t *Target) remaining(id int64) (time.Duration, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if id < 1 || id > int64(len(t.leases)) {
		return 0, etcdwalk.ErrNoLease
	}
	left := time.Until(t.leases[id-1]).Round(time.Second)
	if left <= 0 {
		return 0, etcdwalk.ErrExpired
	}
	return left, nil
}
