package health

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
	"github.com/kubeferry/kubeferry/etcdwalk/kube/need"
	"github.com/kubeferry/kubeferry/etcdwalk/kube/object"
	"github.com/kubeferry/kubeferry/etcdwalk/kube/order"
)

// walk is a Look under way.
type walk struct {
	Look
	layout *kube.Layout
	signs  etcdwalk.Ranges
	checks *need.Checks
	census *Census
	survey *order.Survey
	full   error // why the survey is not of all
	known  *known

	found  found
	unseen []Unseen
	keys   int64
	bytes  int64
	counts map[string]*Counted
	last   *Counted // the one that the key before counted in
	custom map[string]*customKind
	lodged map[home]*lodged // objects in namespaces
	closed map[string]int64 // values that nobody opens, by what seals them
	leased []leasedSign
	alive  []string
}

// customKind is a kind of custom resources.
type customKind struct {
	class etcdwalk.Class // of the first object
	keys  int64
	// unknown: which versions its definition has may not be looked at.
	unknown bool
}

// home is a namespace: its name, and the prefix of what lies in it.
type home struct{ prefix, name string }

// lodged are the objects in a namespace.
type lodged struct {
	class etcdwalk.Class // of the first
	first string         // as kubectl calls it
	keys  int64
}

// leasedSign is a sign of life of an API server, under a lease.
type leasedSign struct {
	key   string
	lease int64
}

// count counts a key under the prefix of its kind.
func (w *walk) count(e etcdwalk.Entry) {
	w.keys, w.bytes = w.keys+1, w.bytes+e.Size()
	w.known.add(e.Key)
	if w.last == nil || w.last.Kind == "" || !strings.HasPrefix(string(e.Key), w.last.Prefix) {
		class := w.layout.Classify(e.Key)
		prefix := string(class.Range.Start)
		if class.Kind == "" {
			prefix = beginning(e.Key)
		}
		if w.counts[prefix] == nil {
			w.counts[prefix] = &Counted{Prefix: readable(prefix), Kind: class.Kind}
		}
		w.last = w.counts[prefix]
	}
	w.last.Keys, w.last.Bytes = w.last.Keys+1, w.last.Bytes+e.Size()
}

// beginning is what a key that belongs to no kind is counted under: its first two segments.
func beginning(key []byte) string {
	parts := strings.SplitAfterN(string(key), "/", 4)
	return strings.Join(parts[:min(3, len(parts))], "")
}

// see looks at one entry.
func (w *walk) see(ctx context.Context, e etcdwalk.Entry) error {
	if w.signs.Contains(e.Key) {
		w.sign(e)
		return nil
	}
	encoding := object.EncodingOf(e.Value)
	w.census.Add(e.Key, encoding)
	class := w.layout.Classify(e.Key)
	if class.Namespace != "" && e.Lease == 0 { // what has a lease goes by itself
		w.lodge(class, e.Key)
	}
	value, err := w.Query.Opener().Open(ctx, e.Key, e.Value)
	if err != nil {
		w.sealed(e.Key, encoding, err)
		return nil
	}
	if err := w.layout.CheckValue(e.Key, value); err != nil {
		w.add(checkOf(err), e.Key, reasonOf(err))
		return nil
	}
	_, m, err := object.Read(value)
	if class.Name == "" || err != nil {
		return nil // no object's, or of a kind that nobody knows the form of
	}
	if class.Kind == "events" && e.Lease == 0 {
		w.add(unleased(), e.Key, "")
	}
	if m.Deleting {
		w.terminating(class, e.Key, value, m)
	}
	if kube.IsCustom(class.Kind) {
		if err := w.customObject(ctx, class, e.Key, m); err != nil {
			return err
		}
	}
	return w.remember(class, m)
}

func (w *walk) add(c check, key []byte, why string) { w.found.add(c, key, why) }

// lodge takes an object that lies in a namespace.
func (w *walk) lodge(class etcdwalk.Class, key []byte) {
	at := home{class.Prefix, class.Namespace}
	if w.lodged[at] == nil {
		w.lodged[at] = &lodged{class: class, first: readable(w.layout.Name(key))}
	}
	w.lodged[at].keys++
}

// remember takes who there is. If that are too many, owners are not looked for.
func (w *walk) remember(class etcdwalk.Class, m object.Meta) error {
	if w.full != nil {
		return nil
	}
	if err := w.survey.Add(class, m); err != nil {
		if !errors.Is(err, etcdwalk.ErrRefused) {
			return err
		}
		w.full = err
	}
	return nil
}

// sign takes a sign of life. One without a lease is nobody's.
func (w *walk) sign(e etcdwalk.Entry) {
	if e.Lease == 0 {
		w.add(ghost(), e.Key, "it has no etcd lease")
		return
	}
	w.leased = append(w.leased, leasedSign{string(e.Key), e.Lease})
}

// sealed takes a value that was not opened.
func (w *walk) sealed(key []byte, encoding object.Encoding, err error) {
	if w.Query.Opener() == nil || strings.HasPrefix(encoding.Seal(), "kms ") {
		seal := encoding.Seal()
		if _, known := w.closed[seal]; !known && len(w.closed) >= maxEncodings {
			seal = encoding.Unnamed().Seal()
		}
		w.closed[seal]++
		return
	}
	w.add(unopened(), key, err.Error())
}

// checkOf tells what [kube.Layout.CheckValue] objects to.
func checkOf(err error) check {
	if errors.Is(err, object.ErrUnreadable) || errors.Is(err, object.ErrNoObject) {
		return unstorable()
	}
	return mismatched()
}

// reasonOf is what it says, without the key, which is told beside it.
func reasonOf(err error) string {
	_, reason, found := strings.Cut(err.Error(), kube.ErrValue.Error()+": ")
	if !found {
		return err.Error()
	}
	return reason
}

// terminating takes an object that is being deleted and waits for somebody. A Namespace has
// finalizers in its spec, too.
func (w *walk) terminating(class etcdwalk.Class, key, value []byte, m object.Meta) {
	waits := slices.Clone(m.Finalizers)
	if class.Kind == "namespaces" {
		if o, err := object.Decode(value); err == nil {
			spec, _ := o.Tree()["spec"].(map[string]any)
			list, _ := spec["finalizers"].([]any)
			for _, one := range list {
				text, _ := one.(string)
				waits = append(waits, text)
			}
		}
	}
	if len(waits) > 0 {
		w.add(terminating(), key, "finalizers: "+strings.Join(waits, ", "))
	}
}

// customObject takes a custom resource, which needs a definition.
func (w *walk) customObject(ctx context.Context, class etcdwalk.Class, key []byte, m object.Meta) error {
	id := class.Prefix + class.Kind
	k := w.custom[id]
	if k == nil {
		k = &customKind{class: class}
		w.custom[id] = k
	}
	k.keys++
	if k.unknown {
		return nil
	}
	defined, err := w.checks.Unserved(ctx, class, m)
	switch {
	case errors.Is(err, etcdwalk.ErrDenied):
		k.unknown = true
		w.unseenFor(fmt.Sprintf("versions of %s", class.Kind), err)
	case err != nil:
		return err
	case defined != nil:
		w.add(unserved(), key, fmt.Sprintf("stored as %s; the definition has %s", m.APIVersion, strings.Join(defined, ", ")))
	}
	return nil
}
