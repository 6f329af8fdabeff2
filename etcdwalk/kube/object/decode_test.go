package object_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubeferry/kubeferry/etcdwalk/kube/object"
	"github.com/kubeferry/kubeferry/scripts/fixtures/database"
)

// shown are the objects of a fixture as the API server showed them, by
// apiVersion/kind/namespace/name.
func shown(t *testing.T, fixture string) map[string]map[string]any {
	t.Helper()
	objects, err := database.Objects(filepath.Join(fixtures, fixture+".objects.jsonl.zst"))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]map[string]any{}
	for _, text := range objects {
		var tree map[string]any
		decodeNumbers(t, text, &tree)
		all[nameOf(tree)] = tree
	}
	if len(all) < 1000 {
		t.Fatalf("%d objects", len(all))
	}
	return all
}

// decodeNumbers reads JSON and leaves numbers as they are written.
func decodeNumbers(t *testing.T, text []byte, tree *map[string]any) {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	if err := dec.Decode(tree); err != nil {
		t.Fatal(err)
	}
}

func nameOf(o map[string]any) string {
	about := part(o, "metadata")
	return text(o, "apiVersion") + "/" + text(o, "kind") + "/" + text(about, "namespace") + "/" + text(about, "name")
}

// part is an object in a tree, and text a text; nothing if there is none.
func part(tree map[string]any, name string) map[string]any {
	inner, _ := tree[name].(map[string]any)
	return inner
}

func text(tree map[string]any, name string) string {
	s, _ := tree[name].(string)
	return s
}

// differences are what an API server shows otherwise than it is stored, each with the
// number of objects that a fixture has of it.
var differences = map[string]map[string]int{
	"registry-1.36": {
		"no object":                                              1, // compact_rev_key
		"internal: no API shows it":                              3,
		"left out of the truth for its size":                     3,
		"stored as v1beta1, shown as v1, alike":                  2,
		"stored as v1beta1, shown as v1, of another shape":       3,
		"volumeClaimTemplates: the server adds kind and version": 4,
		"newer types add an empty status":                        3,
	},
	"registry-1.36-encrypted": {
		"no object":                                              1,
		"internal: no API shows it":                              3,
		"left out of the truth for its size":                     3,
		"stored as v1beta1, shown as v1, alike":                  2,
		"stored as v1beta1, shown as v1, of another shape":       3,
		"volumeClaimTemplates: the server adds kind and version": 4,
		"newer types add an empty status":                        3,
		"a Lease that was renewed after it was shown":            1,
	},
}

// TestDecodeShowsWhatTheAPIServerShowed holds every object of the fixtures against what
// the API servers that wrote them showed.
func TestDecodeShowsWhatTheAPIServerShowed(t *testing.T) {
	for fixture, forgivable := range differences {
		t.Run(fixture, func(t *testing.T) {
			want, entries, opener := shown(t, fixture), entriesOf(t, fixture), openerOf(t, "registry-1.36-encrypted.config.yaml")
			same, forgiven := 0, map[string]int{}
			for _, e := range entries {
				value, err := opener.Open(t.Context(), e.Key, e.Value)
				if err != nil {
					t.Errorf("%s: %v", e.Key, err)
					continue
				}
				got, err := object.Decode(value)
				if string(e.Key) == "compact_rev_key" && errors.Is(err, object.ErrUndecodable) {
					forgiven["no object"]++
					continue
				}
				if err != nil || len(got.NotShown) > 0 {
					t.Errorf("%s: %v, not shown: %v", e.Key, err, got.NotShown)
					continue
				}
				tree := renumber(t, got.Tree())
				api, why := forgive(string(e.Key), tree, want)
				if why != "" {
					forgiven[why]++
				}
				if diff := cmp.Diff(api, tree); diff != "" {
					t.Errorf("%s (-API +ours):\n%s", e.Key, diff)
				}
				same++
			}
			if diff := cmp.Diff(forgiven, forgivable); diff != "" || same != len(entries)-1 {
				t.Errorf("%d of %d the same; forgiven (-got +want):\n%s", same, len(entries), diff)
			}
		})
	}
}

// forgive finds what the API server showed of an object, and makes both alike where
// they may differ.
func forgive(key string, tree map[string]any, want map[string]map[string]any) (api map[string]any, why string) {
	api, ok := want[nameOf(tree)]
	if version := text(tree, "apiVersion"); !ok && strings.HasSuffix(version, "/v1beta1") {
		latest := maps.Clone(tree)
		latest["apiVersion"] = strings.TrimSuffix(version, "beta1")
		if api, ok = want[nameOf(latest)]; !ok {
			return nil, ""
		}
		if tree["kind"] == "CustomResourceDefinition" { // its schema moved into its versions
			return tree, "stored as v1beta1, shown as v1, of another shape"
		}
		tree["apiVersion"] = latest["apiVersion"]
		why = "stored as v1beta1, shown as v1, alike"
	}
	switch {
	case ok:
	case strings.Contains(key, "/big-"):
		return tree, "left out of the truth for its size"
	case strings.HasPrefix(key, "/registry/masterleases/"), strings.HasPrefix(key, "/registry/peerserverleases/"), strings.HasPrefix(key, "/registry/ranges/"):
		return tree, "internal: no API shows it"
	default:
		return nil, ""
	}
	delete(part(api, "metadata"), "resourceVersion")
	switch status, _ := tree["status"].(map[string]any); {
	case tree["kind"] == "CSINode" && status != nil && len(status) == 0 && api["status"] == nil:
		delete(tree, "status")
		return api, "newer types add an empty status"
	case strings.HasPrefix(key, "/registry/leases/kube-system/apiserver-") && !cmp.Equal(api["spec"], tree["spec"]):
		part(tree, "metadata")["managedFields"] = part(api, "metadata")["managedFields"]
		part(tree, "spec")["renewTime"] = part(api, "spec")["renewTime"]
		return api, "a Lease that was renewed after it was shown"
	case tree["kind"] == "StatefulSet":
		claims, _ := part(tree, "spec")["volumeClaimTemplates"].([]any)
		for _, each := range claims {
			claim, _ := each.(map[string]any)
			claim["apiVersion"], claim["kind"] = "v1", "PersistentVolumeClaim"
			why = "volumeClaimTemplates: the server adds kind and version"
		}
	}
	return api, why
}

// renumber gives numbers the form that the truth has.
func renumber(t *testing.T, tree map[string]any) map[string]any {
	t.Helper()
	text, err := json.Marshal(tree)
	if err != nil {
		t.Fatal(err)
	}
	var again map[string]any
	decodeNumbers(t, text, &again)
	return again
}
