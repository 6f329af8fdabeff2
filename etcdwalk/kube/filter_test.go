package kube_test

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
	"github.com/kubeferry/kubeferry/etcdwalk/walktest"
)

// noView is a view that must not be walked.
type noView struct{ t testing.TB }

func (noView) Info() etcdwalk.Info { return etcdwalk.Info{} }

func (noView) Count(context.Context, etcdwalk.Selection) (int64, error) { return -1, nil }

func (noView) Leases(context.Context, []int64) ([]etcdwalk.Lease, error) { return nil, nil }

func (v noView) Walk(_ context.Context, sel etcdwalk.Selection) iter.Seq2[etcdwalk.Entry, error] {
	v.t.Errorf("the view was walked from %q", sel.Ranges[0].Start)
	return func(func(etcdwalk.Entry, error) bool) {}
}

// counted counts the walks over a view and the entries that they yield.
type counted struct {
	etcdwalk.View
	walks, entries int
}

func (c *counted) Walk(ctx context.Context, sel etcdwalk.Selection) iter.Seq2[etcdwalk.Entry, error] {
	c.walks++
	return func(yield func(etcdwalk.Entry, error) bool) {
		for e, err := range c.View.Walk(ctx, sel) {
			c.entries++
			if !yield(e, err) {
				return
			}
		}
	}
}

// failingAt fails at the nth walk, from 0, before its first entry.
type failingAt struct {
	etcdwalk.View
	n, walks, fired int
}

func (f *failingAt) Walk(ctx context.Context, sel etcdwalk.Selection) iter.Seq2[etcdwalk.Entry, error] {
	f.walks++
	if f.walks <= f.n {
		return f.View.Walk(ctx, sel)
	}
	return func(yield func(etcdwalk.Entry, error) bool) {
		f.fired++
		yield(etcdwalk.Entry{}, etcdwalk.ErrUnavailable)
	}
}

// extra are keys beside the fixture's: look-alikes, a second prefix, custom
// resources without a definition, opaque keys.
var extra = []string{
	"/registry/machines.example.io/machines/shop/m", "/registry/machines.example.io/machinesets/shop/m",
	"/registry/machines/shop/m", "/registry/a.example.io/machinesets/m",
	"/registry/snapshot.storage.k8s.io/volumesnapshots/shop-backend/s",
	"/registry/health", "/registry/configmaps/odd", "/registry/x/../y",
	"/kubernetes.io/configmaps/shop-backend/old", "/openshift.io/routes/shop-backend/web",
	"/calico/v3/x",
}

// fixtureView is the fixture's keys and the extra ones; definitions of custom
// resources have their values.
func fixtureView(t testing.TB) (*counted, []string) {
	t.Helper()
	keys := slices.Clone(extra)
	for _, line := range truths(t, "registry-1.36.keys.tsv") {
		keys = append(keys, line.key)
	}
	slices.Sort(keys)
	known := map[string][]byte{}
	for _, e := range values(t) {
		if strings.Contains(string(e.Key), "/customresourcedefinitions/") {
			known[string(e.Key)] = e.Value
		}
	}
	if len(known) != 3 {
		t.Fatalf("%d definitions in the fixture", len(known))
	}
	var entries []etcdwalk.Entry
	for _, key := range keys {
		entries = append(entries, etcdwalk.Entry{Key: []byte(key), Value: known[key]})
	}
	return &counted{View: walktest.NewView(entries...)}, keys
}

func keysOf(t testing.TB, view etcdwalk.View, sel etcdwalk.Selection) []string {
	t.Helper()
	var keys []string
	for e, err := range view.Walk(context.Background(), sel) {
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, string(e.Key))
	}
	return keys
}

// Each filter takes exactly the keys that a plain reading of the key layout
// takes: the test's own, by string, from the fixture's keys.
func TestResolveTakesExactly(t *testing.T) {
	under := func(prefixes ...string) func(string) bool {
		return func(key string) bool {
			return slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(key, p) })
		}
	}
	only := func(keys ...string) func(string) bool {
		return func(key string) bool { return slices.Contains(keys, key) }
	}
	kubernetes := under("/registry/", "/kubernetes.io/", "/openshift.io/")
	cms := under("/registry/configmaps/", "/kubernetes.io/configmaps/")
	// in tells the namespace from its place: behind a resource, never elsewhere.
	in := func(ns string) func(string) bool {
		return func(key string) bool {
			seg := strings.Split(key, "/")
			namespaced := len(seg) == 5 && seg[3] == ns && seg[2] != "services" || len(seg) == 6 && seg[4] == ns
			return kubernetes(key) && (namespaced || key == "/registry/namespaces/"+ns)
		}
	}
	and := func(fs ...func(string) bool) func(string) bool {
		return func(key string) bool {
			return !slices.ContainsFunc(fs, func(f func(string) bool) bool { return !f(key) })
		}
	}
	not := func(f func(string) bool) func(string) bool { return func(key string) bool { return !f(key) } }
	named := func(name string) func(string) bool {
		return func(key string) bool { return strings.HasSuffix(key, "/"+name) }
	}

	for _, c := range []struct {
		name   string
		filter kube.Filter
		want   func(string) bool
		walks  int // over the view, at most
	}{
		{"nothing typed", kube.Filter{}, kubernetes, 0},
		{"prefix slash", kube.Filter{Prefixes: []string{"/"}}, func(string) bool { return true }, 0},
		{"one prefix", kube.Filter{Prefixes: []string{"openshift.io"}}, under("/openshift.io/"), 0},
		{"a narrow prefix", kube.Filter{Prefixes: []string{"/registry/pods"}}, under("/registry/pods/"), 0},
		{"a kind in a narrow prefix", kube.Filter{Prefixes: []string{"/registry/pods"}, Include: []string{"po,cm"}}, under("/registry/pods/"), 0},
		{"kinds", kube.Filter{Include: []string{"deploy,cm", "po"}}, under("/registry/deployments/", "/registry/configmaps/", "/kubernetes.io/configmaps/", "/registry/pods/"), 0},
		{"R20: services, and no serviceaccounts", kube.Filter{Include: []string{"services"}}, under("/registry/services/specs/"), 0},
		{"endpoints", kube.Filter{Include: []string{"ep"}}, under("/registry/services/endpoints/"), 0},
		{"nodes", kube.Filter{Include: []string{"Node"}}, under("/registry/minions/"), 0},
		{"machines, and no machinesets", kube.Filter{Include: []string{"machines.machines.example.io"}}, under("/registry/machines.example.io/machines/"), 20},
		{"machines, by its full name", kube.Filter{Include: []string{"machines"}}, under("/registry/machines/"), 20},
		{"one of OpenShift's", kube.Filter{Include: []string{"routes"}}, under("/openshift.io/routes/"), 20},
		{"one of OpenShift's, by its group", kube.Filter{Include: []string{"route.v1.route.openshift.io"}}, under("/openshift.io/routes/"), 0},
		{"with a group", kube.Filter{Include: []string{"deployments.apps"}}, under("/registry/deployments/"), 0},
		{"with version and group", kube.Filter{Include: []string{"deployments.v1.apps", "ing.v1.networking.k8s.io", "pods.v1."}}, under("/registry/deployments/", "/registry/ingress/", "/registry/pods/"), 0},
		{"a twin", kube.Filter{Include: []string{"deployments.extensions", "events.events.k8s.io"}}, under("/registry/deployments/", "/registry/events/"), 0},
		{"custom, by plural", kube.Filter{Include: []string{"widgets"}}, under("/registry/shop.example.io/widgets/"), 20},
		{"custom, by short name", kube.Filter{Include: []string{"wi"}}, under("/registry/shop.example.io/widgets/"), 20},
		{"custom, by group", kube.Filter{Include: []string{"Gadget.shop.example.io"}}, under("/registry/shop.example.io/gadgets/"), 20},
		{"custom, by version and group", kube.Filter{Include: []string{"gadgets.v1.shop.example.io"}}, under("/registry/shop.example.io/gadgets/"), 20},
		{"custom, with no definition", kube.Filter{Include: []string{"volumesnapshots.snapshot.storage.k8s.io"}}, under("/registry/snapshot.storage.k8s.io/volumesnapshots/"), 20},
		{"a kind in a namespace", kube.Filter{Include: []string{"cm"}, Namespaces: []string{"shop-backend"}}, under("/registry/configmaps/shop-backend/", "/kubernetes.io/configmaps/shop-backend/"), 0},
		{"a custom kind in a namespace", kube.Filter{Include: []string{"widgets"}, Namespaces: []string{"data"}}, under("/registry/shop.example.io/widgets/data/"), 20},
		{"a cluster kind, whatever the namespace", kube.Filter{Include: []string{"pv,regions,cm"}, Namespaces: []string{"data"}}, under("/registry/persistentvolumes/", "/registry/infra.example.io/regions/", "/registry/configmaps/data/"), 20},
		{"a namespace", kube.Filter{Namespaces: []string{"shop-backend"}}, in("shop-backend"), 20},
		{"two namespaces", kube.Filter{Namespaces: []string{"data,ci"}}, func(k string) bool { return in("data")(k) || in("ci")(k) }, 20},
		{"an object", kube.Filter{Include: []string{"cm/kube-root-ca.crt"}, Namespaces: []string{"ci"}}, only("/registry/configmaps/ci/kube-root-ca.crt"), 0},
		{"an object in all namespaces", kube.Filter{Include: []string{"cm/kube-root-ca.crt"}}, and(cms, named("kube-root-ca.crt")), 0},
		{"a custom object in all namespaces", kube.Filter{Include: []string{"wi/widget-03"}}, and(under("/registry/shop.example.io/widgets/"), named("widget-03")), 20},
		{"a cluster object", kube.Filter{Include: []string{"clusterroles/cluster-admin,ns/data"}}, only("/registry/clusterroles/cluster-admin", "/registry/namespaces/data"), 0},
		{"objects and kinds", kube.Filter{Include: []string{"cm/kube-root-ca.crt", "cm/app-config-6", "jobs", "ns/data"}}, func(k string) bool {
			return and(cms, named("kube-root-ca.crt"))(k) || and(cms, named("app-config-6"))(k) || under("/registry/jobs/")(k) || k == "/registry/namespaces/data"
		}, 0},
		{"an object and its kind", kube.Filter{Include: []string{"cm", "cm/app-config-6"}}, cms, 0},
		{"all but a kind", kube.Filter{Exclude: []string{"events", "secrets"}}, and(kubernetes, not(under("/registry/events/", "/registry/secrets/"))), 0},
		{"all but a name", kube.Filter{Exclude: []string{"cm/kube-root-ca.crt"}}, and(kubernetes, not(and(cms, named("kube-root-ca.crt")))), 0},
		{"a namespace but a kind", kube.Filter{Namespaces: []string{"data"}, Exclude: []string{"cm", "wi"}}, and(in("data"), not(cms), not(under("/registry/shop.example.io/widgets/"))), 20},
		{"a kind but an object", kube.Filter{Include: []string{"cm"}, Namespaces: []string{"ci"}, Exclude: []string{"cm/kube-root-ca.crt"}}, and(under("/registry/configmaps/ci/"), not(named("kube-root-ca.crt"))), 0},
		{"a name but itself", kube.Filter{Include: []string{"cm/kube-root-ca.crt"}, Exclude: []string{"cm"}}, func(string) bool { return false }, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			view, keys := fixtureView(t)
			sel, err := query(t, c.filter).Resolve(t.Context(), view)
			if err != nil {
				t.Fatal(err)
			}
			if view.walks > c.walks {
				t.Errorf("%d walks, want at most %d", view.walks, c.walks)
			}
			var want []string
			for _, key := range keys {
				if c.want(key) {
					want = append(want, key)
				}
			}
			if diff := cmp.Diff(keysOf(t, view, sel), want); diff != "" {
				t.Errorf("keys (-got +want):\n%s", diff)
			}
			if len(want) == 0 && c.name != "a name but itself" {
				t.Error("the case wants no key and so shows nothing")
			}
		})
	}
}

// Finding the custom resources reads one key of each, and the keys that are no
// resource's, however many keys there are.
func TestSkipScanReadsLittle(t *testing.T) {
	view, _ := fixtureView(t)
	if _, err := query(t, kube.Filter{Namespaces: []string{"data"}}).Resolve(t.Context(), view); err != nil {
		t.Fatal(err)
	}
	// Three prefixes; 9 resources that are not compiled in, and one walk that
	// finds no more; on the way lie three keys of API servers and an opaque one, two of
	// them the first that are found, from behind which it is walked on.
	if view.walks != 3+9+1+2 || view.entries != 3+9+3+1 {
		t.Errorf("%d walks, %d entries", view.walks, view.entries)
	}
}

func TestWholeMeansNothingTyped(t *testing.T) {
	if !query(t, kube.Filter{}).Whole() {
		t.Error("the zero filter is not whole")
	}
	one := []string{"x"}
	for _, f := range []kube.Filter{{Include: one}, {Exclude: one}, {Namespaces: one}, {Prefixes: one}} {
		if query(t, f).Whole() {
			t.Errorf("%+v is whole", f)
		}
	}
}

func TestWhatIsTypedWrongly(t *testing.T) {
	for _, c := range []struct {
		filter kube.Filter
		err    error
		text   string
	}{
		{kube.Filter{Include: []string{"deploymnets"}}, kube.ErrUnknownKind, `unknown kind "deploymnets": did you mean deployments.apps?`},
		{kube.Filter{Include: []string{"podz"}}, kube.ErrUnknownKind, `unknown kind "podz": did you mean pods?`},
		{kube.Filter{Include: []string{"pdos"}}, kube.ErrUnknownKind, `unknown kind "pdos": did you mean pods?`},
		{kube.Filter{Include: []string{"deployments.next.apps"}}, kube.ErrUnknownKind, `unknown kind "deployments.next.apps": did you mean deployments.apps?`},
		{kube.Filter{Include: []string{"deployments.batch"}}, kube.ErrUnknownKind, `unknown kind "deployments.batch": did you mean deployments.apps?`},
		{kube.Filter{Exclude: []string{"ingresses.networking"}}, kube.ErrUnknownKind, `unknown kind "ingresses.networking": did you mean ingresses.networking.k8s.io?`},
		{kube.Filter{Include: []string{"widgtes"}}, kube.ErrUnknownKind, `unknown kind "widgtes": did you mean widgets.shop.example.io?`},
		{kube.Filter{Include: []string{"widgets.shop.exmaple.io"}}, kube.ErrUnknownKind, `unknown kind "widgets.shop.exmaple.io": did you mean widgets.shop.example.io?`},
		{kube.Filter{Include: []string{"service-account"}}, kube.ErrUnknownKind, `unknown kind "service-account": did you mean serviceaccounts?`},
		{kube.Filter{Include: []string{"qwertyuiop"}}, kube.ErrUnknownKind, `unknown kind "qwertyuiop": no kind has a name like it`},
		{kube.Filter{Include: []string{"machinesets"}}, kube.ErrFilter, `"machinesets" may be machinesets.a.example.io or machinesets.machines.example.io: write one of them`},
		{kube.Filter{Include: []string{"all/web"}}, kube.ErrFilter, `all/web: all stands for several kinds, name one of them`},
		{kube.Filter{Include: []string{"api-extensions"}, Namespaces: []string{"shop"}}, kube.ErrFilter, `api-extensions: none of the kinds that it stands for has namespaces`},
		{kube.Filter{Include: []string{"cm/"}}, kube.ErrFilter, `"cm/": no object can have that name`},
		{kube.Filter{Include: []string{"cm/.."}}, kube.ErrFilter, `"cm/..": no object can have that name`},
		{kube.Filter{Include: []string{"cm/shop/a"}}, kube.ErrFilter, `"cm/shop/a": write TYPE/NAME and give the namespace on its own`},
		{kube.Filter{Include: []string{"/a"}}, kube.ErrFilter, `"/a": a kind is missing`},
		{kube.Filter{Include: []string{"cm,,po"}}, kube.ErrFilter, `"cm,,po" has an empty word`},
		{kube.Filter{Include: []string{""}}, kube.ErrFilter, `"" has an empty word`},
		{kube.Filter{Namespaces: []string{"Shop"}}, kube.ErrFilter, `"Shop": no namespace can have that name`},
		{kube.Filter{Namespaces: []string{"a/b"}}, kube.ErrFilter, `"a/b": no namespace can have that name`},
		{kube.Filter{Prefixes: []string{""}}, kube.ErrFilter, `an empty prefix`},
	} {
		t.Run(c.text, func(t *testing.T) {
			view, _ := fixtureView(t)
			sel, err := resolve(t.Context(), c.filter, view)
			if !errors.Is(err, c.err) || err.Error() != c.text {
				t.Errorf("got  %v\nwant %s", err, c.text)
			}
			if len(sel.Ranges) > 0 {
				t.Error("an error came with a selection")
			}
		})
	}
}

// A definition that is encrypted or damaged gives no short names; its own name
// still tells plural and group.
func TestUnreadableDefinitions(t *testing.T) {
	for name, value := range map[string]string{
		"encrypted": "k8s:enc:aescbc:v1:k:xxxx", "damaged": `{"spec":`, "empty": "", "another's": `{"spec":{"group":"x.io","names":{"plural":"widgets","shortNames":["wi"]}}}`,
	} {
		t.Run(name, func(t *testing.T) {
			view := walktest.NewView(
				etcdwalk.Entry{Key: []byte("/registry/apiextensions.k8s.io/customresourcedefinitions/widgets.shop.example.io"), Value: []byte(value)},
				etcdwalk.Entry{Key: []byte("/registry/shop.example.io/widgets/data/w")},
			)
			for _, typed := range []string{"widgets.shop.example.io", "widgets"} {
				sel, err := query(t, kube.Filter{Include: []string{typed}, Namespaces: []string{"data"}}).Resolve(t.Context(), view)
				if err != nil {
					t.Fatal(err)
				}
				if got := keysOf(t, view, sel); len(got) != 1 {
					t.Errorf("%s took %q", typed, got)
				}
			}
			if _, err := query(t, kube.Filter{Include: []string{"wi"}}).Resolve(t.Context(), view); !errors.Is(err, kube.ErrUnknownKind) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// A definition without any object makes its kind known.
func TestDefinedKindWithoutKeys(t *testing.T) {
	key := "/registry/apiextensions.k8s.io/customresourcedefinitions/widgets.shop.example.io"
	view := walktest.NewView(etcdwalk.Entry{Key: []byte(key), Value: valueOf(t, key, "{")})
	sel, err := query(t, kube.Filter{Include: []string{"wi"}}).Resolve(t.Context(), view)
	if err != nil || len(sel.Ranges) == 0 {
		t.Fatalf("got %v, %v", sel.Ranges, err)
	}
}

// The scope is the definition's, whatever the first key looks like.
func TestDefinitionTellsTheScope(t *testing.T) {
	key := "/registry/apiextensions.k8s.io/customresourcedefinitions/regions.infra.example.io"
	view := walktest.NewView(
		etcdwalk.Entry{Key: []byte(key), Value: valueOf(t, key, "{")},
		etcdwalk.Entry{Key: []byte("/registry/infra.example.io/regions/eu")},
		etcdwalk.Entry{Key: []byte("/registry/infra.example.io/regions/a/stray")},
	)
	sel, err := query(t, kube.Filter{Include: []string{"region/eu"}, Namespaces: []string{"data"}}).Resolve(t.Context(), view)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(keysOf(t, view, sel), []string{"/registry/infra.example.io/regions/eu"}); diff != "" {
		t.Error(diff)
	}
}

// The view's errors come through from each of the walks that names need.
func TestResolvePassesTheViewsErrorsOn(t *testing.T) {
	for name, f := range map[string]kube.Filter{"custom": {Include: []string{"wi"}}, "namespace": {Namespaces: []string{"data"}}} {
		view, _ := fixtureView(t)
		if _, err := query(t, f).Resolve(t.Context(), view); err != nil {
			t.Fatal(err)
		}
		for n := range view.walks {
			failing := &failingAt{View: view.View, n: n}
			if _, err := query(t, f).Resolve(t.Context(), failing); !errors.Is(err, etcdwalk.ErrUnavailable) || failing.fired != 1 {
				t.Errorf("%s, walk %d: got %v, fired %d times", name, n, err, failing.fired)
			}
		}
		if view.walks < 13 {
			t.Errorf("%s: only %d walks to fail", name, view.walks)
		}
	}
	view := walktest.NewView(etcdwalk.Entry{Key: []byte("/registry/namespaces/a")})
	view.Err = etcdwalk.ErrCompacted
	if _, err := absent(t, kube.Filter{Namespaces: []string{"a"}}, view); !errors.Is(err, etcdwalk.ErrCompacted) || view.Fired() != 1 {
		t.Errorf("got %v, fired %d times", err, view.Fired())
	}
}

func TestAbsentNamespacesComeWithSuggestions(t *testing.T) {
	view, _ := fixtureView(t)
	got, err := absent(t, kube.Filter{Namespaces: []string{"shop-backand", "data", "nowhere-near"}}, view)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{`namespace "shop-backand" (did you mean shop-backend?)`, `namespace "nowhere-near"`}
	if diff := cmp.Diff(got, want); diff != "" {
		t.Errorf("absent (-got +want):\n%s", diff)
	}
}

// A walk may end its requests at the kinds and at the namespaces.
func TestSplits(t *testing.T) {
	view, keys := fixtureView(t)
	splits, err := query(t, kube.Filter{}).Catalog(view).Splits(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, places := range [][][]byte{splits.Kinds, splits.Namespaces} {
		if !slices.IsSortedFunc(places, func(a, b []byte) int { return max(0, bytes.Compare(a, b)+1) }) {
			t.Errorf("not strictly ascending: %q", places)
		}
	}
	has := func(places [][]byte, want string) bool {
		_, found := slices.BinarySearchFunc(places, []byte(want), bytes.Compare)
		return found
	}
	for place, want := range map[string]bool{"/registry/pods/": true, "/registry/minions/": true, "/kubernetes.io/pods/": false} {
		if has(splits.Kinds, place) != want {
			t.Errorf("%s is a split: %v", place, !want)
		}
	}
	namespaces := 0
	for _, key := range keys {
		if name, found := strings.CutPrefix(key, "/registry/namespaces/"); found {
			if namespaces++; !has(splits.Namespaces, name+"/") {
				t.Errorf("namespace %s is no split", name)
			}
		}
	}
	if namespaces < 5 || len(splits.Namespaces) != namespaces {
		t.Errorf("%d splits for %d namespaces", len(splits.Namespaces), namespaces)
	}
}

func TestSplitsWithoutTheRightToReadNamespaces(t *testing.T) {
	view := walktest.NewView(etcdwalk.Entry{Key: []byte("/registry/namespaces/a")})
	view.Err = etcdwalk.ErrDenied
	if splits, err := query(t, kube.Filter{}).Catalog(view).Splits(t.Context()); err != nil || len(splits.Namespaces) != 0 || len(splits.Kinds) == 0 {
		t.Errorf("got %d kinds, %d namespaces, %v", len(splits.Kinds), len(splits.Namespaces), err)
	}
	view.Err = etcdwalk.ErrUnavailable
	if _, err := query(t, kube.Filter{}).Catalog(view).Splits(t.Context()); !errors.Is(err, etcdwalk.ErrUnavailable) {
		t.Errorf("got %v, want %v", err, etcdwalk.ErrUnavailable)
	}
}

func FuzzFilter(f *testing.F) {
	for _, seed := range [][3]string{
		{"cm,deploy/web", "events", "shop"}, {"widgets.shop.example.io", "", ""}, {"a.v1.b/c", "all", "x,y"}, {",", "/", "-"}, {"\xff", "\x00", "a.b"},
	} {
		f.Add(seed[0], seed[1], seed[2])
	}
	view, keys := fixtureView(f)
	f.Fuzz(func(t *testing.T, include, exclude, namespaces string) {
		filter := kube.Filter{}
		for _, each := range []struct {
			typed string
			into  *[]string
		}{{include, &filter.Include}, {exclude, &filter.Exclude}, {namespaces, &filter.Namespaces}} {
			if each.typed != "" {
				*each.into = []string{each.typed}
			}
		}
		sel, err := resolve(context.Background(), filter, view)
		if err != nil {
			if !errors.Is(err, kube.ErrFilter) && !errors.Is(err, kube.ErrUnknownKind) {
				t.Errorf("%v", err)
			}
			return
		}
		if got := keysOf(t, view, sel); len(got) > len(keys) {
			t.Errorf("%d keys of %d", len(got), len(keys))
		}
	})
}
