package cmd

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path"
	"strings"
	"testing"
	"time"

	client "go.etcd.io/etcd/client/v2"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/kubeferry/kubeferry/scripts/servers/etcdproc"
)

// storedAt tells where the fixture's API server keeps its objects, by the end of
// the key and the kind, and which of them are under a lease.
func storedAt(t *testing.T) (keys map[string]string, leased map[string]bool) {
	t.Helper()
	list, err := os.ReadFile(fixtures + ".keys.tsv")
	check(t, err)
	keys, leased = map[string]string{}, map[string]bool{}
	for row := range strings.Lines(string(list)) {
		cells := strings.Split(strings.TrimSuffix(row, "\n"), "\t")
		key, kind := cells[0], path.Base(cells[5])
		dir, name := path.Split(key)
		keys[kind+" "+path.Base(dir)+"/"+name] = key
		if _, taken := keys[kind+" /"+name]; !taken {
			keys[kind+" /"+name] = key
		}
		leased[key] = cells[3] != "0"
	}
	return keys, leased
}

// jsonKeyspace is a keyspace of n objects as an old API server would have kept
// them, in JSON: the fixture's objects, and copies of them under other names. Those
// that are mortal had a lease.
func jsonKeyspace(t *testing.T, n int) (values map[string]string, mortal map[string]bool) {
	t.Helper()
	text, err := os.ReadFile(unpack(t, fixtures+".objects.jsonl.zst"))
	check(t, err)
	keys, leased := storedAt(t)
	values, mortal = map[string]string{}, map[string]bool{}
	for copies := 0; len(values) < n; copies++ {
		for line := range strings.Lines(string(text)) {
			var row struct{ Object map[string]any }
			check(t, json.Unmarshal([]byte(line), &row))
			meta, _ := row.Object["metadata"].(map[string]any)
			ns, _ := meta["namespace"].(string)
			name, _ := meta["name"].(string)
			key, ok := keys[fmt.Sprintf("%s %s/%s", row.Object["kind"], ns, name)]
			if !ok || transient(key) || copies > 0 && ns == "" || len(values) == n {
				continue
			}
			dies := leased[key]
			if copies > 0 {
				name = fmt.Sprintf("%s-copy-%d", name, copies)
				meta["name"], key = name, path.Dir(key)+"/"+name
			}
			value, err := json.Marshal(row.Object)
			check(t, err)
			values[key], mortal[key] = string(value), dies
		}
		if copies == 0 && len(values) < 900 {
			t.Fatalf("only %d of the fixture's objects have a key", len(values))
		}
	}
	return values, mortal
}

// leaves is what a v2 store holds, and the seconds that are left to it.
func leaves(t *testing.T, keys client.KeysAPI) (values map[string]string, ttls map[string]int64) {
	t.Helper()
	root, err := keys.Get(t.Context(), "/", &client.GetOptions{Recursive: true, Quorum: true})
	check(t, err)
	values, ttls = map[string]string{}, map[string]int64{}
	var add func(n *client.Node)
	add = func(n *client.Node) {
		if !n.Dir {
			values[n.Key], ttls[n.Key] = n.Value, n.TTL
		}
		for _, child := range n.Nodes {
			add(child)
		}
	}
	add(root.Node)
	return values, ttls
}

// A keyspace of 2,000 objects goes from v2 to v2 and over to v3, and is the same
// there, with what was left of its TTLs (Z11).
func TestOldKeyspaceTravels(t *testing.T) {
	t.Parallel()
	keys := newPair(t)
	want, mortal := jsonKeyspace(t, 2000)
	old, tree := startV2(t)
	dying := 0
	for key, value := range want {
		var o client.SetOptions
		if mortal[key] {
			dying++
			o.TTL = time.Duration(600+dying) * time.Second
		}
		setV2(t, tree, key, value, o)
	}
	if dying < 10 {
		t.Fatalf("%d of the keys have a TTL, which shows nothing", dying)
	}
	_, before := leaves(t, tree)
	archive := keys.backUp(t, old.Endpoint, t.TempDir())
	_, after := leaves(t, tree)
	restore := []string{"restore", "--from", archive, "-i", keys.identity, "--scenario=new", "--leases=regrant", "--yes"}

	again, into := startV2(t)
	must(t, exitDone, append(restore, "--api=v2", "--endpoints", again.Endpoint)...).says(t, "2000 created")
	got, ttls := leaves(t, into)
	if !maps.Equal(got, want) {
		t.Errorf("v2 holds %d keys, or other values, want %d", len(got), len(want))
	}
	for key := range want {
		if (ttls[key] > 0) != mortal[key] || ttls[key] > before[key] {
			t.Errorf("key %s has %d seconds, it had %d", key, ttls[key], before[key])
		}
	}

	young := etcdproc.Start(t, etcdproc.Options{Version: etcdproc.V36})
	must(t, exitDone, append(restore, "--endpoints", young.Endpoint)...).says(t, "2000 created")
	v3 := young.Client(t)
	for _, e := range holdings(t, v3, 0) {
		key := string(e.Key)
		if string(e.Value) != want[key] || (e.Lease != 0) != mortal[key] {
			t.Errorf("key %s is not the same, or not under a lease like before", key)
		}
		delete(want, key)
		if e.Lease == 0 {
			continue
		}
		lease, err := v3.TimeToLive(t.Context(), clientv3.LeaseID(e.Lease))
		check(t, err)
		if lease.GrantedTTL > before[key]+1 || lease.GrantedTTL < after[key]-1 {
			t.Errorf("key %s was granted %d seconds, of %d to %d that it had", key, lease.GrantedTTL, after[key], before[key])
		}
	}
	if len(want) != 0 {
		t.Errorf("%d keys did not come over", len(want))
	}
}

// What a newer API server wrote, protobuf, is refused by v2 before anything is
// written; the first keys are named.
func TestFixtureDoesNotFitTheOldStore(t *testing.T) {
	t.Parallel()
	keys := newPair(t)
	server, _ := startFixture(t)
	archive := keys.backUp(t, server.Endpoint, t.TempDir())
	old, tree := startV2(t)
	must(t, exitGuard, "restore", "--from", archive, "-i", keys.identity, "--endpoints", old.Endpoint, "--api=v2", "--scenario=new", "--leases=regrant", "--yes").
		says(t, "nothing was written", "UTF-8", "/registry/")
	if got, _ := leaves(t, tree); len(got) != 0 {
		t.Errorf("the store holds %d keys", len(got))
	}
}
