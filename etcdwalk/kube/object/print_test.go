package object_test

import (
	"encoding/json"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/kubeferry/kubeferry/etcdwalk/kube/object"
)

// TestPrintedTreesAreSafeAndWhole: whatever the texts are, they come back out of the YAML
// and the JSON, and no character of theirs does anything to a terminal.
func TestPrintedTreesAreSafeAndWhole(t *testing.T) {
	tree := map[string]any{"plain": "a\nb\tc", "list": []any{"x\x1b[2Jy", "\u202eabc", "kubeferry-veil-0-", int64(7), nil, true}}
	for _, odd := range []string{"\x00", "\x1b", "\r", "\u0085", "\u200e", "\u2028", "\ufeff", "\ufffe", "\uffff", "\x7f", ": #\x1b", "- \u202e"} {
		tree["k"+odd] = "v" + odd + "w"
	}
	inYAML, err := object.OfTree(object.Meta{}, tree).ToYAML()
	if err != nil {
		t.Fatal(err)
	}
	inJSON, err := object.OfTree(object.Meta{}, tree).ToJSON("")
	if err != nil {
		t.Fatal(err)
	}
	want, err := json.Marshal(tree)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range [][]byte{inYAML, inJSON} {
		if i := strings.IndexFunc(string(text), func(r rune) bool {
			return r < ' ' && r != '\n' && r != '\t' || r >= 0x7f && r < 0xa0 || strings.ContainsRune("\u200e\u202e\u2028\ufeff\ufffe\uffff", r)
		}); i >= 0 {
			t.Errorf("there is %q", text[i:min(len(text), i+8)])
		}
		var got, expected any
		if err := yaml.Unmarshal(text, &got); err != nil {
			t.Fatalf("%v:\n%s", err, text)
		}
		if err := json.Unmarshal(want, &expected); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(got, expected); diff != "" {
			t.Error(diff)
		}
	}
}

// TestOddTextsCostWhatTheirLengthCosts: four times as many odd texts take four times the
// memory, and not sixteen times.
func TestOddTextsCostWhatTheirLengthCosts(t *testing.T) {
	cost := func(texts int) uint64 {
		list := slices.Repeat([]any{"\r"}, texts)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if _, err := object.OfTree(object.Meta{}, map[string]any{"a": list}).ToYAML(); err != nil {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&after)
		return after.TotalAlloc - before.TotalAlloc
	}
	cost(100) // what is made once
	if few, many := cost(5_000), cost(20_000); many > 6*few {
		t.Errorf("5,000 texts take %d bytes, 20,000 take %d", few, many)
	}
}

// TestKeys: numbers and quantities go by their size, before texts; nothing is first.
func TestKeys(t *testing.T) {
	by, err := object.ParsePath(".v")
	if err != nil {
		t.Fatal(err)
	}
	var keys []object.Key
	for _, v := range []any{nil, int64(-1), "100m", 0.5, "2", "1Ki", "2Gi", "10Gi", "1234567890123456789e900000000", "a", "b"} {
		keys = append(keys, by.Key(object.OfTree(object.Meta{}, map[string]any{"v": v})))
	}
	for i := range keys {
		for j := range keys {
			if got := keys[i].Compare(keys[j]); got > 0 != (i > j) || got < 0 != (i < j) {
				t.Errorf("%d against %d: %d", i, j, got)
			}
		}
	}
	for _, text := range []string{"{.items[?(@.a)]}", "{.a[5]}", "{.a[?(@.b)]}"} {
		p, err := object.ParseTemplate(text)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Text(true, object.OfTree(object.Meta{}, map[string]any{"a": "hunter2"})); err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: the error repeats the value: %v", text, err)
		}
	}
	for _, text := range []string{"", " ", ","} {
		if _, err := object.ParseFields(text); err == nil {
			t.Errorf("the field selector %q is taken", text)
		}
		if _, err := object.ParseLabels(text); err == nil {
			t.Errorf("the label selector %q is taken", text)
		}
	}
}
