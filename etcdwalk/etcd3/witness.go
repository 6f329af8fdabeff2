package etcd3

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"

	"github.com/kubeferry/kubeferry/etcdwalk"
)

// Which pages are read again: one in a hundred, and of the whole walk three at
// least, one in each third of its keys. Of one that is larger than a page is meant
// to be, the beginning is.
const (
	againShare = 0.01
	againLeast = 3
	againBytes = 2 * pageBytes
)

// leastPatience is how long a second reading may take at least, once the walk is done;
// it may take as long as the walk did.
const leastPatience = 2 * time.Second

// A witness has parts of a walk read again through each other member, and notes
// where they disagree. Members can come to hold different data (etcd: the
// post-mortem of data inconsistencies in 3.5), and what reads through one of them
// cannot see it. Of p pages that were read, one that differs is found with the
// probability 1 - (1-3/p)·(1-1/100): always up to three pages, with a hundred in four
// of a hundred walks. CompareMembers finds it always, and may need more rights.
type witness struct {
	cluster  *Cluster
	revision int64
	begun    time.Time
	cancel   context.CancelFunc
	tasks    chan task
	done     sync.WaitGroup

	seen    int64 // keys so far
	targets []int64

	mu     sync.Mutex
	doubts []string
	agreed int // parts that another member holds alike
}

// A task is a part of the walk, with the hash of what was read.
type task struct {
	by          uint64 // the member
	first, last []byte
	keys        int64
	sum         [sha256.Size]byte
}

// newWitness begins to watch a walk over so many keys; nil if there is nobody else
// to ask.
func newWitness(ctx context.Context, v *View, keys int64) *witness {
	if len(v.cluster.members.serving()) < 2 {
		return nil
	}
	ctx, cancel := context.WithCancel(ctx)
	w := &witness{cluster: v.cluster, revision: v.info.Revision, begun: time.Now(), cancel: cancel, tasks: make(chan task, 1024)}
	for i := range int64(againLeast) {
		from, to := keys*i/againLeast, keys*(i+1)/againLeast
		if to > from {
			w.targets = append(w.targets, from+rand.Int64N(to-from))
		}
	}
	w.done.Go(func() {
		for t := range w.tasks {
			w.again(ctx, t)
		}
	})
	return w
}

// see takes entries as a member gave them. It keeps nothing of them.
func (w *witness) see(by uint64, entries []etcdwalk.Entry) {
	if w == nil || len(entries) == 0 {
		return
	}
	begin, end := w.seen, w.seen+int64(len(entries))
	w.seen = end
	// Of two targets in one page the second moves on to the next.
	chosen := rand.Float64() < againShare
	hit := 0
	for i, target := range w.targets {
		if target < begin || target >= end {
			continue
		}
		if hit++; hit > 1 {
			w.targets[i] = end
		}
		chosen = true
	}
	if !chosen {
		return
	}
	select {
	case w.tasks <- newTask(by, entries):
	default: // so many are waiting that one less is no loss
	}
}

func newTask(by uint64, entries []etcdwalk.Entry) task {
	size := 0
	for i, e := range entries {
		if size += len(e.Key) + len(e.Value); size > againBytes && i > 0 {
			entries = entries[:i]
			break
		}
	}
	return task{
		by: by, first: slices.Clone(entries[0].Key), last: slices.Clone(entries[len(entries)-1].Key),
		keys: int64(len(entries)), sum: sumOf(entries),
	}
}

// sumOf is the hash of what entries say, however a server encodes it.
func sumOf(entries []etcdwalk.Entry) (total [sha256.Size]byte) {
	sum := sha256.New()
	var buffer []byte
	for _, e := range entries {
		e.Record = nil
		buffer = etcdwalk.AppendRecord(buffer[:0], e)
		_, _ = fmt.Fprintf(sum, "%d ", len(buffer)) // a hash never fails
		sum.Write(buffer)
	}
	sum.Sum(total[:0])
	return total
}

// end waits until all has been read again, as long as is due, and returns where
// members disagree, and how many parts they agree about. After a walk that failed
// nothing more is read.
func (w *witness) end(failed bool) (doubts []string, agreed int) {
	if w == nil {
		return nil, 0
	}
	if failed {
		w.cancel()
	}
	impatient := time.AfterFunc(max(leastPatience, time.Since(w.begun)), w.cancel)
	defer impatient.Stop()
	close(w.tasks)
	w.done.Wait()
	w.cancel()
	w.cluster.cfg.Log.Info("read again through other members", "agreed", w.agreed, "differ", len(w.doubts))
	return w.doubts, w.agreed
}

// again reads a part through each other member.
func (w *witness) again(ctx context.Context, t task) {
	var reading sync.WaitGroup
	for _, m := range w.cluster.members.serving() {
		if m.id == t.by || ctx.Err() != nil {
			continue
		}
		reading.Go(func() { w.compare(ctx, m, t) })
	}
	reading.Wait()
}

// compare reads a part through one member.
func (w *witness) compare(ctx context.Context, m *member, t task) {
	request := &pb.RangeRequest{Key: t.first, RangeEnd: etcdwalk.After(t.last), Revision: w.revision, Limit: t.keys + 1}
	var answer *pb.RangeResponse
	err := w.cluster.ask(ctx, m, w.cluster.cfg.CommandTimeout, func(ctx context.Context, conn grpc.ClientConnInterface) (_ *pb.ResponseHeader, err error) {
		answer, err = pb.NewKVClient(conn).Range(clientv3.WithRequireLeader(ctx), request, grpc.WaitForReady(false), grpc.MaxCallRecvMsgSize(math.MaxInt32))
		return answer.GetHeader(), err
	})
	var entries []etcdwalk.Entry
	for _, kv := range answer.GetKvs() {
		entries = append(entries, entryOf(kv))
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case err == nil && sumOf(entries) == t.sum:
		w.agreed++
	case err == nil, errors.Is(err, etcdwalk.ErrInvariant):
		w.doubts = append(w.doubts, fmt.Sprintf("member %x and member %x (%s) disagree about the keys from %q to %q at revision %d",
			t.by, m.id, m.name(), t.first, t.last, w.revision))
	default: // compacted by now, denied, out of time, or left out: nothing is known
		w.cluster.cfg.Log.Info("a second reading did not succeed", "endpoint", m.name(), "cause", err)
	}
}
