package health

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
	"github.com/kubeferry/kubeferry/etcdwalk/kube/object"
)

// after looks at what can be told only once all was walked.
func (w *walk) after(ctx context.Context) error {
	for _, each := range []struct {
		what string
		// whole: it is about what is not there, which of a view of a part is not known.
		whole, owners bool
		look          func(context.Context) error
	}{
		{"how long the leases of API servers run", false, false, w.leases},
		{"whether Services share an address or a node port", false, false, w.services},
		{"whether objects have their namespace", true, false, w.namespaces},
		{"whether custom resources have their definition", true, false, w.definitions},
		{"whether objects have their owners", true, true, w.orphans},
		{"whether volumes have their claims", true, true, w.volumes},
	} {
		switch {
		case each.whole && w.Partial:
			w.unseen = append(w.unseen, Unseen{each.what, "it holds a part, and what is missing may have been left out"})
			continue
		case each.owners && w.full != nil:
			w.unseenFor(each.what, w.full)
			continue
		}
		switch err := each.look(ctx); {
		case errors.Is(err, etcdwalk.ErrDenied):
			w.unseenFor(each.what, err)
		case err != nil:
			return fmt.Errorf("look %s: %w", each.what, err)
		}
	}
	if len(w.closed) > 0 {
		w.tellClosed()
	}
	return ctx.Err()
}

// tellClosed tells of the values that are encrypted at rest.
func (w *walk) tellClosed() {
	var parts []string
	all := int64(0)
	for _, seal := range slices.Sorted(maps.Keys(w.closed)) {
		parts = append(parts, fmt.Sprintf("%d by %s", w.closed[seal], seal))
		all += w.closed[seal]
	}
	why := "of encryption at rest (" + strings.Join(parts, ", ") + "): --encryption-config FILE of the API server opens them"
	if w.Query.Opener() != nil {
		why = "of encryption at rest (" + strings.Join(parts, ", ") + ") by a KMS, whose keys no file has"
	}
	what := "what is in 1 value"
	if all > 1 {
		what = fmt.Sprintf("what is in %d values", all)
	}
	w.unseen = append(w.unseen, Unseen{what, why})
}

// longest is how long a lease of a sign of life can run, in seconds. API servers take 15
// (kubernetes: pkg/controlplane/instance.go, DefaultEndpointReconcilerTTL), and keep each alive
// while they run; a longer one was made by somebody else, and nobody keeps the key true.
const longest = 60

// leases looks at the leases of the signs of life.
func (w *walk) leases(ctx context.Context) error {
	ids := make([]int64, len(w.leased))
	for i, sign := range w.leased {
		ids[i] = sign.lease
	}
	if len(ids) == 0 {
		return nil
	}
	told, err := w.View.Leases(ctx, ids)
	if err != nil {
		return err
	}
	unknown := 0
	for i, sign := range w.leased {
		lease := told[i]
		switch {
		case lease.State == etcdwalk.LeaseExpired:
			continue
		case lease.State == etcdwalk.LeaseLive && lease.Granted > longest:
			w.add(ghost(), []byte(sign.key), fmt.Sprintf("its etcd lease runs for %d s, and API servers take 15", lease.Granted))
			continue
		case lease.State == etcdwalk.LeaseUnknown:
			unknown++
		}
		w.alive = append(w.alive, readable(sign.key))
	}
	if unknown > 0 {
		w.unseen = append(w.unseen, Unseen{"how long the leases of API servers run", "the server does not tell"})
	}
	return nil
}

// services looks for what two of them have.
func (w *walk) services(ctx context.Context) error {
	for _, prefix := range w.layout.Prefixes() {
		at := etcdwalk.Ranges{etcdwalk.Prefix(prefix + "services/specs/")}
		if len(at.Intersect(w.layout.Scope())) == 0 || w.counts[prefix+"services/specs/"] == nil {
			continue
		}
		if err := w.checks.Twice(ctx, prefix, func(service []byte, what string) { w.add(twice(), service, what) }); err != nil {
			return err
		}
	}
	return nil
}

// namespaces looks for those that objects lie in.
func (w *walk) namespaces(ctx context.Context) error {
	var missing []*lodged
	for _, in := range w.lodged {
		if slices.ContainsFunc(w.layout.Homes(in.class), w.known.met) {
			continue
		}
		gone, err := w.checks.Unhoused(ctx, in.class)
		if err != nil {
			return err
		}
		if gone {
			missing = append(missing, in)
		}
	}
	slices.SortFunc(missing, func(a, b *lodged) int {
		return strings.Compare(a.class.Prefix+a.class.Namespace, b.class.Prefix+b.class.Namespace)
	})
	for _, in := range missing {
		w.add(unhoused(), w.layout.Homes(in.class)[0], fmt.Sprintf("objects: %d, such as %s", in.keys, in.first))
	}
	return nil
}

// definitions looks for those of the custom resources that are there.
func (w *walk) definitions(ctx context.Context) error {
	for _, id := range slices.Sorted(maps.Keys(w.custom)) {
		k := w.custom[id]
		missing, err := w.checks.Undefined(ctx, k.class)
		if err != nil {
			return err
		}
		if missing {
			w.add(undefined(), kube.DefinitionKey(k.class), fmt.Sprintf("objects: %d", k.keys))
		}
	}
	return nil
}

// together is how many objects are looked after at once.
const together = 128

// batches walks ranges once more, and looks at those objects that are wanted, some at once.
func (w *walk) batches(ctx context.Context, ranges etcdwalk.Ranges, wanted func(class etcdwalk.Class, m object.Meta) bool, look func([]etcdwalk.Entry) error) error {
	var batch []etcdwalk.Entry
	for e, err := range w.View.Walk(ctx, etcdwalk.Selection{Ranges: ranges}) {
		if err != nil {
			return err
		}
		m, err := w.Query.Opener().Read(ctx, e.Key, e.Value)
		if err != nil || !wanted(w.layout.Classify(e.Key), m) {
			continue
		}
		if batch = append(batch, e.Clone()); len(batch) == together {
			if err := look(batch); err != nil {
				return err
			}
			batch = batch[:0]
		}
	}
	if len(batch) == 0 {
		return ctx.Err()
	}
	return look(batch)
}

// orphans looks again at the kinds of which an object names an owner that was not seen.
func (w *walk) orphans(ctx context.Context) error {
	ranges := w.survey.Dangling().Intersect(w.layout.Scope())
	if len(ranges) == 0 {
		return nil
	}
	without := func(class etcdwalk.Class, m object.Meta) bool {
		held := slices.ContainsFunc(m.Owners, func(o object.Owner) bool { return w.survey.Holds(class.Namespace, o) })
		return len(m.Owners) > 0 && !held
	}
	return w.batches(ctx, ranges, without, func(batch []etcdwalk.Entry) error {
		orphans, err := w.checks.Orphans(ctx, batch)
		for i := range orphans {
			if orphans[i] {
				m, _ := w.Query.Opener().Read(ctx, batch[i].Key, batch[i].Value) // it was read before
				w.add(orphaned(), batch[i].Key, ownersText(m.Owners))
			}
		}
		return err
	})
}

// ownersText names owners.
func ownersText(owners []object.Owner) string {
	var names []string
	for _, o := range owners {
		names = append(names, fmt.Sprintf("%s %s (uid %s)", o.Kind, o.Name, o.UID))
	}
	return "owner: " + strings.Join(names, ", ")
}

// volumes looks for those of which a controller would delete the disk.
func (w *walk) volumes(ctx context.Context) error {
	var ranges []etcdwalk.Range
	for dir, c := range w.counts {
		if c.Kind == "persistentvolumes" {
			ranges = append(ranges, etcdwalk.Prefix(dir))
		}
	}
	all := func(etcdwalk.Class, object.Meta) bool { return true }
	return w.batches(ctx, etcdwalk.Union(ranges...), all, func(batch []etcdwalk.Entry) error {
		batch = slices.DeleteFunc(batch, func(e etcdwalk.Entry) bool {
			_, err := w.Query.Opener().Decode(ctx, e.Key, e.Value)
			return err != nil // what becomes of it is not known; that it cannot be read is told
		})
		gone, err := w.checks.Reclaimed(ctx, batch)
		for i := range gone {
			if gone[i] {
				w.add(reclaimed(), batch[i].Key, "")
			}
		}
		return err
	})
}
