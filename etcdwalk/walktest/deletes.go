package walktest

import (
	"sync"
	"sync/atomic"
	"testing"

	"github.com/kubeferry/kubeferry/etcdwalk"
)

// gone deletes a key that was seen.
func gone(key string, seen int64) etcdwalk.Write {
	return etcdwalk.Write{Key: []byte(key), Seen: seen, Delete: true}
}

func testDelete(t *testing.T, f fixture) {
	first := f.put(t, write("/a", "1"), write("/b", "2"), write("/c", "3"))
	lease, err := f.Grant(t.Context(), 600)
	if err != nil {
		t.Fatalf("granting: %v", err)
	}
	leased := etcdwalk.Write{Key: []byte("/d"), Value: []byte("4"), Lease: lease}
	under := f.put(t, leased)[0]

	f.wantState(t, gone("/b", first[1]+1000), etcdwalk.WriteRaced)
	f.wantState(t, gone("/b", 0), etcdwalk.WriteFailed)
	wantEntries(t, f.contents(), written([]etcdwalk.Write{write("/a", "1"), write("/b", "2"), write("/c", "3"), leased}))

	revision := f.put(t, gone("/b", first[1]))[0]
	if revision <= under {
		t.Errorf("the delete is at revision %d, what was there before at %d", revision, under)
	}
	f.wantState(t, gone("/b", first[1]), etcdwalk.WriteRaced)
	f.wantState(t, gone("/nobody", first[1]), etcdwalk.WriteRaced)
	f.put(t, gone("/d", under))
	again := f.put(t, etcdwalk.Write{Key: []byte("/a"), Value: []byte("5"), Seen: first[0]})[0]
	f.wantState(t, gone("/a", first[0]), etcdwalk.WriteRaced)
	wantEntries(t, f.contents(), written([]etcdwalk.Write{write("/a", "5"), write("/c", "3")}))
	if heads, err := f.Heads(t.Context(), [][]byte{[]byte("/a"), []byte("/b"), []byte("/d")}); err != nil || heads[0] != again || heads[1] != 0 || heads[2] != 0 {
		t.Errorf("heads after the deletes: %v, %v", heads, err)
	}
	f.put(t, write("/b", "6")) // what is gone can be created
}

// testDeletesAndPuts has a batch of both, of which one guard fails, and one is none.
func testDeletesAndPuts(t *testing.T, f fixture) {
	there := many(300, 20)
	revisions := f.put(t, there...)
	const raced, wrong = 30, 33
	var writes, left []etcdwalk.Write
	for i, w := range there {
		switch i % 3 {
		case 0:
			writes = append(writes, gone(string(w.Key), revisions[i]))
		case 1:
			w.Value, w.Seen = []byte("again"), revisions[i]
			writes, left = append(writes, w), append(left, w)
		default:
			left = append(left, w)
		}
	}
	at := func(i int) *etcdwalk.Write { return &writes[2*(i/3)] }
	at(raced).Seen += 1000
	at(wrong).Seen = 0
	left = append(left, there[raced], there[wrong])
	for i, r := range f.Apply(t.Context(), writes) {
		want := etcdwalk.WriteApplied
		switch i {
		case 2 * (raced / 3):
			want = etcdwalk.WriteRaced
		case 2 * (wrong / 3):
			want = etcdwalk.WriteFailed
		}
		if r.State != want {
			t.Errorf("write %d of key %q: %+v, want state %d", i, writes[i].Key, r, want)
		}
	}
	wantEntries(t, f.contents(), written(left))
}

// testDeleteRaces has one who creates a key and one who deletes it, at once: each that
// succeeds undoes one of the other's.
func testDeleteRaces(t *testing.T, f fixture) {
	const rounds = 60
	var creates, deletes atomic.Int64
	var working sync.WaitGroup
	try := func(w etcdwalk.Write, applied *atomic.Int64) {
		switch r := f.Apply(t.Context(), []etcdwalk.Write{w})[0]; r.State {
		case etcdwalk.WriteApplied:
			applied.Add(1)
		case etcdwalk.WriteRaced:
		default:
			t.Errorf("%+v, want it applied or raced", r)
		}
	}
	for range 2 {
		working.Go(func() {
			for range rounds {
				try(write("/k", "v"), &creates)
			}
		})
		working.Go(func() {
			for range rounds {
				heads, err := f.Heads(t.Context(), [][]byte{[]byte("/k")})
				if err != nil {
					t.Errorf("heads: %v", err)
					return
				}
				if heads[0] != 0 {
					try(gone("/k", heads[0]), &deletes)
				}
			}
		})
	}
	working.Wait()
	left := int64(len(f.contents()))
	if creates.Load() == 0 || creates.Load()-deletes.Load() != left {
		t.Errorf("%d creates and %d deletes were applied, and %d keys are there", creates.Load(), deletes.Load(), left)
	}
}
