package etcdwalk_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubeferry/kubeferry/etcdwalk"
)

func TestAClusterIDIsWrittenAsEtcdctlDoes(t *testing.T) {
	for text, id := range map[string]etcdwalk.ClusterID{"0": 0, "cdf818194e3a8c32": 0xcdf818194e3a8c32, "ffffffffffffffff": 1<<64 - 1} {
		if got := fmt.Sprint(id); got != text {
			t.Errorf("%d is written %s, want %s", uint64(id), got, text)
		}
		info := etcdwalk.Info{ClusterID: id}
		data, err := json.Marshal(info)
		if err != nil {
			t.Fatal(err)
		}
		var back etcdwalk.Info
		if err := json.Unmarshal(data, &back); err != nil || !cmp.Equal(back, info) {
			t.Errorf("%s comes back as %+v, %v", data, back, err)
		}
	}
	for _, text := range []string{"", "-1", "0x1", "10000000000000000", "g"} {
		if err := new(etcdwalk.ClusterID).UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q is taken for a cluster id", text)
		}
	}
}
