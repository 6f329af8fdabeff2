package archive

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/walktest"
)

// A countingReader counts what is read of an archive.
type countingReader struct {
	*bytes.Reader
	reads, bytes int
	seen         []bool
}

func (r *countingReader) ReadAt(p []byte, offset int64) (int, error) {
	n, err := r.Reader.ReadAt(p, offset)
	r.reads, r.bytes = r.reads+1, r.bytes+n
	for i := range n {
		r.seen[int(offset)+i] = true
	}
	return n, err
}

func counted(t *testing.T, data []byte) (*Reader, *countingReader) {
	t.Helper()
	c := &countingReader{Reader: bytes.NewReader(data), seen: make([]bool, len(data))}
	r, err := Open(c, int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	c.reads, c.bytes = 0, 0
	clear(c.seen)
	return r, c
}

func TestWalkReadsOnlyTheSegmentsItNeeds(t *testing.T) {
	r, c := counted(t, build(t, walktest.Corpus()...))
	for _, test := range []struct {
		prefix string
		want   int
	}{{"/registry/secrets/", 1}, {"/registry/secrets/ns-1/name-0", 1}, {"/registry/secretz", 0}, {"/registry/configmaps/", 1}} {
		c.reads = 0
		walk(t, r, etcdwalk.Selection{Ranges: etcdwalk.Ranges{etcdwalk.Prefix(test.prefix)}})
		if c.reads != test.want {
			t.Errorf("walking %s read %d segments, want %d", test.prefix, c.reads, test.want)
		}
	}
}

func TestVerifyReadsEveryByte(t *testing.T) {
	data := build(t, walktest.Corpus()...)
	r, c := counted(t, data)
	var told []int64
	stats, err := r.Verify(t.Context(), nil, func(bytes int64) { told = append(told, bytes) })
	if err != nil {
		t.Fatal(err)
	}
	if i := slices.Index(c.seen, false); i >= 0 {
		t.Errorf("byte %d was not read", i)
	}
	if !slices.IsSorted(told) || told[len(told)-1] != int64(len(data)) {
		t.Errorf("the progress told was %v, want it to end with %d", told, len(data))
	}
	if want := int64(len(walktest.Corpus())); stats.Keys != want {
		t.Errorf("verified %d keys, want %d", stats.Keys, want)
	}
}

func TestVerifyEndsWithTheErrorOfItsCheck(t *testing.T) {
	stop := errors.New("stop")
	_, err := mustOpen(t, build(t, small()...)).Verify(t.Context(), func(etcdwalk.Entry) error { return stop }, nil)
	if !errors.Is(err, stop) || errors.Is(err, ErrDamaged) {
		t.Errorf("got error %v, want %v", err, stop)
	}
}

func TestVerifyEndsWhenItIsCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := mustOpen(t, build(t, small()...)).Verify(ctx, nil, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("got error %v, want %v", err, context.Canceled)
	}
}
