package etcd3_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/connect"
	"github.com/kubeferry/kubeferry/etcdwalk/etcd3"
	"github.com/kubeferry/kubeferry/etcdwalk/walktest"
	"github.com/kubeferry/kubeferry/scripts/servers/etcdproc"
)

// folders are kinds with keys in namespaces: most with few, some with many, two with large
// ones.
func folders(n int) []etcdwalk.Entry {
	var entries []etcdwalk.Entry
	for i := range n {
		each, size := 1+i%3, 50
		switch {
		case i%97 == 13:
			each = 700
		case i%200 == 120:
			size = 60 << 10
			each = 15
		}
		for _, ns := range []string{"a", "shop", "z"} {
			for j := range each {
				key := fmt.Sprintf("/registry/group%d.example.com/kind%03d/%s/%03d", i/100, i, ns, j)
				entries = append(entries, etcdwalk.Entry{Key: []byte(key), Value: bytes.Repeat([]byte{byte(i)}, size)})
			}
		}
	}
	return entries
}

// inShop selects one namespace of the folders.
func inShop(n int) etcdwalk.Selection {
	sel := etcdwalk.Selection{Splits: etcdwalk.Splits{Kinds: [][]byte{[]byte("/registry/group1.example.com/kind150/"), []byte("/registry/group3")}}}
	var ranges []etcdwalk.Range
	for i := range n {
		ranges = append(ranges, etcdwalk.Prefix(fmt.Sprintf("/registry/group%d.example.com/kind%03d/shop/", i/100, i)))
	}
	sel.Ranges = etcdwalk.Union(ranges...)
	return sel
}

// collect walks a selection.
func collect(ctx context.Context, v etcdwalk.View, sel etcdwalk.Selection) (entries []etcdwalk.Entry, err error) {
	for e, err := range v.Walk(ctx, sel) {
		if err != nil {
			return entries, err
		}
		entries = append(entries, e.Clone())
	}
	return entries, nil
}

// chosen are the entries that lie in a selection's ranges.
func chosen(all []etcdwalk.Entry, sel etcdwalk.Selection) (taken []etcdwalk.Entry) {
	for _, e := range all {
		if sel.Ranges.Contains(e.Key) {
			taken = append(taken, e)
		}
	}
	return taken
}

// TestManyRangesTakeFewRequests: ranges with little between them are read together, those
// with much are not, and what comes is the same.
func TestManyRangesTakeFewRequests(t *testing.T) {
	const kinds = 400
	for _, version := range etcdproc.Versions() {
		t.Run(version, func(t *testing.T) {
			server, client := served(t, version, folders(kinds))
			r := newRelay(t, server.Endpoint)
			v := pin(t, connect.Config{Endpoints: []string{r.endpoint}})
			want := chosen(contents(t, client, 0), inShop(kinds))
			before := r.count("Range") + r.count("RangeStream")
			got, err := collect(t.Context(), v, inShop(kinds))
			if err != nil {
				t.Fatal(err)
			}
			if diff := walktest.Diff(got, want); diff != "" || len(want) < 2*kinds {
				t.Errorf("%d entries: %s", len(want), diff)
			}
			if asked := r.count("Range") + r.count("RangeStream") - before; asked > 160 {
				t.Errorf("%d requests for %d ranges, want at most 160", asked, kinds)
			}
			if n, err := v.Count(t.Context(), inShop(kinds)); err != nil || n >= 0 && n != int64(len(want)) {
				t.Errorf("counted %d, %v; want %d, or that it is not known", n, err, len(want))
			}
		})
	}
}

// TestRandomSelections: whatever the ranges and the places to cut at are, a walk takes what a
// filter over the whole keyspace takes.
func TestRandomSelections(t *testing.T) {
	for _, version := range both {
		t.Run(version, func(t *testing.T) {
			server, client := served(t, version, folders(500))
			all := contents(t, client, 0)
			v := pin(t, connect.Config{Endpoints: []string{server.Endpoint}})
			random := rand.New(rand.NewPCG(18, 1))
			somewhere := func() []byte { return all[random.IntN(len(all))].Key }
			together := 0
			for range 40 {
				sel := etcdwalk.Selection{}
				var ranges []etcdwalk.Range
				for range random.IntN(1500) {
					key := somewhere()
					switch random.IntN(8) {
					case 0, 1:
						ranges = append(ranges, etcdwalk.Key(key))
					case 2, 3, 4, 5:
						ranges = append(ranges, etcdwalk.Prefix(string(key[:bytes.LastIndexByte(key, '/')+1])))
					case 6:
						ranges = append(ranges, etcdwalk.Prefix(string(key[:len(key)-1])))
					default:
						at := slices.IndexFunc(all, func(e etcdwalk.Entry) bool { return bytes.Equal(e.Key, key) })
						ranges = append(ranges, etcdwalk.Range{Start: key, End: all[min(len(all)-1, at+random.IntN(10))].Key})
					}
				}
				if random.IntN(8) == 0 {
					ranges = append(ranges, etcdwalk.Range{Start: somewhere()})
				}
				sel.Ranges = etcdwalk.Union(ranges...)
				if random.IntN(4) == 0 {
					sel.Ranges = etcdwalk.Ranges{{}}.Subtract(sel.Ranges)
				}
				for range random.IntN(20) {
					sel.Splits.Kinds = append(sel.Splits.Kinds, somewhere())
				}
				slices.SortFunc(sel.Splits.Kinds, bytes.Compare)
				sel.Splits.Kinds = slices.CompactFunc(sel.Splits.Kinds, bytes.Equal)
				got, err := collect(t.Context(), v, sel)
				if err != nil {
					t.Fatal(err)
				}
				want := chosen(all, sel)
				if diff := walktest.Diff(got, want); diff != "" {
					t.Fatalf("%d ranges: %s", len(sel.Ranges), diff)
				}
				n, err := v.Count(t.Context(), sel)
				if err != nil || n >= 0 && n != int64(len(want)) {
					t.Errorf("counted %d, %v; want %d, or that it is not known", n, err, len(want))
				}
				if n < 0 {
					together++
				}
			}
			if together < 5 {
				t.Errorf("only %d of the selections were read together", together)
			}
		})
	}
}

// TestRightsOnManyRanges: who may read each range and nothing between them reads each.
func TestRightsOnManyRanges(t *testing.T) {
	const kinds = 150
	server, client := served(t, etcdproc.V36, folders(kinds), "--bcrypt-cost=4")
	want := chosen(contents(t, client, 0), inShop(kinds))
	sel := inShop(kinds)
	must := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(client.UserAdd(t.Context(), "root", "toor"))
	must(client.UserGrantRole(t.Context(), "root", "root"))
	must(client.RoleAdd(t.Context(), "reader"))
	for _, r := range sel.Ranges {
		must(client.RoleGrantPermission(t.Context(), "reader", string(r.Start), string(r.End), clientv3.PermissionType(clientv3.PermRead)))
	}
	must(client.UserAdd(t.Context(), "backup", "secret-of-backup"))
	must(client.UserGrantRole(t.Context(), "backup", "reader"))
	must(client.AuthEnable(t.Context()))
	v, err := dial(t, asBackup(server.Endpoint)).Pin(t.Context(), sel.Ranges)
	if err != nil {
		t.Fatal(err)
	}
	got, err := collect(t.Context(), v, sel)
	if err != nil {
		t.Fatal(err)
	}
	if diff := walktest.Diff(got, want); diff != "" {
		t.Error(diff)
	}
	sel.Ranges = etcdwalk.Union(append(sel.Ranges, etcdwalk.Prefix("/registry/group1.example.com/kind120/z/"))...)
	if _, err := collect(t.Context(), v, sel); !errors.Is(err, etcdwalk.ErrDenied) || !strings.Contains(err.Error(), "kind120/z/") {
		t.Errorf("got %v, want %v with the range that is not granted", err, etcdwalk.ErrDenied)
	}
}

// TestGlancesThatFail: what is asked for together and does not come whole is read the long
// way, which goes on, or tells why not.
func TestGlancesThatFail(t *testing.T) {
	const kinds = 400
	for name, c := range map[string]struct {
		fault func(n int) error
		want  error
	}{
		"a server that is away at times": {func(n int) error {
			if n%3 == 0 {
				return status.Error(codes.Unavailable, "away")
			}
			return nil
		}, nil},
		"a revision that is gone": {func(n int) error {
			if n > 20 {
				return rpctypes.ErrGRPCCompacted
			}
			return nil
		}, etcdwalk.ErrCompacted},
		"rights that are gone": {func(n int) error {
			if n > 20 {
				return rpctypes.ErrGRPCPermissionDenied
			}
			return nil
		}, etcdwalk.ErrDenied},
	} {
		t.Run(name, func(t *testing.T) {
			server, client := served(t, etcdproc.V36, folders(kinds))
			r := newRelay(t, server.Endpoint)
			var fired atomic.Int64
			var pinned atomic.Bool
			r.asked = func(_ context.Context, method string, n int) error {
				if !pinned.Load() || method != "Range" {
					return nil
				}
				err := c.fault(n)
				if err != nil {
					fired.Add(1)
				}
				return err
			}
			v := pin(t, connect.Config{Endpoints: []string{r.endpoint}})
			pinned.Store(true)
			got, err := collect(t.Context(), v, inShop(kinds))
			if !errors.Is(err, c.want) {
				t.Fatalf("got %v, want %v", err, c.want)
			}
			want := chosen(contents(t, client, 0), inShop(kinds))
			if diff := walktest.Diff(got, want); c.want == nil && diff != "" {
				t.Error(diff)
			}
			if fired.Load() == 0 {
				t.Error("no request failed")
			}
		})
	}
	t.Run("a server that loses a key", func(t *testing.T) {
		server, _ := served(t, etcdproc.V36, folders(kinds))
		r := newRelay(t, server.Endpoint)
		var fired atomic.Int64
		r.answered = func(_ context.Context, method string, _ int, message []byte) ([]byte, error) {
			answer := &pb.RangeResponse{}
			if method != "Range" || proto.Unmarshal(message, answer) != nil || len(answer.Kvs) < 3 {
				return message, nil
			}
			fired.Add(1)
			answer.Kvs = slices.Delete(answer.Kvs, 1, 2)
			return proto.Marshal(answer)
		}
		_, err := collect(t.Context(), pin(t, connect.Config{Endpoints: []string{r.endpoint}}), inShop(kinds))
		if !errors.Is(err, etcdwalk.ErrInvariant) || fired.Load() == 0 {
			t.Errorf("got %v after %d answers without a key, want %v", err, fired.Load(), etcdwalk.ErrInvariant)
		}
	})
}

// TestLeap: the first key of each folder is told, in few requests and without a value.
func TestLeap(t *testing.T) {
	const kinds = 400
	for _, version := range both {
		t.Run(version, func(t *testing.T) {
			server, client := served(t, version, folders(kinds))
			r := newRelay(t, server.Endpoint)
			v := pin(t, connect.Config{Endpoints: []string{r.endpoint}})
			var want []string
			for _, e := range contents(t, client, 0) {
				if dir := folderOf(e.Key); len(want) == 0 || folderOf([]byte(want[len(want)-1])) != dir {
					want = append(want, string(e.Key))
				}
			}
			before := r.count("Range")
			if got := leaps(t, v, etcdwalk.Ranges{etcdwalk.Prefix("/registry/")}); !slices.Equal(got, want) || len(want) != kinds {
				t.Errorf("%d keys were told, want the first ones of %d folders", len(got), kinds)
			}
			if asked := r.count("Range") - before; asked > 16 {
				t.Errorf("%d requests, want at most 16", asked)
			}
			if got := leaps(t, v, etcdwalk.Ranges{{Start: []byte("/x"), End: []byte("/x")}, etcdwalk.Prefix("/y")}); len(got) != 0 {
				t.Errorf("got %q where nothing is", got)
			}
		})
	}
	t.Run("a server that tells no keys alone", func(t *testing.T) { // kine
		server, _ := served(t, etcdproc.V36, folders(20))
		r := newRelay(t, server.Endpoint)
		v := pin(t, connect.Config{Endpoints: []string{r.endpoint}})
		var fired atomic.Int64
		r.asked = func(_ context.Context, method string, _ int) error {
			if method != "Range" {
				return nil
			}
			fired.Add(1)
			return status.Error(codes.Unimplemented, "keysOnly is not implemented by kine")
		}
		err := v.Leap(t.Context(), everything, func([]byte) []byte {
			t.Error("it tells of a key")
			return nil
		})
		if !errors.Is(err, errors.ErrUnsupported) || fired.Load() == 0 {
			t.Errorf("got %v after %d refusals, want %v", err, fired.Load(), errors.ErrUnsupported)
		}
	})
	t.Run("an answer out of order is none", func(t *testing.T) {
		server, _ := served(t, etcdproc.V36, folders(20))
		r := newRelay(t, server.Endpoint)
		var fired atomic.Int64
		r.answered = func(_ context.Context, method string, _ int, message []byte) ([]byte, error) {
			answer := &pb.RangeResponse{}
			if method != "Range" || proto.Unmarshal(message, answer) != nil || len(answer.Kvs) < 2 {
				return message, nil
			}
			fired.Add(1)
			slices.Reverse(answer.Kvs)
			return proto.Marshal(answer)
		}
		err := pin(t, connect.Config{Endpoints: []string{r.endpoint}}).Leap(t.Context(), everything, func([]byte) []byte { return nil })
		if !errors.Is(err, etcdwalk.ErrInvariant) || fired.Load() == 0 {
			t.Errorf("got %v after %d answers out of order, want %v", err, fired.Load(), etcdwalk.ErrInvariant)
		}
	})
}

// folderOf is a key up to the slash behind its kind.
func folderOf(key []byte) string {
	return strings.Join(strings.SplitAfterN(string(key), "/", 5)[:4], "")
}

// leaps are the keys that are told to who leaps over each folder.
func leaps(t *testing.T, v *etcd3.View, ranges etcdwalk.Ranges) (told []string) {
	t.Helper()
	var mu sync.Mutex
	err := v.Leap(t.Context(), ranges, func(key []byte) []byte {
		mu.Lock()
		defer mu.Unlock()
		told = append(told, string(key))
		return etcdwalk.Prefix(folderOf(key)).End
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(told)
	return told
}
