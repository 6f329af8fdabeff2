package ferry_test

import (
	"testing"

	"github.com/kubeferry/kubeferry/etcdwalk"
)

// lose deletes keys.
func (s *store) lose(t *testing.T, keys ...string) {
	t.Helper()
	for _, key := range keys {
		have, err := s.Lookup(t.Context(), [][]byte{[]byte(key)})
		if err != nil || have[0] == nil {
			t.Fatalf("%s: %v", key, err)
		}
		if r := s.Apply(t.Context(), []etcdwalk.Write{{Key: []byte(key), Seen: have[0].ModRevision, Delete: true}})[0]; r.State != etcdwalk.WriteApplied {
			t.Fatal(r.Err)
		}
	}
}
