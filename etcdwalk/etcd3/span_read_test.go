package etcd3_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/protobuf/proto"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/connect"
	"github.com/kubeferry/kubeferry/etcdwalk/etcd3"
	"github.com/kubeferry/kubeferry/scripts/servers/etcdproc"
)

// names are n keys of one kind, each so manyth of them.
func names(n, each int) [][]byte {
	keys := make([][]byte, n)
	for i := range keys {
		keys[i] = fmt.Appendf(nil, "/registry/pods/shop/pod-%05d", i*each)
	}
	return keys
}

// held makes an entry of each key.
func held(keys [][]byte, size int) []etcdwalk.Entry {
	entries := make([]etcdwalk.Entry, len(keys))
	for i, key := range keys {
		entries[i] = etcdwalk.Entry{Key: key, Value: make([]byte, size)}
	}
	return entries
}

// looking is a target behind a relay that holds entries.
func looking(t *testing.T, cfg connect.Config, entries []etcdwalk.Entry) (*etcd3.Target, *relay) {
	t.Helper()
	server, _ := served(t, etcdproc.V36, entries)
	r := newRelay(t, server.Endpoint)
	cfg.Endpoints = []string{r.endpoint}
	return dial(t, cfg).Target(), r
}

// wantHeads looks for keys, of which there must be those that in tells.
func wantHeads(t *testing.T, target *etcd3.Target, keys [][]byte, in func(i int) bool) {
	t.Helper()
	heads, err := target.Heads(t.Context(), keys)
	if err != nil || len(heads) != len(keys) {
		t.Fatalf("%d heads of %d, %v", len(heads), len(keys), err)
	}
	for i := range keys {
		if (heads[i] != 0) != in(i) {
			t.Fatalf("key %q: head %d, it is there: %v", keys[i], heads[i], in(i))
		}
	}
}

func every(int) bool { return true }
func none(int) bool  { return false }

// TestLookingInRanges: keys that lie close together are looked up with one
// range each 128.
func TestLookingInRanges(t *testing.T) {
	keys := names(512, 2)
	for _, tt := range []struct {
		name         string
		there        [][]byte
		keys         [][]byte
		in           func(i int) bool
		ranges, txns int
	}{
		{"nothing is there", nil, keys, none, 4, 0},
		{"all is there", keys, keys, every, 4, 0},
		{"every second key is there", names(256, 4), keys, func(i int) bool { return i%2 == 0 }, 4, 0},
		{"too much lies in between, and it is tried less often", names(1024, 1), keys, every, 2, 4},
		{"keys that do not ascend", keys[:2], [][]byte{keys[1], keys[0]}, every, 0, 1},
		{"a single key", keys, keys[:1], every, 0, 1},
		{"keys of two kinds", keys, [][]byte{[]byte("/registry/leases/shop/x"), keys[0]}, func(i int) bool { return i == 1 }, 0, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			target, r := looking(t, connect.Config{}, held(tt.there, 10))
			var mu sync.Mutex
			r.received = func(method string, message []byte) {
				request := &pb.RangeRequest{}
				if method != "Range" {
					return
				}
				mu.Lock()
				defer mu.Unlock()
				if err := proto.Unmarshal(message, request); err != nil || !request.KeysOnly || request.Limit != 128+16 {
					t.Errorf("asked %v, %v; want keys only, and few", request, err)
				}
			}
			wantHeads(t, target, tt.keys, tt.in)
			if got := [2]int{r.count("Range"), r.count("Txn")}; got != [2]int{tt.ranges, tt.txns} {
				t.Errorf("%d ranges and %d transactions, want %d and %d", got[0], got[1], tt.ranges, tt.txns)
			}
		})
	}
}

// TestLookingInRangesAnswersTooLarge: a range that says too much is asked for
// key by key, and these in parts.
func TestLookingInRangesAnswersTooLarge(t *testing.T) {
	keys := names(64, 1)
	target, r := looking(t, connect.Config{MaxRecvBytes: 200 << 10}, held(keys, 20<<10))
	found, err := target.Lookup(t.Context(), keys)
	if err != nil {
		t.Fatal(err)
	}
	for i, e := range found {
		if e == nil || len(e.Value) != 20<<10 || string(e.Key) != string(keys[i]) {
			t.Fatalf("key %q: %v", keys[i], e)
		}
	}
	if r.count("Range") == 0 || r.count("Txn") == 0 {
		t.Errorf("%d ranges, %d transactions; want both", r.count("Range"), r.count("Txn"))
	}
}

// TestLookingWithRightsOnKeys: who may read the keys, and not what is between,
// is answered.
func TestLookingWithRightsOnKeys(t *testing.T) {
	keys := names(20, 1)
	server, root := guarded(t, etcdproc.V36, held(keys, 10))
	if _, err := root.RoleRevokePermission(t.Context(), "reader", "/registry/pods/", "/registry/pods0"); err != nil {
		t.Fatal(err)
	}
	for _, key := range keys {
		if _, err := root.RoleGrantPermission(t.Context(), "reader", string(key), "", 0); err != nil {
			t.Fatal(err)
		}
	}
	r := newRelay(t, server.Endpoint)
	wantHeads(t, dial(t, asBackup(r.endpoint)).Target(), keys, every)
	if r.count("Range") == 0 || r.count("Txn") == 0 {
		t.Errorf("%d ranges, %d transactions; want a range that is denied, and then the keys", r.count("Range"), r.count("Txn"))
	}
}

// TestLookingInRangesIsNotLiedTo: an answer with keys that cannot be in it ends
// the look.
func TestLookingInRangesIsNotLiedTo(t *testing.T) {
	for _, name := range []string{"a key is outside the range", "keys are out of order", "the cluster is another", "there is no header"} {
		t.Run(name, func(t *testing.T) {
			keys := names(100, 1)
			target, r := looking(t, connect.Config{}, held(keys, 10))
			told := false
			r.answered = func(_ context.Context, method string, _ int, message []byte) ([]byte, error) {
				answer := &pb.RangeResponse{}
				if method != "Range" {
					return message, nil
				}
				if err := proto.Unmarshal(message, answer); err != nil {
					return nil, err
				}
				told = lies[name](answer)
				return proto.Marshal(answer)
			}
			if _, err := target.Heads(t.Context(), keys); !errors.Is(err, etcdwalk.ErrInvariant) || !told {
				t.Errorf("got %v, told: %v", err, told)
			}
		})
	}
}
