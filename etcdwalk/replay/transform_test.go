package replay_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/replay"
	"github.com/kubeferry/kubeferry/etcdwalk/walktest"
)

// moved puts what lies in the namespace shop into another, and says so in the value.
func moved(e etcdwalk.Entry) (etcdwalk.Entry, error) {
	if key, ours := bytes.CutPrefix(e.Key, []byte("/registry/configmaps/shop/")); ours {
		e.Key = append([]byte("/registry/configmaps/annex/"), key...)
		e.Value = append([]byte("moved: "), e.Value...)
	}
	return e, nil
}

// An entry can become another on its way, key and value; what is told of it names both
// keys, and a second run has nothing to do.
func TestTransformedEntriesLand(t *testing.T) {
	source := append(objects(300), at(kv("/registry/nodes/n1", "stays"), 7))
	target := walktest.NewTarget()
	j := job(target, replay.Fail, source...)
	j.Transform = moved
	j.Report = func(replay.Line) error { return nil }
	summary, records, err := apply(t, j)
	if err != nil {
		t.Fatal(err)
	}
	wantCounts(t, summary.Counts, replay.Counts{replay.Created: 301})
	var want []etcdwalk.Entry
	for _, e := range source {
		e, _ = moved(e)
		want = append(want, e)
	}
	wantContents(t, target, want...)
	line, from := records["/registry/configmaps/annex/00007"], records["/registry/nodes/n1"].From
	if line.Fate != replay.Created || string(line.From) != "/registry/configmaps/shop/00007" || from != nil {
		t.Errorf("told of a key that moved: %+v, and of one that did not: from %q", line, from)
	}
	again, _, err := apply(t, j)
	if err != nil {
		t.Fatal(err)
	}
	wantCounts(t, again.Counts, replay.Counts{replay.Unchanged: 301})
}

// The order of what is written is the source's, selection by selection, wherever the
// keys land: what is owned still comes after its owner.
func TestTransformKeepsTheOrderOfTheSource(t *testing.T) {
	var order []string
	target := walktest.NewTarget()
	target.Inject = func(_ int, w etcdwalk.Write) walktest.Fault {
		order = append(order, string(w.Key))
		return walktest.OK
	}
	j := job(target, replay.Fail, kv("/a/1", "x"), kv("/a/2", "x"), kv("/b/1", "x"))
	j.Selections = []etcdwalk.Selection{{Ranges: etcdwalk.Ranges{etcdwalk.Prefix("/b/")}}, {Ranges: etcdwalk.Ranges{etcdwalk.Prefix("/a/")}}}
	j.Transform = func(e etcdwalk.Entry) (etcdwalk.Entry, error) { // turns the order of keys around
		e.Key = []byte(strings.NewReplacer("1", "2", "2", "1", "a", "z", "b", "y").Replace(string(e.Key)))
		return e, nil
	}
	if _, _, err := apply(t, j); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(order, " "); got != "/y/2 /z/2 /z/1" {
		t.Errorf("written in the order %s", got)
	}
	lying := walktest.Generated(2, func(i int) etcdwalk.Entry { return kv([]string{"/a/2", "/a/1"}[i], "x") })
	j.Source, j.Selections = lying, []etcdwalk.Selection{walktest.Everything()}
	if _, err := j.Plan(t.Context()); !errors.Is(err, etcdwalk.ErrInvariant) {
		t.Errorf("a source out of order: %v, want %v", err, etcdwalk.ErrInvariant)
	}
}

// Two entries must not land on one key, whether both were changed or one of them, in one
// selection or in two. Nothing is written.
func TestTwoEntriesThatLandOnOneKey(t *testing.T) {
	for name, c := range map[string]struct {
		entries []etcdwalk.Entry
		ranks   []string
	}{
		"both changed":        {[]etcdwalk.Entry{kv("/a/x", "1"), kv("/b/x", "2")}, []string{"/"}},
		"onto one that stays": {[]etcdwalk.Entry{kv("/a/x", "1"), kv("/z/x", "2")}, []string{"/"}},
		"in two selections":   {[]etcdwalk.Entry{kv("/a/x", "1"), kv("/b/x", "2")}, []string{"/b/", "/a/"}},
	} {
		t.Run(name, func(t *testing.T) {
			target := walktest.NewTarget()
			j := job(target, replay.Overwrite, c.entries...)
			j.Selections = nil
			for _, prefix := range c.ranks {
				j.Selections = append(j.Selections, etcdwalk.Selection{Ranges: etcdwalk.Ranges{etcdwalk.Prefix(prefix)}})
			}
			j.Transform = func(e etcdwalk.Entry) (etcdwalk.Entry, error) {
				e.Key = append([]byte("/z/"), e.Key[len("/a/"):]...)
				return e, nil
			}
			plan, err := j.Plan(t.Context())
			if !errors.Is(err, etcdwalk.ErrRefused) || !strings.Contains(err.Error(), `becomes "/z/x"`) {
				t.Errorf("planned with %v, want %v", err, etcdwalk.ErrRefused)
			}
			if _, err := j.Apply(t.Context(), plan); err == nil || len(target.Entries()) != 0 {
				t.Errorf("applied with %v, and %d keys are there", err, len(target.Entries()))
			}
		})
	}
}

// A rule is asked about both forms of a key: what must never be restored is not
// reached by another name.
func TestARuleJudgesBothForms(t *testing.T) {
	target := walktest.NewTarget()
	j := job(target, replay.Fail, kv("/a/forbidden", "1"), kv("/a/to-forbidden", "2"), kv("/a/well", "3"))
	j.Transform = func(e etcdwalk.Entry) (etcdwalk.Entry, error) {
		e.Key = append([]byte("/b/"), bytes.TrimPrefix(e.Key[len("/a/"):], []byte("to-"))...)
		if string(e.Key) == "/b/forbidden" && string(e.Value) == "1" {
			e.Key = []byte("/b/other")
		}
		return e, nil
	}
	j.Rule = func(e etcdwalk.Entry) (replay.Fate, string) {
		if strings.HasSuffix(string(e.Key), "/forbidden") {
			return replay.Excluded, "by rule"
		}
		return "", ""
	}
	summary, records, err := apply(t, j)
	if err != nil {
		t.Fatal(err)
	}
	wantCounts(t, summary.Counts, replay.Counts{replay.Created: 1, replay.Excluded: 2})
	wantContents(t, target, kv("/b/well", "3"))
	if line := records["/b/forbidden"]; line.Fate != replay.Excluded || string(line.From) != "/a/to-forbidden" {
		t.Errorf("told: %+v", line)
	}
}

// What fails to be transformed stops the plan, by the name of its key.
func TestATransformThatFails(t *testing.T) {
	broken := errors.New("no such form")
	for name, c := range map[string]struct {
		transform func(etcdwalk.Entry) (etcdwalk.Entry, error)
		want      error
	}{
		"with an error": {func(e etcdwalk.Entry) (etcdwalk.Entry, error) { return e, broken }, broken},
		"to no key":     {func(e etcdwalk.Entry) (etcdwalk.Entry, error) { return etcdwalk.Entry{}, nil }, etcdwalk.ErrInvariant},
	} {
		j := job(walktest.NewTarget(), replay.Fail, kv("/a", "1"))
		j.Transform = c.transform
		if _, err := j.Plan(t.Context()); !errors.Is(err, c.want) || !strings.Contains(err.Error(), `key "/a"`) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

// An apply that is stopped tells of each key by the name that it would have had.
func TestAStoppedApplyTellsTransformedKeys(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	target := walktest.NewTarget()
	target.BeforeApply = func(n int, _ []etcdwalk.Write) {
		if n == 1 {
			cancel()
		}
	}
	j := job(target, replay.Fail, objects(400)...)
	j.Transform = moved
	plan := mustPlan(t, j)
	records := report{}
	j.Report = records.of(t)
	summary, err := j.Apply(ctx, plan)
	if !errors.Is(err, context.Canceled) || summary.Counts[replay.Unreached] == 0 {
		t.Fatalf("%+v, %v", summary.Counts, err)
	}
	if len(records) != 400 {
		t.Errorf("%d keys are told of, want 400", len(records))
	}
	for i := range 400 {
		key := fmt.Sprintf("/registry/configmaps/annex/%05d", i)
		if line, told := records[key]; !told || line.Fate != replay.Unreached && !bytes.HasSuffix(line.From, fmt.Appendf(nil, "shop/%05d", i)) {
			t.Errorf("key %s: told %t, from %q", key, told, line.From)
		}
	}
}

// A lease stays whatever a transform says, and what a rule has excluded takes no key.
func TestATransformChangesKeyAndValueOnly(t *testing.T) {
	target := walktest.NewTarget()
	j := job(target, replay.Fail, leased(kv("/a/1", "x"), 7), kv("/b/1", "y"))
	j.Regrant = true
	view := walktest.NewView(leased(kv("/a/1", "x"), 7), kv("/b/1", "y"))
	view.TTLs = map[int64]etcdwalk.Lease{7: {ID: 7, State: etcdwalk.LeaseLive, Granted: 100, Remaining: 100}}
	j.Source = view
	j.Transform = func(e etcdwalk.Entry) (etcdwalk.Entry, error) {
		e.Key, e.Lease = []byte("/c/1"), 99
		return e, nil
	}
	j.Rule = func(e etcdwalk.Entry) (replay.Fate, string) {
		if string(e.Value) == "y" {
			return replay.Excluded, "by rule"
		}
		return "", ""
	}
	plan, err := j.Plan(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := j.Apply(t.Context(), plan); err != nil {
		t.Fatal(err)
	}
	if held := target.Entries(); len(held) != 1 || string(held[0].Key) != "/c/1" || held[0].Lease == 0 {
		t.Errorf("the target holds %+v", held)
	}
}
