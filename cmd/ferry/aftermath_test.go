package ferry_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/kubeferry/kubeferry/cmd/ferry"
	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
	"github.com/kubeferry/kubeferry/etcdwalk/replay"
	"github.com/kubeferry/kubeferry/etcdwalk/walktest"
)

// absent is a Target that is unavailable for so many looks.
type absent struct {
	etcdwalk.Target
	looks int
}

func (a *absent) Heads(ctx context.Context, keys [][]byte) ([]int64, error) {
	if a.looks--; a.looks >= 0 {
		return nil, fmt.Errorf("no answer%.0w", etcdwalk.ErrUnavailable)
	}
	return a.Target.Heads(ctx, keys)
}

// TestALookThatFailsIsNotTheLast: an etcd that is away for a moment is looked at again; if it
// is away at the end, nobody knows what stayed.
func TestALookThatFailsIsNotTheLast(t *testing.T) {
	for looks, unknown := range map[int]bool{1: false, 2: true} {
		s, r := comingBack(t)
		planned, err := r.Plan(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.Apply(t.Context(), planned); err != nil {
			t.Fatal(err)
		}
		away := &absent{s.Target, looks}
		r.Target = away
		a, err := r.Watch(t.Context(), planned, 1100*time.Millisecond)
		if errors.Is(err, etcdwalk.ErrUnavailable) != unknown || !unknown && err != nil || away.looks > 0 {
			t.Errorf("away for %d looks: %+v, %v", looks, a, err)
		}
	}
}

// deleting is a Target in which somebody deletes a key as soon as it was written: it stays,
// with a deletionTimestamp, while others are written.
type deleting struct {
	etcdwalk.Target
	key   string
	value string
	done  bool
}

func (m *deleting) Apply(ctx context.Context, writes []etcdwalk.Write) []etcdwalk.Result {
	results := m.Target.Apply(ctx, writes)
	for i, w := range writes {
		if string(w.Key) == m.key && results[i].State == etcdwalk.WriteApplied && !m.done {
			m.done = true
			m.Target.Apply(ctx, []etcdwalk.Write{{Key: w.Key, Value: []byte(m.value), Seen: results[i].Revision}})
		}
	}
	return results
}

// TestWhatMovesWhileOthersAreWrittenIsSeen: each key is held against its own revision, and not
// against the last of the apply.
func TestWhatMovesWhileOthersAreWrittenIsSeen(t *testing.T) {
	s, r := comingBack(t)
	const key = "/registry/deployments/a/web0"
	view, err := r.Source.Open(t.Context(), etcdwalk.Newest, nil)
	if err != nil {
		t.Fatal(err)
	}
	value := ""
	for e, err := range view.Walk(t.Context(), etcdwalk.Selection{Ranges: etcdwalk.Ranges{etcdwalk.Key([]byte(key))}}) {
		if err != nil {
			t.Fatal(err)
		}
		value = strings.Replace(string(e.Value), `"metadata":{`, `"metadata":{"deletionTimestamp":"2026-01-01T00:00:00Z",`, 1)
	}
	m := &deleting{Target: s.Target, key: key, value: value}
	r.Target = m
	planned, err := r.Plan(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if done, err := r.Apply(t.Context(), planned); err != nil || done.Counts[replay.Created] < 3 || !m.done {
		t.Fatalf("%v, %v, %v", done.Counts, err, m.done)
	}
	if a, err := r.Watch(t.Context(), planned, time.Millisecond); !errors.Is(err, ferry.ErrIncomplete) || len(a.Lost) != 1 || a.Lost[0].Key != key {
		t.Errorf("%+v, %v", a, err)
	}
}

// TestAnAddressThatIsMadeAnewIsNoLoss: API servers do that, before they see its Service.
func TestAnAddressThatIsMadeAnewIsNoLoss(t *testing.T) {
	s, r := comingBack(t)
	const key = "/registry/ipaddresses/10.0.0.9"
	address := func(uid string) []byte {
		return []byte(`{"kind":"IPAddress","apiVersion":"networking.k8s.io/v1","metadata":{"name":"10.0.0.9","uid":"` + uid + `"},"spec":{"parentRef":{"resource":"services","namespace":"a","name":"web"}}}`)
	}
	archive := walktest.NewView(etcdwalk.Entry{Key: []byte(key), Value: address("then"), ModRevision: 1, CreateRevision: 1, Version: 1})
	archive.About.Revision = 1
	r.Source, r.Query, r.Allow = archive, query(t, kube.Filter{Include: []string{"ipaddresses"}}), []string{"derived"}
	planned, err := r.Plan(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	done, err := r.Apply(t.Context(), planned)
	if err != nil || done.Counts[replay.Created] != 1 {
		t.Fatalf("%v, %v", done.Counts, err)
	}
	expect := func(what string) {
		t.Helper()
		a, err := r.Watch(t.Context(), planned, time.Millisecond)
		if err != nil || len(a.Expected) != 1 || a.Expected[0].What != what {
			t.Errorf("%s: %+v, %v", what, a, err)
		}
	}
	s.lose(t, key)
	expect("gone")
	s.Apply(t.Context(), []etcdwalk.Write{{Key: []byte(key), Value: address("now")}})
	expect("made anew")
}
