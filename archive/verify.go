package archive

import (
	"context"
	"slices"

	"github.com/kubeferry/kubeferry/etcdwalk"
)

// Verify reads every byte of the archive, from the first to the last, and
// checks all that the format promises. It calls check, which may be nil, with
// each entry of a segment that is sound; an error of check ends it. It tells
// progress, which may be nil, how many bytes of the archive have been checked.
// Both are called in order, by the goroutine that called Verify.
//
// Two things it cannot recompute, for it does not know what keys mean: which
// kind a key is of, and how a kind's totals are shared out among namespaces.
// They are held against each other only.
func (a *Reader) Verify(ctx context.Context, check func(etcdwalk.Entry) error, progress func(bytes int64)) (etcdwalk.Stats, error) {
	var (
		all   Totals
		kinds = make(map[string]Totals)
		n     = len(a.zip.files)
	)
	if err := a.verifyFiles(ctx, 0, filesBefore, progress); err != nil {
		return etcdwalk.Stats(all), err
	}
	for s, err := range a.segments(ctx, func(Segment) bool { return true }) {
		if err == nil {
			err = a.verifyRecords(ctx, s, check)
		}
		if err != nil {
			return etcdwalk.Stats(all), err
		}
		all.add(s.totals)
		kind := kinds[s.Kind]
		kind.add(s.totals)
		kinds[s.Kind] = kind
		report(progress, a.zip.files[filesBefore+s.number].end())
	}
	if err := a.verifyFiles(ctx, n-filesAfter, n, progress); err != nil {
		return etcdwalk.Stats(all), err
	}
	if err := a.verifyTotals(kinds); err != nil {
		return etcdwalk.Stats(all), err
	}
	err := a.verifyStructure()
	if err == nil {
		report(progress, a.zip.size)
	}
	return etcdwalk.Stats(all), err
}

func report(progress func(int64), bytes int64) {
	if progress != nil {
		progress(bytes)
	}
}

func (t *Totals) add(o Totals) {
	t.Keys += o.Keys
	t.Bytes += o.Bytes
}

// verifyFiles reads the files from one place up to another, which are stored.
func (a *Reader) verifyFiles(ctx context.Context, from, to int, progress func(int64)) error {
	for i := from; i < to; i++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		if _, err := a.zip.read(i, new([]byte)); err != nil {
			return err
		}
		report(progress, a.zip.files[i].end())
	}
	return nil
}

// verifyRecords checks the leases of a segment's records, and whatever check
// wants of them.
func (a *Reader) verifyRecords(ctx context.Context, s *loaded, check func(etcdwalk.Entry) error) error {
	for e, err := range records(ctx, s.raw) {
		if err != nil {
			return err
		}
		if _, ok := a.leases.find(e.Lease); e.Lease != 0 && !ok {
			return damaged("%s: key %.200q is attached to lease %x, which %s does not have", s.Name, e.Key, e.Lease, leasesName)
		}
		if check == nil {
			continue
		}
		if err := check(e); err != nil {
			return err
		}
	}
	return nil
}

// verifyTotals holds what was counted per kind against the manifest.
func (a *Reader) verifyTotals(counted map[string]Totals) error {
	told := make(map[string]Totals)
	for _, k := range a.manifest.Kinds {
		kind := told[k.Kind]
		kind.add(k.Totals)
		told[k.Kind] = kind
	}
	for kind, want := range told {
		if got := counted[kind]; got != want {
			return damaged("%s: of kind %.200q there are %d keys with %d bytes instead of %d with %d",
				manifestName, kind, got.Keys, got.Bytes, want.Keys, want.Bytes)
		}
	}
	return nil
}

// verifyStructure reads the directory once more: it must still say what it
// said when the archive was opened.
func (a *Reader) verifyStructure() error {
	again, err := openZip(a.zip.r, a.zip.size)
	if err != nil {
		return err
	}
	if again.end != a.zip.end || !slices.Equal(again.files, a.zip.files) {
		return damaged("it was changed while it was read")
	}
	return nil
}
