package archive

import (
	"context"
	"slices"

	"github.com/kubeferry/kubeferry/etcdwalk"
)

// Verify reads every byte of the archive, from the first to the last, and
// checks all that the format promises. It calls check, which may be nil, with
// each entry of a segment that is sound; an error of check ends it. It tells
// progress, which may be nil, how many bytes of the archive have been read.
//
// Two things it cannot recompute, for it does not know what keys mean: which
// kind a key is of, and how a kind's totals are shared out among namespaces.
// They are held against each other only.
func (a *Reader) Verify(ctx context.Context, check func(etcdwalk.Entry) error, progress func(bytes int64)) (etcdwalk.Stats, error) {
	var (
		buf   buffers
		all   Totals
		kinds = make(map[string]Totals)
		n     = len(a.zip.files)
	)
	for i, f := range a.zip.files {
		if err := ctx.Err(); err != nil {
			return etcdwalk.Stats(all), err
		}
		if i < filesBefore || i >= n-filesAfter {
			if _, err := a.zip.read(i, new([]byte)); err != nil {
				return etcdwalk.Stats(all), err
			}
		} else {
			got, err := a.verifySegment(ctx, i-filesBefore, &buf, check)
			if err != nil {
				return etcdwalk.Stats(all), err
			}
			all.add(got)
			kind := kinds[a.manifest.Segments[i-filesBefore].Kind]
			kind.add(got)
			kinds[a.manifest.Segments[i-filesBefore].Kind] = kind
		}
		report(progress, f.end(fileName(i, n)))
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

// verifySegment checks one segment, and the leases and whatever check wants of
// its entries.
func (a *Reader) verifySegment(ctx context.Context, i int, buf *buffers, check func(etcdwalk.Entry) error) (Totals, error) {
	totals, err := a.load(i, buf)
	if err != nil {
		return totals, err
	}
	for e, err := range records(ctx, buf.raw) {
		if err != nil {
			return totals, err
		}
		if _, ok := a.leases.find(e.Lease); e.Lease != 0 && !ok {
			return totals, damaged("%s: key %.200q is attached to lease %x, which %s does not have",
				a.manifest.Segments[i].Name, e.Key, e.Lease, leasesName)
		}
		if check == nil {
			continue
		}
		if err := check(e); err != nil {
			return totals, err
		}
	}
	return totals, nil
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
