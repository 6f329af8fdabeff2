package undo_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kubeferry/kubeferry/cmd/ferry/undo"
	"github.com/kubeferry/kubeferry/crypt"
	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
	"github.com/kubeferry/kubeferry/etcdwalk/kube/object"
	"github.com/kubeferry/kubeferry/etcdwalk/replay"
	"github.com/kubeferry/kubeferry/etcdwalk/replay/journal"
	"github.com/kubeferry/kubeferry/etcdwalk/walktest"
	"github.com/kubeferry/kubeferry/remote"
	"github.com/kubeferry/kubeferry/remote/remotetest"
)

// A world is a target that is changed and a store that keeps the changes.
type world struct {
	target *walktest.Target
	store  remote.Store
	keeper undo.Keeper
	id     crypt.Identity
	query  kube.Query
	// interrupted: changes have no end.
	interrupted bool
	etcd        etcdwalk.ClusterID
	allow       []string       // rules that undos may break
	opener      *object.Opener // that changes have; undos have that of the query
}

func newWorld(t *testing.T, there ...etcdwalk.Entry) *world {
	t.Helper()
	secret, recipient, err := crypt.Generate(false)
	if err != nil {
		t.Fatal(err)
	}
	ids, err := crypt.ParseIdentities(strings.NewReader(secret), "test")
	if err != nil {
		t.Fatal(err)
	}
	r, err := crypt.ParseRecipient(recipient, "test")
	if err != nil {
		t.Fatal(err)
	}
	query, err := kube.Filter{}.Compile()
	if err != nil {
		t.Fatal(err)
	}
	w := &world{target: walktest.NewTarget(there...), store: &remotetest.Memory{}, id: ids[0], query: query}
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	w.keeper = undo.Keeper{Store: w.store, Recipients: []crypt.Recipient{r}, Tool: "test", Host: "test", Now: func() time.Time {
		now = now.Add(time.Second)
		return now
	}}
	return w
}

// Open implements [etcdwalk.Source].
func (w *world) Open(context.Context, etcdwalk.Moment, etcdwalk.Ranges) (etcdwalk.View, error) {
	return w.view(), nil
}

func (w *world) view() *walktest.View {
	v := walktest.NewView(w.target.Entries()...)
	v.About.ClusterID = w.etcd
	return v
}

func text(name, data string) etcdwalk.Entry {
	return etcdwalk.Entry{Key: []byte("/registry/configmaps/shop/" + name), CreateRevision: 1, ModRevision: 1, Version: 1,
		Value: fmt.Appendf(nil, `{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":%q,"namespace":"shop","uid":"u-%s"},"data":{"a":%q}}`, name, name, data)}
}

// change makes the target hold the entries, and keeps what it takes away; meddle comes between.
func (w *world) change(t *testing.T, meddle func(), entries ...etcdwalk.Entry) replay.Summary {
	t.Helper()
	file, err := journal.Temporary(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	view := w.view()
	ids, err := w.query.Layout().Identities(t.Context(), view, nil)
	if err != nil {
		t.Fatal(err)
	}
	header, err := json.Marshal(undo.Header{Made: w.keeper.Now(), Target: ids, Etcd: view.Info().ClusterID.String()})
	if err != nil {
		t.Fatal(err)
	}
	seal := []byte("0123456789abcdef")
	j := replay.Job{Source: walktest.NewView(entries...), Selections: []etcdwalk.Selection{walktest.Everything()}, Target: w.target, Policy: replay.Overwrite,
		File: file, Header: header, Seal: seal, Digest: undo.Digest(t.Context(), w.opener, seal)}
	plan, err := j.Plan(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	meddle()
	record, err := w.keeper.Keep(t.Context(), undo.Change{Plan: file, Seal: seal, Target: w.target, View: walktest.NewView(), Layout: w.query.Layout()})
	if err != nil {
		t.Fatal(err)
	}
	j.Report = record.Add
	done, err := j.Apply(t.Context(), plan)
	if err != nil {
		t.Fatal(err)
	}
	if w.interrupted {
		return done
	}
	if _, err := record.End(t.Context(), done.Counts); err != nil {
		t.Fatal(err)
	}
	return done
}

// of is the undo of a change.
func (w *world) of(t *testing.T, name string) undo.Undo {
	t.Helper()
	return undo.Undo{Store: w.store, Name: name, Identities: []crypt.Identity{w.id}, Cluster: w, Target: w.target, Query: w.query, Allow: w.allow, Keeper: &w.keeper, Spool: t.TempDir()}
}

// newest is the name of the change that was made last.
func (w *world) newest(t *testing.T) string {
	t.Helper()
	all, err := undo.List(t.Context(), w.store)
	if err != nil || len(all) == 0 {
		t.Fatalf("%v, %v", all, err)
	}
	return all[0].Name
}

// try plans the undo of a change and applies it, as far as it comes.
func (w *world) try(t *testing.T, name string) (replay.Summary, error) {
	t.Helper()
	u := w.of(t, name)
	p, err := u.Plan(t.Context())
	defer func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	}()
	if err != nil {
		return replay.Summary{}, err
	}
	return u.Apply(t.Context(), p)
}

// back takes the latest change back.
func (w *world) back(t *testing.T) replay.Summary {
	t.Helper()
	done, err := w.try(t, undo.Latest)
	if err != nil {
		t.Fatal(err)
	}
	return done
}

func nothing() {}

func (w *world) holds(t *testing.T, want ...etcdwalk.Entry) {
	t.Helper()
	if diff := walktest.Diff(w.target.Entries(), want); diff != "" {
		t.Error(diff)
	}
}

func TestAChangeAndBackAndForth(t *testing.T) {
	before := []etcdwalk.Entry{text("a", "1"), text("b", "1"), text("c", "1")}
	after := []etcdwalk.Entry{text("a", "1"), text("b", "2"), text("c", "2"), text("d", "2")}
	w := newWorld(t, before...)
	w.change(t, nothing, after...)
	w.holds(t, after...)
	for i := range 4 {
		done := w.back(t)
		if !done.Complete() {
			t.Errorf("%v", done.Counts)
		}
		w.holds(t, [][]etcdwalk.Entry{before, after}[i%2]...)
	}
}

// What moved before the change could touch it is none of the undo's business.
func TestWhatMovedBeforeTheChange(t *testing.T) {
	w := newWorld(t, text("a", "1"), text("b", "1"))
	done := w.change(t, func() { w.target.Put(string(text("b", "").Key), string(text("b", "theirs").Value)) }, text("a", "2"), text("b", "2"))
	if done.Counts[replay.Moved] != 1 || done.Counts[replay.Replaced] != 1 {
		t.Fatalf("%v", done.Counts)
	}
	if done := w.back(t); !done.Complete() || done.Counts.Total() != 1 {
		t.Errorf("%v", done.Counts)
	}
	w.holds(t, text("a", "1"), text("b", "theirs"))
}

// What somebody wrote or deleted after the change stays so, and is told.
func TestWhatMovedAfterTheChange(t *testing.T) {
	w := newWorld(t, text("a", "1"), text("b", "1"))
	w.change(t, nothing, text("a", "2"), text("b", "2"), text("c", "2"), text("d", "2"))
	w.target.Put(string(text("a", "").Key), string(text("a", "theirs").Value))
	w.target.Delete(string(text("b", "").Key))
	w.target.Put(string(text("c", "").Key), string(text("c", "theirs").Value))
	w.target.Delete(string(text("d", "").Key)) // as the undo would have it
	done := w.back(t)
	if done.Counts[replay.Moved] != 3 || done.Counts[replay.Unchanged] != 1 || done.Complete() {
		t.Errorf("%v", done.Counts)
	}
	w.holds(t, text("a", "theirs"), text("c", "theirs"))
}

// Ten changes are kept, the newest, and neither they nor their plans show a value.
func TestTenChangesAreKept(t *testing.T) {
	w := newWorld(t, text("a", "hunter"))
	for i := range 12 {
		w.change(t, nothing, text("a", fmt.Sprint("hunter", i)))
	}
	all, err := undo.List(t.Context(), w.store)
	if err != nil || len(all) != 10 || !all[0].Ended || !all[0].Made.After(all[9].Made) {
		t.Fatalf("%v, %v", all, err)
	}
	names := remotetest.Names(t, w.store, "")
	if len(names) != 30 {
		t.Errorf("%d objects", len(names))
	}
	for _, name := range names {
		o, err := w.store.Open(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(io.NewSectionReader(o, 0, o.Size()))
		if err != nil || strings.Contains(string(content), "hunter") {
			t.Errorf("%s shows a value, %v", name, err)
		}
		if err := o.Close(); err != nil {
			t.Error(err)
		}
	}
}

// A lame store takes objects up to the n-th.
type lame struct {
	remote.Store
	left int
}

var errLame = errors.New("no more")

func (l *lame) Create(ctx context.Context, name string) (remote.Upload, error) {
	if l.left--; l.left < 0 {
		return nil, errLame
	}
	return l.Store.Create(ctx, name)
}

// Nothing is written, and nothing can be taken back, where the change is not kept as a whole.
func TestAChangeThatIsNotKept(t *testing.T) {
	for n := range 2 {
		w := newWorld(t, text("a", "1"))
		w.keeper.Store = &lame{w.store, n}
		file, err := journal.Temporary(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(file.Begin(nil, nil), file.Add(journal.Line{Key: text("a", "").Key, Fate: string(replay.Replaced), Revision: 1}), file.End()); err != nil {
			t.Fatal(err)
		}
		if _, err := w.keeper.Keep(t.Context(), undo.Change{Plan: file, Target: w.target, View: walktest.NewView(), Layout: w.query.Layout()}); !errors.Is(err, errLame) {
			t.Errorf("after %d objects: %v", n, err)
		}
		if all, err := undo.List(t.Context(), w.store); err != nil || len(all) != 0 {
			t.Errorf("after %d objects: %v, %v", n, all, err)
		}
		if err := file.Close(); err != nil {
			t.Error(err)
		}
	}
}

// Namespaces that the change has made go before what is in them; all else in its order.
func TestTheOrderOfAnUndo(t *testing.T) {
	w := newWorld(t)
	entries := []etcdwalk.Entry{text("a", "1"), text("b", "1"), {Key: []byte("/registry/namespaces/shop"), ModRevision: 1,
		Value: []byte(`{"kind":"Namespace","apiVersion":"v1","metadata":{"name":"shop","uid":"n"}}`)}}
	w.change(t, nothing, entries...)
	var order []string
	w.target.BeforeApply = func(_ int, writes []etcdwalk.Write) {
		for _, write := range writes {
			order = append(order, string(write.Key))
		}
	}
	w.back(t)
	if len(order) != 3 || !slices.Equal(order[:1], []string{"/registry/namespaces/shop"}) {
		t.Errorf("%v", order)
	}
	w.holds(t)
}

// What API servers allot they take back themselves.
func TestAddressesAreLeftToAPIServers(t *testing.T) {
	w := newWorld(t)
	address := etcdwalk.Entry{Key: []byte("/registry/ipaddresses/10.96.0.7"), ModRevision: 1, Value: []byte("address")}
	bitmap := etcdwalk.Entry{Key: []byte("/registry/ranges/servicenodeports"), ModRevision: 1, Value: []byte("bitmap")}
	w.change(t, nothing, text("a", "1"), address, bitmap)
	if done := w.back(t); !done.Complete() || done.Counts.Total() != 1 || done.Counts[replay.Deleted] != 1 {
		t.Errorf("%v", done.Counts)
	}
	w.holds(t, address, bitmap)
}

// What somebody else has made as the change would have made it is theirs, unless the change was
// interrupted and nobody knows.
func TestWhatTheChangeHasNotTouched(t *testing.T) {
	for _, interrupted := range []bool{false, true} {
		w := newWorld(t)
		w.interrupted = interrupted
		done := w.change(t, func() { w.target.Put(string(text("a", "").Key), string(text("a", "1").Value)) }, text("a", "1"), text("b", "1"))
		if done.Counts[replay.Unchanged] != 1 || done.Counts[replay.Created] != 1 {
			t.Fatalf("%v", done.Counts)
		}
		w.back(t)
		if interrupted {
			w.holds(t)
		} else {
			w.holds(t, text("a", "1"))
		}
	}
}

// A change that touched nothing is not kept.
func TestAChangeThatTouchedNothing(t *testing.T) {
	w := newWorld(t)
	w.change(t, func() { w.target.Put(string(text("a", "").Key), string(text("a", "theirs").Value)) }, text("a", "1"))
	if names := remotetest.Names(t, w.store, ""); len(names) != 0 {
		t.Errorf("%v", names)
	}
}

// An undo that was interrupted is gone on with, and is not taken back itself.
func TestAnUndoThatWasInterrupted(t *testing.T) {
	w := newWorld(t, text("a", "1"))
	w.change(t, nothing, text("a", "2"), text("b", "2"))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	u := w.of(t, undo.Latest)
	p, err := u.Plan(ctx)
	if err != nil {
		t.Fatal(err)
	}
	w.target.BeforeApply = func(int, []etcdwalk.Write) { cancel() }
	w.target.Inject = func(int, etcdwalk.Write) walktest.Fault { return walktest.Unavailable }
	if _, err := u.Apply(ctx, p); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	w.target.BeforeApply, w.target.Inject = nil, nil
	w.back(t)
	w.holds(t, text("a", "1"))
}
