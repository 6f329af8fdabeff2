package ferry

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
)

// ReadBack reads what an apply has written, in ranges, and compares it with the source: key,
// value, and whether it is under a lease. Where nobody else writes, it is compared with the
// fingerprints of what the apply read there, and with the source itself only if they differ.
// Where an API server may run, an object of which
// only the status has moved is as it was. What differs is an etcdwalk.ErrInvariant where
// nobody else writes, an ErrIncomplete elsewhere.
func (r Restore) ReadBack(ctx context.Context, p *Planned) (Aftermath, error) {
	view, err := r.Cluster.Open(ctx, etcdwalk.Newest, p.layout.Scope())
	if err != nil {
		return Aftermath{}, fmt.Errorf("read back what was written: %w", err)
	}
	back, tell := Aftermath{Looks: 1, Lost: []loss{}}, told(r.Progress)
	ranges := etcdwalk.Selection{Ranges: p.sel.Ranges}
	if ranges.Splits, err = p.query.Catalog(view).Splits(ctx); err != nil {
		return back, fmt.Errorf("read back what was written: %w", err)
	}
	if same, err := r.sameFingerprints(ctx, p, view, ranges); same || err != nil {
		back.Keys = int64(len(p.written.keys.all))
		return back, err
	}
	for pair, err := range etcdwalk.Merge(ctx, view, p.job.Source, ranges) {
		if err != nil {
			return back, fmt.Errorf("read back what was written: %w", err)
		}
		if pair.B == nil || !p.written.has(pair.B.Key) {
			continue
		}
		back.Keys++
		tell(ReadingBack, back.Keys, int64(len(p.written.keys.all)))
		if what := r.differs(p, pair); what != "" {
			if back.Count++; back.Count <= maxLosses {
				back.Lost = append(back.Lost, loss{quoted(pair.B.Key), what, "read back"})
			}
		}
	}
	err = p.written.again(ctx, r.Target, func(key []byte) {
		if back.Count++; back.Count <= maxLosses {
			back.Lost = append(back.Lost, loss{quoted(key), "it is there again", "read back"})
		}
	})
	if err != nil {
		return back, err
	}
	switch all := int64(len(p.written.keys.all)); {
	case back.Keys != all:
		return back, fmt.Errorf("read back what was written: the source holds %d of %d keys now%.0w", back.Keys, all, etcdwalk.ErrInvariant)
	case back.Count > 0 && r.Scenario == kube.ScenarioNew:
		return back, fmt.Errorf("%d of %d keys that were written read back otherwise%.0w", back.Count, all, etcdwalk.ErrInvariant)
	case back.Count > 0:
		return back, fmt.Errorf("%d of %d keys that were written are not as they were written: a controller, or somebody, has changed them%.0w", back.Count, all, ErrIncomplete)
	}
	return back, nil
}

// sameFingerprints tells whether all that was written has the fingerprint that it had in the
// source: then nobody need read the source once more, which takes as long as reading the
// cluster.
func (r Restore) sameFingerprints(ctx context.Context, p *Planned, view etcdwalk.View, sel etcdwalk.Selection) (bool, error) {
	wanted, tell := p.written.wanted(), told(r.Progress)
	if len(wanted) != len(p.written.keys.all) {
		return false, nil // they were not taken
	}
	same := 0
	for e, err := range view.Walk(ctx, sel) {
		if err != nil {
			return false, fmt.Errorf("read back what was written: %w", err)
		}
		is := p.written.fingerprint(e)
		at, found := slices.BinarySearchFunc(wanted, is.key, func(f fingerprint, key uint64) int { return cmp.Compare(f.key, key) })
		if found && wanted[at] == is {
			same++
			tell(ReadingBack, int64(same), int64(len(wanted)))
		}
	}
	return same == len(wanted), nil
}

// differs says how what was read differs from what was written; empty: it does not.
func (r Restore) differs(p *Planned, pair etcdwalk.Pair) string {
	have, want := pair.A, pair.B
	switch {
	case have == nil && want.Lease != 0:
		return "" // its time has run out since
	case have == nil:
		return "it is not there"
	case (have.Lease == 0) != (want.Lease == 0):
		return "its lease"
	case !bytes.Equal(have.Value, want.Value) && (r.Scenario == kube.ScenarioNew || !p.job.Alike(*want, *have)):
		return "its value"
	}
	return ""
}
