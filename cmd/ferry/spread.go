package ferry

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
)

// ErrSeveral: a name means objects in several namespaces.
var ErrSeveral = errors.New("in several namespaces")

// Under is q under the archive's prefixes, if it names none of its own.
func (a *Archive) Under(q kube.Query) (kube.Query, error) { return within(a, q) }

// VerifyFor verifies the archive for a restore of what q takes, and returns q under
// the archive's prefixes. A name without a namespace that means objects in several is
// an ErrSeveral, unless all of them are wanted: the verification sees every key, so
// that this is known before any cluster is asked.
func (a *Archive) VerifyFor(ctx context.Context, q kube.Query, all bool, progress Progress) (kube.Query, error) {
	q, err := within(a, q)
	if err != nil {
		return q, err
	}
	// A mistyped kind is not worth reading a large archive for.
	catalog := q.Catalog(a)
	sel, err := catalog.Resolve(ctx, q)
	if errors.Is(err, kube.ErrUnknownKind) || errors.Is(err, kube.ErrFilter) {
		return q, fmt.Errorf("archive %s: %w", a.name, err)
	}
	spread := &kube.Spread{}
	if !all {
		if spread, err = catalog.Spread(ctx, q); err != nil {
			return q, fmt.Errorf("archive %s: %w", a.name, err)
		}
	}
	_, err = a.verify(ctx, nil, progress, func(e etcdwalk.Entry) {
		spread.See(e.Key)
		if sel.Values != nil && sel.Ranges.Contains(e.Key) {
			sel.Takes(e) // which counts what cannot be judged
		}
	})
	if err != nil {
		return q, err
	}
	if err := sel.Err(); err != nil {
		return q, fmt.Errorf("archive %s: %w", a.name, err)
	}
	return q, severalErr(spread)
}

// severalErr refuses names that mean objects in several namespaces.
func severalErr(spread *kube.Spread) error {
	var words []string
	for _, w := range spread.Several() {
		words = append(words, fmt.Sprintf("%s is in %d namespaces", w.Word, w.Namespaces))
	}
	if len(words) == 0 {
		return nil
	}
	return fmt.Errorf("%s: add -n NAMESPACE, or -A for all%.0w", strings.Join(words, ", "), ErrSeveral)
}
