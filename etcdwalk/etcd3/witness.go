package etcd3

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"math/rand/v2"
	"slices"
	"sync"

	"github.com/kubeferry/kubeferry/etcdwalk"
)

// Which pages are read again: one in a hundred, and of the whole walk three at
// least, one in each third of its keys.
const (
	againShare = 0.01
	againLeast = 3
)

// A witness has parts of a walk read again through each other member, and notes
// where they disagree. Members can come to hold different data (etcd: the
// post-mortem of data inconsistencies in 3.5), and what reads through one of them
// cannot see it. Of p pages that were read, one that differs is found with the
// probability 1 - (1-3/p)·(1-1/100): always up to three pages, with a hundred in four
// of a hundred walks. CompareMembers finds it always, and may need more rights.
type witness struct {
	cluster *Cluster
	info    etcdwalk.Info
	tasks   chan task
	done    sync.WaitGroup

	seen    int64 // keys so far
	targets []int64

	mu     sync.Mutex
	doubts []string
}

// A task is a part of the walk, with the hash of what was read.
type task struct {
	by          uint64 // the member
	first, last []byte
	sum         [sha256.Size]byte
}

// newWitness begins to watch a walk over so many keys; nil if there is nobody else
// to ask.
func newWitness(ctx context.Context, v *View, keys int64) *witness {
	if len(v.cluster.members.serving()) < 2 {
		return nil
	}
	w := &witness{cluster: v.cluster, info: v.info, tasks: make(chan task, 1024)}
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
	t := task{by: by, first: slices.Clone(entries[0].Key), last: slices.Clone(entries[len(entries)-1].Key)}
	sum := newSum()
	for _, e := range entries {
		sum.add(e)
	}
	t.sum = sum.total()
	select {
	case w.tasks <- t:
	default: // so many are waiting that one less is no loss
	}
}

// end waits until all has been read again, and returns where members disagree.
func (w *witness) end() []string {
	if w == nil {
		return nil
	}
	close(w.tasks)
	w.done.Wait()
	return w.doubts
}

// again reads a part through each other member.
func (w *witness) again(ctx context.Context, t task) {
	for _, m := range w.cluster.members.serving() {
		if m.id == t.by || ctx.Err() != nil {
			continue
		}
		sum, err := w.read(ctx, m, t)
		switch {
		case err == nil && sum == t.sum:
		case err == nil, errors.Is(err, etcdwalk.ErrInvariant):
			w.mu.Lock()
			w.doubts = append(w.doubts, fmt.Sprintf("member %x and member %x (%s) disagree about the keys from %q to %q at revision %d",
				t.by, m.id, m.name(), t.first, t.last, w.info.Revision))
			w.mu.Unlock()
		case errors.Is(err, etcdwalk.ErrUnavailable):
			w.cluster.members.leaveOut(m, err)
		default: // compacted by now, or denied: nothing is known
			w.cluster.cfg.Log.Info("a second reading did not succeed", "endpoint", m.name(), "cause", err)
		}
	}
}

// read hashes what a member holds of the part.
func (w *witness) read(ctx context.Context, m *member, t task) ([sha256.Size]byte, error) {
	v := &View{cluster: w.cluster.through(m), info: w.info, counts: map[span]int64{}}
	sum := newSum()
	part := etcdwalk.Selection{Ranges: etcdwalk.Ranges{{Start: t.first, End: etcdwalk.After(t.last)}}}
	for e, err := range v.Walk(ctx, part) {
		if err != nil {
			return sum.total(), err
		}
		sum.add(e)
	}
	return sum.total(), nil
}

// A sum is the hash of entries, wherever one message ends and the next begins.
type sum struct {
	hash   hash.Hash
	buffer []byte
}

func newSum() *sum { return &sum{hash: sha256.New()} }

func (s *sum) add(e etcdwalk.Entry) {
	s.buffer = etcdwalk.AppendRecord(s.buffer[:0], e)
	_, _ = fmt.Fprintf(s.hash, "%d ", len(s.buffer)) // a hash never fails
	s.hash.Write(s.buffer)
}

func (s *sum) total() (t [sha256.Size]byte) {
	s.hash.Sum(t[:0])
	return t
}
