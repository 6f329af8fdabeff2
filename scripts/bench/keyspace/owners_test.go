package keyspace_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/kubeferry/kubeferry/scripts/bench/keyspace"
)

// TestOwnersAreNotInTheKeyspace: whoever puts them beside it takes nothing away from it.
func TestOwnersAreNotInTheKeyspace(t *testing.T) {
	k, err := keyspace.New(2000, 1)
	if err != nil {
		t.Fatal(err)
	}
	owners, err := k.Owners()
	if err != nil {
		t.Fatal(err)
	}
	own, kinds := map[string]bool{}, map[string]int{}
	for i := range k.Len() {
		o, err := k.At(i, 0)
		if err != nil {
			t.Fatal(err)
		}
		own[o.Key] = true
	}
	for _, o := range owners {
		if own[o.Key] {
			t.Errorf("%s is in the keyspace", o.Key)
		}
		var value struct {
			Kind     string
			Metadata struct{ Name, UID string }
		}
		if err := json.Unmarshal(o.Value, &value); err != nil || len(value.Metadata.UID) != 36 || !strings.HasSuffix(o.Key, "/"+value.Metadata.Name) {
			t.Errorf("%s: %s, %v", o.Key, o.Value, err)
		}
		kinds[value.Kind]++
	}
	if kinds["Deployment"] == 0 || kinds["ReplicaSet"] == 0 || kinds["Service"] == 0 {
		t.Errorf("the owners are %v", kinds)
	}
}
