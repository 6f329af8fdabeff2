package etcdwalk_test

import (
	"context"
	"errors"
	"iter"
	"testing"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/walktest"
)

// A basket is a Sink that keeps what it gets, and fails with err at the n-th.
type basket struct {
	entries []etcdwalk.Entry
	n       int
	err     error
}

func (b *basket) Put(_ context.Context, e etcdwalk.Entry) error {
	if b.err != nil && len(b.entries) == b.n {
		return b.err
	}
	b.entries = append(b.entries, e.Clone())
	return nil
}

func TestCopyMovesWhatIsSelected(t *testing.T) {
	corpus := walktest.Corpus()
	var (
		dst  basket
		want etcdwalk.Stats
		seen []string
	)
	for _, e := range corpus {
		want.Keys++
		want.Bytes += int64(len(e.Key) + len(e.Value))
	}
	stats, err := etcdwalk.Copy(t.Context(), &dst, walktest.NewView(corpus...), walktest.Everything(), func(e etcdwalk.Entry) {
		if len(dst.entries) != len(seen)+1 {
			t.Fatalf("key %.40q is told of before it is in the sink", e.Key)
		}
		seen = append(seen, string(e.Key))
	})
	if err != nil || stats != want || len(seen) != len(corpus) {
		t.Errorf("Copy = %+v, %v, and told of %d keys; want %+v of %d", stats, err, len(seen), want, len(corpus))
	}
	if diff := walktest.Diff(dst.entries, corpus); diff != "" {
		t.Error(diff)
	}
}

func TestCopyTrustsNoView(t *testing.T) {
	view := func(keys ...string) etcdwalk.View {
		return walktest.Generated(len(keys), func(i int) etcdwalk.Entry { return etcdwalk.Entry{Key: []byte(keys[i])} })
	}
	for _, tt := range []struct {
		name string
		view etcdwalk.View
		put  int // entries before it is noticed
	}{
		{"a key that comes twice", view("/a", "/b", "/b", "/c"), 2},
		{"keys that descend", view("/b", "/a"), 1},
		{"a key outside the ranges", careless{view("/a", "zebra")}, 1},
		{"a first key outside the ranges", careless{view("0")}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var dst basket
			sel := etcdwalk.Selection{Ranges: etcdwalk.Ranges{etcdwalk.Prefix("/")}}
			stats, err := etcdwalk.Copy(t.Context(), &dst, tt.view, sel, nil)
			if !errors.Is(err, etcdwalk.ErrInvariant) || len(dst.entries) != tt.put || stats.Keys != int64(tt.put) {
				t.Errorf("Copy = %+v, %v after %d entries; want %v after %d", stats, err, len(dst.entries), etcdwalk.ErrInvariant, tt.put)
			}
		})
	}
}

// A careless view yields everything, whatever is asked for.
type careless struct{ etcdwalk.View }

func (c careless) Walk(ctx context.Context, _ etcdwalk.Selection) iter.Seq2[etcdwalk.Entry, error] {
	return c.View.Walk(ctx, walktest.Everything())
}

func TestCopyEndsWithTheFirstError(t *testing.T) {
	full := errors.New("full")
	broken := walktest.NewView(walktest.Corpus()...)
	broken.Err, broken.ErrAfter = etcdwalk.ErrCompacted, 7
	for _, tt := range []struct {
		name string
		view etcdwalk.View
		dst  basket
		want error
	}{
		{"of the view", broken, basket{}, etcdwalk.ErrCompacted},
		{"of the sink", walktest.NewView(walktest.Corpus()...), basket{n: 7, err: full}, full},
	} {
		t.Run(tt.name, func(t *testing.T) {
			told := 0
			stats, err := etcdwalk.Copy(t.Context(), &tt.dst, tt.view, walktest.Everything(), func(etcdwalk.Entry) { told++ })
			if !errors.Is(err, tt.want) || stats.Keys != 7 || told != 7 || len(tt.dst.entries) != 7 {
				t.Errorf("Copy = %+v, %v, told of %d; want %v after 7", stats, err, told, tt.want)
			}
		})
	}
	if broken.Fired() != 1 {
		t.Errorf("the view broke %d times, want once", broken.Fired())
	}
}

// A deaf view knows nothing of contexts.
type deaf struct{ etcdwalk.View }

func (d deaf) Walk(_ context.Context, sel etcdwalk.Selection) iter.Seq2[etcdwalk.Entry, error] {
	return d.View.Walk(context.Background(), sel)
}

func TestACancelledCopyIsNeverComplete(t *testing.T) {
	for name, view := range map[string]etcdwalk.View{
		"of a view that notices":     walktest.NewView(walktest.Corpus()...),
		"of a view that does not":    deaf{walktest.NewView(walktest.Corpus()...)},
		"of a view without a key":    walktest.NewView(),
		"of a deaf view without one": deaf{walktest.NewView()},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if _, err := etcdwalk.Copy(ctx, &basket{}, view, walktest.Everything(), nil); !errors.Is(err, context.Canceled) {
				t.Errorf("Copy = %v, want %v", err, context.Canceled)
			}
		})
	}
}

func TestOrderKeepsTheLastKeyByItself(t *testing.T) {
	var order etcdwalk.Order
	everything := etcdwalk.Ranges{{}}
	key := []byte("b")
	if err := order.Check(everything, key); err != nil {
		t.Fatal(err)
	}
	key[0] = 'a' // the walk goes on and uses its bytes again
	if err := order.Check(everything, key); !errors.Is(err, etcdwalk.ErrInvariant) {
		t.Errorf("key a after key b: %v, want %v", err, etcdwalk.ErrInvariant)
	}
	if err := order.Check(everything, []byte("c")); err != nil {
		t.Errorf("key c after key b: %v", err)
	}
}
