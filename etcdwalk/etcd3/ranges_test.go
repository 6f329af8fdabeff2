package etcd3

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"

	"github.com/kubeferry/kubeferry/etcdwalk"
)

// TestWire holds a range, and what etcd makes of its wire form, together.
func TestWire(t *testing.T) {
	some := rapid.SliceOfN(rapid.SampledFrom([]byte{0, 1, 'a', 'b', 0xfe, 0xff}), 0, 3)
	rapid.Check(t, func(t *rapid.T) {
		r := etcdwalk.Range{Start: some.Draw(t, "start"), End: some.Draw(t, "end")}
		if rapid.Bool().Draw(t, "endless") {
			r.End = nil
		}
		k := some.Filter(func(k []byte) bool { return len(k) > 0 }).Draw(t, "key") // etcd has no other
		key, end, ok := wire(r)
		// As etcd reads it: server/etcdserver/txn/range.go.
		held := ok && bytes.Compare(k, key) >= 0
		switch {
		case len(end) == 0:
			held = ok && bytes.Equal(k, key)
		case len(end) == 1 && end[0] == 0:
		default:
			held = held && bytes.Compare(k, end) < 0
		}
		if held != r.Contains(k) {
			t.Errorf("range %q, on the wire %q %q %v: key %q is held: %v", r, key, end, ok, k, held)
		}
		if ok && len(key) == 0 {
			t.Errorf("range %q has no key on the wire", r)
		}
	})
}

func TestRangesInWords(t *testing.T) {
	for _, tt := range []struct {
		r           etcdwalk.Range
		name, grant string
	}{
		{etcdwalk.Range{}, "all keys", `"" --prefix=true`},
		{etcdwalk.Prefix("/registry/"), `keys with prefix "/registry/"`, `"/registry/" --prefix=true`},
		{etcdwalk.Key([]byte("/registry/a")), `key "/registry/a"`, `"/registry/a"`},
		{etcdwalk.Range{Start: []byte("b")}, `keys from "b" on`, `"b" --from-key=true`},
		{etcdwalk.Range{Start: []byte("b"), End: []byte("x")}, `keys from "b" to "x"`, `"b" "x"`},
	} {
		if name, grant := describe(tt.r), grantArguments(tt.r); name != tt.name || grant != tt.grant {
			t.Errorf("range %q: got %s and %s, want %s and %s", tt.r, name, grant, tt.name, tt.grant)
		}
	}
}
