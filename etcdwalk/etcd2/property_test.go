package etcd2_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	client "go.etcd.io/etcd/client/v2"
	"pgregory.net/rapid"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/replay"
	"github.com/kubeferry/kubeferry/etcdwalk/walktest"
)

// TestAnyTreeComesBack: whatever a store holds, as far as listings show it, is the
// same in another one afterwards, TTLs within the seconds that it took.
func TestAnyTreeComesBack(t *testing.T) {
	from, here := serve(t)
	to, there := serve(t)
	source, target := dial(t, from.Endpoint), dial(t, to.Endpoint)
	dirs, mortals, leaves := 0, 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		wipe(t, here)
		wipe(t, there)
		for range rapid.IntRange(0, 30).Draw(rt, "nodes") {
			plant(t, here, nodes().Draw(rt, "node"))
		}
		view, err := source.Pin(t.Context(), walktest.Everything().Ranges)
		if err != nil {
			rt.Fatal(err)
		}
		job := replay.Job{
			Source: view, Selections: []etcdwalk.Selection{walktest.Everything()},
			Target: target.Target(), Policy: replay.Fail, Regrant: true, InFlight: 1,
			File: planFile(t), Digest: digest,
		}
		plan, err := job.Plan(t.Context())
		if err != nil {
			rt.Fatal(err)
		}
		summary, err := job.Apply(t.Context(), plan)
		if err != nil || !summary.Complete() {
			rt.Fatalf("%+v, %v", summary, err)
		}
		want, got := picture(t, here), picture(t, there)
		if len(want) != len(got) {
			rt.Fatalf("%d nodes became %d:\n%v\n%v", len(want), len(got), want, got)
		}
		for key, w := range want {
			g, ok := got[key]
			if !ok || g.value != w.value || g.dir != w.dir || (g.ttl == 0) != (w.ttl == 0) || (g.ttl-w.ttl).Abs() > 3*time.Second {
				rt.Fatalf("node %q is %+v, want %+v", key, g, w)
			}
			switch {
			case w.ttl > 0:
				mortals++
			case w.dir:
				dirs++
			default:
				leaves++
			}
		}
	})
	if dirs == 0 || mortals == 0 || leaves == 0 {
		t.Errorf("the trees had %d directories, %d nodes with a TTL and %d others", dirs, mortals, leaves)
	}
}

// A seen node is what etcd's own client tells of it.
type seen struct {
	value string
	dir   bool
	ttl   time.Duration
}

func picture(t *testing.T, keys client.KeysAPI) map[string]seen {
	t.Helper()
	root, err := keys.Get(t.Context(), "/", &client.GetOptions{Recursive: true, Quorum: true})
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]seen{}
	var add func(n *client.Node)
	add = func(n *client.Node) {
		all[n.Key] = seen{n.Value, n.Dir, n.TTLDuration()}
		for _, child := range n.Nodes {
			add(child)
		}
	}
	add(root.Node)
	return all
}

// A node that is to be planted.
type node struct {
	path, value string
	dir, mortal bool
}

// nodes makes nodes with odd names, few enough that they meet.
func nodes() *rapid.Generator[node] {
	name := rapid.OneOf(
		rapid.SampledFrom([]string{"a", "a-b", "a.b", "b", "ä", "日本", "a b", "%2f", "+", "?", "#", "...", "\\", "😀", "A", "a\n"}),
		rapid.StringN(1, 5, 20).Filter(func(s string) bool {
			return s != "." && s != ".." && s[0] != '_' && !strings.ContainsAny(s, "/\uFFFD")
		}))
	value := rapid.OneOf(
		rapid.SampledFrom([]string{"", `{"kind":"Pod"}`, "line\nline", "a=b&c=d%20", "日本", " "}),
		rapid.String().Filter(func(s string) bool { return !strings.ContainsRune(s, '\uFFFD') }))
	return rapid.Custom(func(t *rapid.T) node {
		n := node{
			path:   "/" + strings.Join(rapid.SliceOfN(name, 1, 4).Draw(t, "path"), "/"),
			dir:    rapid.IntRange(0, 2).Draw(t, "dir") == 0,
			mortal: rapid.IntRange(0, 3).Draw(t, "mortal") == 0,
		}
		if !n.dir {
			n.value = value.Draw(t, "value")
		}
		return n
	})
}

// plant puts a node, unless the tree has no place for it: a leaf has nothing below
// it, and a directory is made once.
func plant(t *testing.T, keys client.KeysAPI, n node) {
	t.Helper()
	options := client.SetOptions{Dir: n.dir}
	if n.mortal {
		options.TTL = time.Hour
	}
	_, err := keys.Set(t.Context(), n.path, n.value, &options)
	refusal, _ := errors.AsType[client.Error](err)
	if err != nil && refusal.Code != client.ErrorCodeNotFile && refusal.Code != client.ErrorCodeNotDir {
		t.Fatalf("planting %+v: %v", n, err)
	}
}
