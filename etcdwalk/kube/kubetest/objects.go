package kubetest

import (
	"encoding/json"
	"maps"
	"strconv"
	"strings"
	"testing"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
)

// Objects are what lines say that a store holds: each a kind, a key, and in JSON what there is
// in the object beside its names and its UID, which is its name. A key that ends in @ and a number is
// under that lease; a value that begins with = is that text, and no object.
func Objects(t testing.TB, layout *kube.Layout, lines string) (entries []etcdwalk.Entry) {
	t.Helper()
	for line := range strings.SplitSeq(lines, "\n") {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		kind, rest, _ := strings.Cut(line, " ")
		key, more, _ := strings.Cut(rest, " ")
		key, lease, leased := strings.Cut(key, "@")
		e := etcdwalk.Entry{Key: []byte(key), CreateRevision: 1, ModRevision: 1, Version: 1}
		if leased {
			id, err := strconv.ParseInt(lease, 10, 64)
			if err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			e.Lease = id
		}
		text, is := strings.CutPrefix(more, "=")
		e.Value = []byte(text)
		if !is {
			e.Value = value(t, kind, layout.Classify(e.Key), more)
		}
		entries = append(entries, e)
	}
	return entries
}

// value is an object in JSON.
func value(t testing.TB, kind string, class etcdwalk.Class, more string) []byte {
	t.Helper()
	o := map[string]any{"apiVersion": "v1", "kind": kind, "metadata": map[string]any{"name": class.Name, "namespace": class.Namespace, "uid": class.Name}}
	var extra map[string]any
	if more != "" {
		if err := json.Unmarshal([]byte(more), &extra); err != nil {
			t.Fatalf("%s: %v", more, err)
		}
	}
	for name, with := range extra {
		into, isMap := o[name].(map[string]any)
		if members, too := with.(map[string]any); isMap && too {
			maps.Copy(into, members)
			continue
		}
		o[name] = with
	}
	text, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	return text
}
