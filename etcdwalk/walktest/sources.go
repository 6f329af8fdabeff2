package walktest

import (
	"errors"
	"io/fs"
	"testing"

	"github.com/kubeferry/kubeferry/etcdwalk"
)

// OpenSource makes a source whose newest moment holds exactly these entries. change puts
// a value under a key of it; nil: it never changes.
type OpenSource func(t *testing.T, entries []etcdwalk.Entry) (source etcdwalk.Source, change func(t *testing.T, key, value []byte))

// Sources is the suite that every driver of etcdwalk.Source must pass. With history it
// holds older moments than its newest.
func Sources(t *testing.T, traits Traits, history bool, open OpenSource) {
	corpus := traits.corpus()
	source, change := open(t, corpus)
	everything := Everything().Ranges
	at := func(moment etcdwalk.Moment) (etcdwalk.View, error) {
		return source.Open(t.Context(), moment, everything)
	}
	newest, err := at(etcdwalk.Newest)
	if err != nil {
		t.Fatalf("opening the newest moment: %v", err)
	}
	first := etcdwalk.Moment(newest.Info().Revision)

	t.Run("the newest moment is whole and has a revision", func(t *testing.T) {
		wantEntries(t, collect(t, newest, Everything()), corpus)
		if first <= 0 {
			t.Errorf("it is of revision %d", first)
		}
	})
	t.Run("a moment that never was is refused", func(t *testing.T) {
		for _, moment := range []etcdwalk.Moment{first + 1_000_000, -1} {
			if view, err := at(moment); view != nil || !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, etcdwalk.ErrCompacted) {
				t.Errorf("moment %d: %v, %v", moment, view, err)
			}
		}
	})
	t.Run("an older moment is what it was, or refused", func(t *testing.T) {
		if change != nil {
			change(t, corpus[0].Key, []byte("since"))
			change(t, []byte("/registry/zebras/new"), []byte("since"))
		}
		view, err := at(first)
		switch {
		case err == nil:
			wantEntries(t, collect(t, view, Everything()), corpus)
			if got := view.Info().Revision; got != int64(first) {
				t.Errorf("it is of revision %d, want %d", got, first)
			}
		case history:
			t.Errorf("open revision %d: %v", first, err)
		case !errors.Is(err, etcdwalk.ErrCompacted) && !errors.Is(err, fs.ErrNotExist):
			t.Errorf("open revision %d: %v, want that it is gone", first, err)
		}
	})
}
