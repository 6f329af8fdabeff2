package ferry

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/kubeferry/kubeferry/cmd/ferry/undo"
	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/kube/need"
)

// A loss is an object that was written and did not stay as it was.
type loss struct {
	Key    string `json:"key"`
	What   string `json:"what"`
	Reason string `json:"reason"`
}

// An Aftermath is what became of what a restore wrote, while the controllers of a living
// cluster had time to answer.
type Aftermath struct {
	Seconds float64 `json:"seconds"` // watched
	Looks   int     `json:"looks"`
	Keys    int64   `json:"keys,omitempty"` // that were read back
	// Count is the number of the objects that are gone, are being deleted, or have
	// another in their place; Lost are the first 1,000 of them, by key.
	Count int64  `json:"lost"`
	Lost  []loss `json:"losses"`
	// Expected are those that are gone as their kind goes, such as Jobs past their time.
	Expected []loss `json:"expected,omitempty"`
}

// maxLosses bounds what is remembered by name.
const maxLosses = 1000

// Alive tells whether API servers keep signs of life in the target. That there are none
// proves nothing.
func (p *Planned) Alive(ctx context.Context) (bool, error) {
	return p.layout.Alive(ctx, p.cluster) // what the plan saw may be compacted
}

// Watch looks again, until the time is over, at what an apply has just written, and tells
// what did not stay. What it has seen by then it tells with an error as well.
func (r Restore) Watch(ctx context.Context, p *Planned, during time.Duration) (Aftermath, error) {
	w := &watching{r: r, p: p, lost: map[string]loss{}, expected: map[string]loss{}, counted: map[uint64]bool{}}
	tell, again := told(r.Progress), false
	watched, looks, err := undo.LookAgain(ctx, during, func(watched time.Duration) {
		tell(Watching, int64(watched/time.Second), int64(during/time.Second))
	}, func() error {
		err := w.look(ctx, again)
		again = again || err == nil
		return err
	})
	aftermath := w.told(watched, looks)
	if err != nil {
		return aftermath, fmt.Errorf("look again at what was written: %w", err)
	}
	if aftermath.Count > 0 {
		return aftermath, fmt.Errorf("%d of what was written did not stay%.0w", aftermath.Count, ErrIncomplete)
	}
	return aftermath, nil
}

// watching is one Watch.
type watching struct {
	r              Restore
	p              *Planned
	lost, expected map[string]loss // by key
	counted        map[uint64]bool // all that are lost, as written remembers keys
}

func (w *watching) told(watched time.Duration, looks int) Aftermath {
	byKey := func(losses map[string]loss) []loss {
		list := []loss{}
		for _, key := range slices.Sorted(maps.Keys(losses)) {
			list = append(list, losses[key])
		}
		return list
	}
	return Aftermath{Seconds: watched.Seconds(), Looks: looks, Lost: byKey(w.lost), Count: int64(len(w.counted)), Expected: byKey(w.expected)}
}

// Bounds of what is looked at together: keys, and bytes of what was written under them.
const (
	watchKeys  = 256
	watchBytes = 1 << 20
)

// look goes over what was written, once. A second time only what controllers look after
// is asked for.
func (w *watching) look(ctx context.Context, again bool) error {
	var batch []etcdwalk.Entry
	size := int64(0)
	for _, sel := range w.p.job.Selections {
		for e, err := range w.p.job.Source.Walk(ctx, sel) {
			if err != nil {
				return err
			}
			if !w.p.written.watched(e.Key) || again && w.p.passive(e) {
				continue
			}
			if len(batch) == watchKeys || len(batch) > 0 && size+e.Size() > watchBytes {
				if err := w.compare(ctx, batch); err != nil {
					return err
				}
				batch, size = batch[:0], 0
			}
			batch, size = append(batch, e.Clone()), size+e.Size()
		}
	}
	if err := w.compare(ctx, batch); err != nil {
		return err
	}
	return w.p.written.again(ctx, w.r.Target, func(key []byte) {
		w.lose(etcdwalk.Entry{Key: key}, "there again", "it was deleted, and a controller, or somebody, made it anew")
	})
}

// compare holds what was written against what is there. Values are read only of keys that
// were written again since.
func (w *watching) compare(ctx context.Context, batch []etcdwalk.Entry) error {
	keys := make([][]byte, len(batch))
	for i, e := range batch {
		keys[i] = e.Key
	}
	heads, err := w.r.Target.Heads(ctx, keys)
	if err != nil {
		return err
	}
	var moved []etcdwalk.Entry
	for i, e := range batch {
		switch {
		case heads[i] == 0:
			if err := w.gone(ctx, e); err != nil {
				return err
			}
		case heads[i] > w.p.written.revision(e.Key):
			moved = append(moved, e)
		}
	}
	for _, e := range moved { // few, and each may be large
		found, err := w.r.Target.Lookup(ctx, [][]byte{e.Key})
		if err != nil {
			return err
		}
		if found[0] == nil {
			err = w.gone(ctx, e)
		} else if !bytes.Equal(found[0].Value, e.Value) {
			w.replaced(ctx, e, *found[0])
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// lose notes a loss, each key once.
func (w *watching) lose(e etcdwalk.Entry, what, reason string) {
	hash := w.p.written.hash(e.Key)
	if w.counted[hash] {
		return
	}
	w.counted[hash] = true
	if key := quoted(e.Key); len(w.lost) < maxLosses {
		w.lost[key] = loss{key, what, reason}
	}
}

// gone notes that a key is not there any more.
func (w *watching) gone(ctx context.Context, e etcdwalk.Entry) error {
	if reason := w.p.expected(ctx, e); reason != "" {
		w.expect(e, "gone", reason)
		return nil
	}
	reason, err := w.whyGone(ctx, e)
	if err == nil {
		w.lose(e, "gone", reason)
	}
	return err
}

// expect notes what goes as its kind goes.
func (w *watching) expect(e etcdwalk.Entry, what, reason string) {
	if key := quoted(e.Key); len(w.expected) < maxLosses {
		w.expected[key] = loss{key, what, reason}
	}
}

// replaced notes that another object has the place of one, or that it is being deleted.
// Its status, or what else its controllers write, is no loss.
func (w *watching) replaced(ctx context.Context, want, have etcdwalk.Entry) {
	ours, errOurs := w.p.meta(ctx, want)
	theirs, errTheirs := w.p.meta(ctx, have)
	switch {
	case errOurs != nil || errTheirs != nil:
		// a value that cannot be read may have been encrypted anew
	case ours.UID != theirs.UID && w.p.layout.Classify(want.Key).Kind == need.AddressKind:
		w.expect(want, "made anew", addressAnew)
	case ours.UID != theirs.UID:
		w.lose(want, "another is in its place", "its UID is "+theirs.UID+", and "+ours.UID+" was restored: a controller, or somebody, made it anew")
	case theirs.Deleting && !ours.Deleting:
		w.lose(want, "being deleted", "it has a deletionTimestamp now")
	}
}

// whyGone is the likely reason why an object is gone.
func (w *watching) whyGone(ctx context.Context, e etcdwalk.Entry) (string, error) {
	class := w.p.layout.Classify(e.Key)
	if class.Namespace != "" {
		key := []byte(class.Prefix + "namespaces/" + class.Namespace)
		found, err := w.r.Target.Lookup(ctx, [][]byte{key})
		if err != nil {
			return "", err
		}
		if found[0] == nil {
			return "its namespace is not there", nil
		}
		if m, err := w.p.meta(ctx, *found[0]); err == nil && m.Deleting {
			return "its namespace is being deleted", nil
		}
	}
	m, err := w.p.meta(ctx, e)
	if err == nil && len(m.Owners) > 0 {
		o := m.Owners[0]
		return fmt.Sprintf("it belongs to %s %s (UID %s): the garbage collector removes what has no living owner, and a controller what is one too many", o.Kind, o.Name, o.UID), nil
	}
	return "a controller, or somebody, deleted it", nil
}
