package undo_test

import (
	"strings"
	"testing"

	"github.com/kubeferry/kubeferry/cmd/ferry/undo"
	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/kube/object"
)

// A digest tells values apart, and keys of the run, and what is under a lease; it does not tell
// a status.
func TestDigest(t *testing.T) {
	digest := undo.Digest(t.Context(), nil, []byte("one"))
	a, leased, status := text("a", "1"), text("a", "1"), text("a", "1")
	leased.Lease = 7
	status.Value = append(status.Value[:len(status.Value)-1:len(status.Value)-1], `,"status":{"x":1}}`...)
	for name, c := range map[string]struct {
		e    etcdwalk.Entry
		same bool
	}{"itself": {a, true}, "another value": {text("a", "2"), false}, "a lease": {leased, false}, "a status": {status, true}} {
		if (digest(a) == digest(c.e)) != c.same {
			t.Error(name)
		}
	}
	if undo.Digest(t.Context(), nil, []byte("other"))(a) == digest(a) {
		t.Error("another key makes no other digest")
	}
}

func BenchmarkDigest(b *testing.B) {
	e := text("a", strings.Repeat("x", 900))
	digest := undo.Digest(b.Context(), (*object.Opener)(nil), []byte("0123456789abcdef"))
	b.ReportAllocs()
	b.SetBytes(int64(len(e.Value)))
	for b.Loop() {
		digest(e)
	}
}
