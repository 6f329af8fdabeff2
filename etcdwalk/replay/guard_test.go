package replay_test

import (
	"errors"
	"testing"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/replay"
	"github.com/kubeferry/kubeferry/etcdwalk/walktest"
)

func TestSameLineage(t *testing.T) {
	archive := etcdwalk.Info{API: etcdwalk.V3, KubeSystemUID: "a", ClusterID: 1, Revision: 100}
	for _, tt := range []struct {
		name    string
		change  func(*etcdwalk.Info)
		refused bool
	}{
		{"the same moment passes", func(*etcdwalk.Info) {}, false},
		{"a later moment passes", func(i *etcdwalk.Info) { i.Revision++ }, false},
		{"an earlier moment is refused", func(i *etcdwalk.Info) { i.Revision-- }, true},
		{"another cluster id is refused", func(i *etcdwalk.Info) { i.ClusterID++ }, true},
		{"another API is refused", func(i *etcdwalk.Info) { i.API = etcdwalk.V2 }, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			target := archive
			tt.change(&target)
			wantRefused(t, replay.SameLineage(archive, target), tt.refused)
		})
	}
	t.Run("a cluster id that is not known is refused", func(t *testing.T) {
		kine := archive
		kine.ClusterID = 0
		wantRefused(t, replay.SameLineage(kine, kine), true)
	})
}

func wantRefused(t *testing.T, err error, want bool) {
	t.Helper()
	if got := errors.Is(err, etcdwalk.ErrRefused); got != want || (err == nil) == want {
		t.Errorf("refused: %v (error %v), want %v", got, err, want)
	}
}

func TestForeign(t *testing.T) {
	source := []etcdwalk.Entry{kv("/a", "1"), kv("/b", "2"), leased(kv("/c", "3"), 7), kv("/e", "5")}
	scope := etcdwalk.Selection{Ranges: etcdwalk.Ranges{etcdwalk.Prefix("/")}}
	for _, tt := range []struct {
		name   string
		target []etcdwalk.Entry
		want   string // empty: none
	}{
		{"an empty target holds nothing foreign", nil, ""},
		{"what the source puts there is not foreign", source, ""},
		{"part of it is not foreign", source[1:3], ""},
		{"a key outside the scope is not foreign", []etcdwalk.Entry{kv("zzz", "?")}, ""},
		{"another value is foreign", []etcdwalk.Entry{kv("/a", "1"), kv("/b", "two")}, "/b"},
		{"a key before all of the source's is foreign", []etcdwalk.Entry{kv("/", "?"), kv("/a", "1")}, "/"},
		{"a key between the source's is foreign", []etcdwalk.Entry{kv("/a", "1"), kv("/d", "?")}, "/d"},
		{"a key behind all of the source's is foreign", []etcdwalk.Entry{kv("/e", "5"), kv("/f", "?")}, "/f"},
		{"a key that lost its lease is foreign", []etcdwalk.Entry{kv("/c", "3")}, "/c"},
		{"a key that has a lease is foreign", []etcdwalk.Entry{leased(kv("/e", "5"), 9)}, "/e"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			key, found, err := replay.Foreign(t.Context(), walktest.NewView(tt.target...), walktest.NewView(source...), scope)
			if err != nil || found != (tt.want != "") || string(key) != tt.want {
				t.Errorf("Foreign = %q, %v, %v; want %q", key, found, err, tt.want)
			}
		})
	}
}

func TestForeignTellsOfBrokenWalks(t *testing.T) {
	whole := func() *walktest.View { return walktest.NewView(kv("/a", "1"), kv("/b", "2")) }
	broken := whole()
	broken.Err, broken.ErrAfter = etcdwalk.ErrUnavailable, 1
	lying := walktest.Generated(2, func(i int) etcdwalk.Entry { return kv([]string{"/b", "/a"}[i], "2") })
	for _, tt := range []struct {
		name           string
		target, source etcdwalk.View
		want           error
	}{
		{"of the target", broken, whole(), etcdwalk.ErrUnavailable},
		{"of the source", whole(), broken, etcdwalk.ErrUnavailable},
		{"of a target out of order", lying, walktest.NewView(kv("/b", "2")), etcdwalk.ErrInvariant},
		{"of a source out of order", walktest.NewView(kv("/b", "2"), kv("/c", "3")), lying, etcdwalk.ErrInvariant},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, found, err := replay.Foreign(t.Context(), tt.target, tt.source, walktest.Everything())
			if found || !errors.Is(err, tt.want) {
				t.Errorf("Foreign = found %v, error %v; want %v", found, err, tt.want)
			}
		})
	}
	if broken.Fired() != 2 {
		t.Errorf("%d walks broke, want 2", broken.Fired())
	}
}

// TestForeignReadsNoFurtherThanTheTarget: what an interrupted restore has left is a
// beginning, and the rest of a large source need not be read for it.
func TestForeignReadsNoFurtherThanTheTarget(t *testing.T) {
	source := walktest.NewView(objects(1000)...)
	source.Err, source.ErrAfter = etcdwalk.ErrUnavailable, 5
	key, found, err := replay.Foreign(t.Context(), walktest.NewView(objects(3)...), source, walktest.Everything())
	if found || err != nil || source.Fired() != 0 {
		t.Errorf("found %t (%q), %v, and the source was read to its end %d times", found, key, err, source.Fired())
	}
}
