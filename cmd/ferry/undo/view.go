package undo

import (
	"bytes"
	"context"
	"fmt"
	"hash/maphash"
	"iter"

	"github.com/kubeferry/kubeferry/archive"
	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
	"github.com/kubeferry/kubeferry/etcdwalk/kube/need"
	"github.com/kubeferry/kubeferry/etcdwalk/kube/order"
	"github.com/kubeferry/kubeferry/etcdwalk/replay"
	"github.com/kubeferry/kubeferry/etcdwalk/replay/journal"
)

// What a change has made of a key.
type fate uint8

const (
	created fate = iota + 1
	replaced
	deleted
)

// touch is what a change has made of a key: some 50 bytes for each are remembered.
type touch struct {
	made journal.Digest // of what was written; of what was deleted there is none
	turn uint8          // of the undo
	run  int            // of the turn
	fate fate
}

// A before is what the keys of a change held before it, in the order in which the undo comes
// to them: Namespaces that the change has made go first, so that nobody makes anything anew
// in them, and those that it has deleted come last, for the same reason; between them what owns
// before what is owned, as in the change. A key that held nothing is an entry without a value.
type before struct {
	*archive.Reader
	plan    *journal.File
	digest  func(etcdwalk.Entry) journal.Digest
	layout  *kube.Layout
	seed    maphash.Seed
	touched map[uint64]touch
	spaces  [][]byte // Namespaces that the change has made
	runs    [turns]order.Runs
}

var _ etcdwalk.View = (*before)(nil)

// view is what the keys of the change held before it.
func (c *change) view(digest func(etcdwalk.Entry) journal.Digest, layout *kube.Layout) (*before, error) {
	b := &before{Reader: c.reader, plan: c.plan, digest: digest, layout: layout, seed: maphash.MakeSeed(), touched: map[uint64]touch{}}
	wrote, err := b.wrote(c.done)
	if err != nil {
		return nil, err
	}
	for line, err := range c.plan.Lines() {
		if err != nil {
			return nil, err
		}
		t := touch{made: line.Wanted, fate: b.fateOf(line)}
		if t.fate == 0 || wrote != nil && !wrote[b.hash(line.Key)] {
			continue
		}
		if _, twice := b.touched[b.hash(line.Key)]; twice {
			return nil, fmt.Errorf("key %q is twice in the plan%.0w", line.Key, journal.ErrDamaged)
		}
		t.turn = b.turnOf(line.Key, t.fate)
		t.run = b.runs[t.turn].Add(line.Key)
		if b.touched[b.hash(line.Key)] = t; t.turn == 0 {
			b.spaces = append(b.spaces, line.Key)
		}
	}
	return b, nil
}

// turns is how many there are.
const turns = 3

// turnOf is the turn that a key is taken back in.
func (b *before) turnOf(key []byte, made fate) uint8 {
	switch is := b.layout.Classify(key).Kind == "namespaces"; {
	case is && made == created:
		return 0
	case is && made == deleted:
		return 2
	}
	return 1
}

// wrote are the keys that the change has touched, by their hashes; nil: that is not known.
func (b *before) wrote(done *journal.File) (map[uint64]bool, error) {
	if done == nil {
		return nil, nil
	}
	keys := map[uint64]bool{}
	for line, err := range done.Lines() {
		if err != nil {
			return nil, err
		}
		keys[b.hash(line.Key)] = true
	}
	return keys, nil
}

// fateOf is what a line says that became of a key; 0: nothing that is to be taken back. What
// API servers allot they take back themselves.
func (b *before) fateOf(line journal.Line) fate {
	if kind := b.layout.Classify(line.Key).Kind; kind == need.AddressKind || kind == "ranges" {
		return 0
	}
	switch made := replay.Fate(line.Fate); {
	case made == replay.Deleted:
		return deleted
	case made == replay.Created && line.Revision == 0:
		return created
	case made == replay.Created, made == replay.Replaced:
		return replaced
	}
	return 0
}

func (b *before) hash(key []byte) uint64 { return maphash.Bytes(b.seed, key) }

// selections are the runs, turn by turn.
func (b *before) selections() (all []etcdwalk.Selection) {
	for turn := range b.runs {
		all = append(all, b.runs[turn].Selections(func(key []byte) (int, bool) {
			t, is := b.touched[b.hash(key)]
			return t.run, is && int(t.turn) == turn
		})...)
	}
	return all
}

// Walk implements [etcdwalk.View].
func (b *before) Walk(ctx context.Context, sel etcdwalk.Selection) iter.Seq2[etcdwalk.Entry, error] {
	return func(yield func(etcdwalk.Entry, error) bool) {
		next, done := iter.Pull2(b.Reader.Walk(ctx, sel))
		defer done()
		had, err, more := next()
		for line, errLine := range b.plan.Lines() {
			if errLine != nil {
				yield(etcdwalk.Entry{}, errLine)
				return
			}
			if !sel.Ranges.Contains(line.Key) || !sel.TakesKey(line.Key) {
				continue
			}
			e := etcdwalk.Entry{Key: line.Key}
			if b.touched[b.hash(line.Key)].fate != created {
				for more && err == nil && bytes.Compare(had.Key, line.Key) < 0 {
					had, err, more = next()
				}
				switch {
				case err != nil:
					yield(etcdwalk.Entry{}, err)
					return
				case !more || !bytes.Equal(had.Key, line.Key) || had.ModRevision != line.Revision && b.digest(had) != line.Seen:
					// It had moved before the change could touch it: there is nothing to put back.
				default:
					e = had
				}
				e.ModRevision = 0 // that of the cluster tells more
			}
			if !yield(e, nil) {
				return
			}
		}
	}
}

// Count implements [etcdwalk.View].
func (b *before) Count(context.Context, etcdwalk.Selection) (int64, error) {
	return int64(len(b.touched)), nil
}
