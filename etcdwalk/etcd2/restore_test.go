package etcd2_test

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/replay"
	"github.com/kubeferry/kubeferry/etcdwalk/replay/journal"
	"github.com/kubeferry/kubeferry/etcdwalk/walktest"
)

// planFile is a file for the plan of a job.
func planFile(t *testing.T) *journal.File {
	t.Helper()
	file, err := journal.Temporary(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := file.Close(); err != nil {
			t.Error(err)
		}
	})
	return file
}

// digest is of the whole value.
func digest(e etcdwalk.Entry) (d journal.Digest) {
	sum := sha256.Sum256(e.Value)
	copy(d[:], sum[:])
	return d
}

// restore replays a view into a server and returns each key's outcome.
func restore(t *testing.T, source etcdwalk.View, endpoint string, policy replay.Policy, first func()) (map[string]replay.Fate, error) {
	t.Helper()
	outcomes := map[string]replay.Fate{}
	job := replay.Job{
		Source: source, Selections: []etcdwalk.Selection{walktest.Everything()},
		Target: dial(t, endpoint).Target(), Policy: policy, Regrant: true, InFlight: 1, Patience: 3 * time.Second,
		File: planFile(t), Digest: digest,
	}
	plan, err := job.Plan(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	first() // between the plan and the apply
	job.Report = func(r replay.Line) error {
		key := string(r.Key)
		if _, twice := outcomes[key]; twice {
			t.Errorf("key %s has two outcomes", key)
		}
		outcomes[key] = r.Fate
		return nil
	}
	_, err = job.Apply(t.Context(), plan)
	return outcomes, err
}

func nothing() {}

func entry(key, value string, revision int64) etcdwalk.Entry {
	return etcdwalk.Entry{Key: []byte(key), Value: []byte(value), CreateRevision: 1, ModRevision: revision, Version: 1}
}

// TestRaces: Z07. Another changes the node between the plan and the write. Under each policy
// it is theirs; nothing is written blindly, nor for ever.
func TestRaces(t *testing.T) {
	server, keys := serve(t)
	const key = "/registry/configmaps/a/x"
	put := func(value string) {
		if _, err := keys.Set(t.Context(), key, value, nil); err != nil {
			t.Error(err)
		}
	}
	remove := func() {
		if _, err := keys.Delete(t.Context(), key, nil); err != nil {
			t.Error(err)
		}
	}
	for _, tt := range []struct {
		name   string
		there  bool
		meddle func()
		times  int
		policy replay.Policy
		want   replay.Fate
		holds  string
		puts   int
	}{
		{"created (105)", false, func() { put("theirs") }, 1, replay.Fail, replay.Moved, "theirs", 1},
		{"created (105)", false, func() { put("theirs") }, 1, replay.Skip, replay.Moved, "theirs", 1},
		{"created (105)", false, func() { put("theirs") }, 1, replay.Newer, replay.Moved, "theirs", 1},
		{"created (105)", false, func() { put("theirs") }, 1, replay.Overwrite, replay.Moved, "theirs", 1},
		{"changed (101)", true, func() { put("theirs") }, 1, replay.Overwrite, replay.Moved, "theirs", 1},
		{"deleted (100)", true, remove, 1, replay.Overwrite, replay.Moved, "", 1},
		{"rewritten again and again", true, func() { put("old") }, always, replay.Overwrite, replay.Moved, "old", 4},
	} {
		t.Run(fmt.Sprint(tt.name, " under ", &tt.policy), func(t *testing.T) {
			wipe(t, keys)
			if tt.there {
				put("old")
			}
			r := newRelay(t, server.Endpoint, &rule{method: http.MethodPut, prefix: key, left: tt.times, harm: before(tt.meddle)})
			got, err := restore(t, walktest.NewView(entry(key, "ours", 1)), r.endpoint, tt.policy, nothing)
			if (err != nil) != (tt.policy == replay.Fail) || got[key] != tt.want {
				t.Errorf("outcome %s, %v, want %s", got[key], err, tt.want)
			}
			if answer, err := keys.Get(t.Context(), key, nil); (err != nil) != (tt.holds == "") || err == nil && answer.Node.Value != tt.holds {
				t.Errorf("the store holds %+v, %v, want %s", answer, err, tt.holds)
			}
			if n := r.count(http.MethodPut); n != tt.puts {
				t.Errorf("%d writes, want %d", n, tt.puts)
			}
		})
	}
}

// TestLostAnswers: Z08. A read with quorum tells that the write took effect. It is
// not made again, under a TTL neither.
func TestLostAnswers(t *testing.T) {
	server, keys := serve(t)
	r := newRelay(t, server.Endpoint,
		&rule{method: http.MethodPut, prefix: "/registry/configmaps/a/x", left: 1, harm: lose},
		&rule{method: http.MethodPut, prefix: "/registry/events/a/x", left: 1, harm: lose},
		&rule{method: http.MethodPut, prefix: "/registry/mortal", left: 1, harm: lose})
	view := walktest.NewView(
		entry("/registry/configmaps/a/x", "1", 1), entry("/registry/configmaps/a/y", "2", 1),
		under(entry("/registry/events/a/x", "3", 1), 7), under(entry("/registry/mortal/", "", 1), 7))
	view.TTLs = map[int64]etcdwalk.Lease{7: {ID: 7, State: etcdwalk.LeaseLive, Granted: 100, Remaining: 100}}
	got, err := restore(t, view, r.endpoint, replay.Fail, nothing)
	if err != nil || len(got) != 4 {
		t.Errorf("%d outcomes, %v", len(got), err)
	}
	for key, outcome := range got {
		if outcome != replay.Created {
			t.Errorf("%s: %s, want %s", key, outcome, replay.Created)
		}
	}
	if n := r.count(http.MethodPut); n != 4 {
		t.Errorf("%d writes for 4 keys", n)
	}
	if n := len(contents(t, keys)); n != 4 {
		t.Errorf("the store holds %d keys", n)
	}
}

func under(e etcdwalk.Entry, lease int64) etcdwalk.Entry {
	e.Lease = lease
	return e
}

// TestDirectoryHoldsUp: a leaf would make its directory, without the TTL.
func TestDirectoryHoldsUp(t *testing.T) {
	server, keys := serve(t)
	r := newRelay(t, server.Endpoint, &rule{
		method: http.MethodPut, prefix: "/registry/events/a", left: 1,
		harm: instead(http.StatusInternalServerError, `{"errorCode":301,"message":"During Leader Election"}`),
	})
	view := walktest.NewView(under(entry("/registry/events/a/", "", 1), 9), entry("/registry/events/a/x", "1", 1))
	view.TTLs = map[int64]etcdwalk.Lease{9: {ID: 9, State: etcdwalk.LeaseLive, Granted: 100, Remaining: 100}}
	got, err := restore(t, view, r.endpoint, replay.Fail, nothing)
	if err != nil || got["/registry/events/a/"] != replay.Created || got["/registry/events/a/x"] != replay.Created {
		t.Errorf("got %v, %v", got, err)
	}
	if held := contents(t, keys); len(held) != 2 || held[0].Lease == 0 {
		t.Errorf("the store holds %+v", held)
	}
}

// TestTimeRunsOut: Z09. What had no time left, or has none when its turn comes, is
// never written, least of all without a TTL.
func TestTimeRunsOut(t *testing.T) {
	server, keys := serve(t)
	r := newRelay(t, server.Endpoint, &rule{method: http.MethodPut, prefix: "/registry/events/a", left: 1, harm: before(func() {
		time.Sleep(1800 * time.Millisecond) // a directory goes before the leaves
	})})
	view := walktest.NewView(
		under(entry("/registry/events/a/", "", 1), 9), under(entry("/registry/events/a/gone", "none was left", 1), 7),
		under(entry("/registry/events/a/long", "enough is left", 1), 9), under(entry("/registry/events/a/short", "a second is left", 1), 8))
	view.TTLs = map[int64]etcdwalk.Lease{
		7: {ID: 7, State: etcdwalk.LeaseLive, Granted: 100},
		8: {ID: 8, State: etcdwalk.LeaseLive, Granted: 1, Remaining: 1},
		9: {ID: 9, State: etcdwalk.LeaseLive, Granted: 100, Remaining: 100},
	}
	got, err := restore(t, view, r.endpoint, replay.Fail, nothing)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]replay.Fate{
		"/registry/events/a/": replay.Created, "/registry/events/a/gone": replay.Expired,
		"/registry/events/a/long": replay.Created, "/registry/events/a/short": replay.Expired,
	}
	if diff := cmp.Diff(got, want); diff != "" {
		t.Errorf("outcomes (-got +want):\n%s", diff)
	}
	held := contents(t, keys)
	for _, e := range held {
		if e.Lease == 0 {
			t.Errorf("%s has no TTL", e.Key)
		}
	}
	if len(held) != 2 || r.count(http.MethodPut) != 2 {
		t.Errorf("%d keys after %d writes, want 2 of both", len(held), r.count(http.MethodPut))
	}
}

// TestADeleteWhoseAnswerIsLost: nobody knows what became of it until the key is read.
func TestADeleteWhoseAnswerIsLost(t *testing.T) {
	server, keys := serve(t)
	r := newRelay(t, server.Endpoint, &rule{method: http.MethodDelete, prefix: "/registry/configmaps/a/x", left: 1, harm: lose})
	target := dial(t, r.endpoint).Target()
	created := target.Apply(t.Context(), []etcdwalk.Write{{Key: []byte("/registry/configmaps/a/x"), Value: []byte("1")}})[0]
	remove := etcdwalk.Write{Key: []byte("/registry/configmaps/a/x"), Seen: created.Revision, Delete: true}
	if got := target.Apply(t.Context(), []etcdwalk.Write{remove})[0]; got.State != etcdwalk.WriteUnknown || got.Err == nil {
		t.Errorf("got %+v, want that it is unknown", got)
	}
	if heads, err := target.Heads(t.Context(), [][]byte{remove.Key}); err != nil || heads[0] != 0 {
		t.Errorf("the key is at %v, %v", heads, err)
	}
	left := contents(t, keys) // the directory stays
	if n := r.count(http.MethodDelete); n != 1 || len(left) != 1 || string(left[0].Key) != "/registry/configmaps/a/" {
		t.Errorf("%d requests, and what is left is %+v", n, left)
	}
}
