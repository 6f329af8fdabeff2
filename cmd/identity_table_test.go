package cmd

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kubeferry/kubeferry/cmd/ferry"
	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
	"github.com/kubeferry/kubeferry/etcdwalk/replay"
	"github.com/kubeferry/kubeferry/etcdwalk/walktest"
	"github.com/kubeferry/kubeferry/remote/catalog"
	"github.com/kubeferry/kubeferry/remote/remotetest"
)

// identityFile documents what TestIdentities has seen.
const identityFile = "IDENTITY.md"

const identityIntro = `# Whose backup is this?

Made by ` + "`go test ./cmd -run TestIdentities -update`" + `, which tries each cell.

What identifies a Kubernetes cluster is the UID of its namespace kube-system. It can be *unreadable*: encrypted at rest, or of an encoding that is not
decoded. Then equal stored bytes prove that two clusters are one, and nothing proves that they are not (--encryption-config opens what is encrypted). Etcd's cluster id is shared by clusters made from one
template, changes when an etcd is rebuilt, and is 0 (unknown) with kine: it counts only where there is no kube-system.

**Restore.** An archive goes into a target. *same* and *new* are scenarios, *newer* is the policy in scenario same. 0: planned. 19: refused; with a star,
` + "`--cluster-is`" + ` and what the refusal prints (the target's UID, or else its etcd cluster id) confirm the target. *new* asks only whether the target
holds anything that the archive would not have put there.

**Series.** Two archives lie in one place, a day apart: do they count for each other? *one*: ` + "`prune --keep-last 1`" + ` removes the older, ` + "`latest`" + ` is the
newer (0), ` + "`check --max-age 1h`" + ` is content (0). *two*: both stay, ` + "`latest`" + ` asks which is meant (64), ` + "`check`" + ` finds the older one's series too old (21).
*doubt*: nothing tells whose an archive is; it stays, and ` + "`latest`" + ` (64) and ` + "`check`" + ` (21) do not take one for another. With a label that the user
gave both have the same; without, each has the default one.

`

// A person is a cluster by its identity, and what stands for it in the table.
type person struct {
	word  string
	value string // of kube-system; empty: there is none
}

func (p person) readable() bool { return p.value == "" || strings.HasPrefix(p.value, "{") }

// identityPairs are two clusters each: the archive's and the target's, or those of an
// older and a newer archive.
var identityPairs = [][2]person{
	{{"UID", withUID("11111111-2222")}, {"the same UID", withUID("11111111-2222")}},
	{{"UID", withUID("11111111-2222")}, {"another UID", withUID("33333333-2222")}},
	{{"none", ""}, {"none", ""}},
	{{"UID", withUID("11111111-2222")}, {"none", ""}},
	{{"none", ""}, {"UID", withUID("11111111-2222")}},
	{{"unreadable", sealedProd}, {"unreadable, equal bytes", sealedProd}},
	{{"unreadable", sealedProd}, {"unreadable, other bytes", sealedTest}},
	{{"unreadable", sealedProd}, {"UID", withUID("11111111-2222")}},
	{{"UID", withUID("11111111-2222")}, {"unreadable", sealedProd}},
	{{"unreadable", sealedProd}, {"none", ""}},
	{{"none", ""}, {"unreadable", sealedProd}},
}

// etcdIDs are etcd's ids of the two.
var etcdIDs = []struct {
	word string
	ids  [2]etcdwalk.ClusterID
}{{"equal", [2]etcdwalk.ClusterID{0xc1, 0xc1}}, {"other", [2]etcdwalk.ClusterID{0xc1, 0xc2}}, {"0", [2]etcdwalk.ClusterID{0, 0}}}

// TestIdentities tries every pair of identities, with etcd's ids equal, different and
// unknown, in all that depends on them, and holds it against the rules as they are
// told in words. The table of it is IDENTITY.md.
func TestIdentities(t *testing.T) {
	var b strings.Builder
	b.WriteString(identityIntro)
	b.WriteString("| archive, or older | target, or newer | etcd's ids | same | newer | new | label given | default label |\n|---|---|---|---|---|---|---|---|\n")
	for _, pair := range identityPairs {
		for _, etcd := range etcdIDs {
			c := identityCase{t, pair, etcd.ids}
			where := fmt.Sprintf("%s / %s, ids %s", pair[0].word, pair[1].word, etcd.word)
			cells := []string{
				c.restore(kube.ScenarioSame, replay.Overwrite), c.restore(kube.ScenarioSame, replay.Newer), c.restore(kube.ScenarioNew, replay.Overwrite),
				c.series("prod"), c.series(""),
			}
			if want := c.specified(); !cmp.Equal(cells, want) {
				t.Errorf("%s: got %q, want %q", where, cells, want)
			}
			fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", pair[0].word, pair[1].word, etcd.word, strings.Join(cells, " | "))
		}
	}
	if *update {
		check(t, os.WriteFile(identityFile, []byte(b.String()), 0o644))
	}
	if diff := cmp.Diff(b.String(), string(readFile(t, identityFile))); diff != "" {
		t.Errorf("%s is not what was seen (-seen +file):\n%s", identityFile, diff)
	}
}

type identityCase struct {
	t    *testing.T
	pair [2]person
	ids  [2]etcdwalk.ClusterID
}

// specified are the cells by the rules in words.
func (c identityCase) specified() []string {
	a, b := c.pair[0], c.pair[1]
	const refused, star = "19", "19*"
	idsEqual, idsKnown := c.ids[0] == c.ids[1], c.ids[0] != 0
	bothUID := a.value != "" && b.value != "" && a.readable() && b.readable()
	equalBytes := a.value == b.value && a.value != ""

	same := star // may be confirmed
	switch {
	case equalBytes, a.readable() && b.readable() && !bothUID && idsEqual && idsKnown:
		same = "0"
	case bothUID, !idsKnown && !strings.HasPrefix(b.value, "{"): // proven to be another; or nothing to confirm it by
		same = refused
	}
	newer := same
	if !idsEqual || !idsKnown || (a.value == "") != (b.value == "") {
		newer = refused
	}
	fresh := refused
	if b.value == "" || equalBytes {
		fresh = "0"
	}

	// Of one cluster by themselves, by the label and etcd's id, or in doubt.
	own := bothUID && equalBytes || a.value == "" && b.value == "" && idsEqual && idsKnown
	known := func(p person, id etcdwalk.ClusterID) bool { return p.readable() && (p.value != "" || id != 0) }
	allKnown := known(a, c.ids[0]) && known(b, c.ids[1])
	labelled, made := "two", "two"
	switch {
	case own:
		labelled, made = "one", "one"
	case allKnown:
	default:
		made = "doubt"
		if labelled = "doubt"; idsKnown {
			labelled = map[bool]string{true: "one", false: "two"}[idsEqual]
		}
	}
	return []string{same, newer, fresh, labelled, made}
}

// view is the keyspace of one of the two.
func (c identityCase) view(i int) *walktest.View {
	entries := []etcdwalk.Entry{{Key: []byte("/registry/configmaps/shop/c1"), Value: []byte(configMapJSON("c1")), ModRevision: 5, CreateRevision: 5, Version: 1}}
	if value := c.pair[i].value; value != "" {
		entries = append(entries, etcdwalk.Entry{Key: []byte("/registry/namespaces/kube-system"), Value: []byte(value), ModRevision: 6, CreateRevision: 6, Version: 1})
	}
	v := walktest.NewView(entries...)
	v.About = etcdwalk.Info{API: etcdwalk.V3, ClusterID: c.ids[i], ServerVersion: "3.6.0", Revision: 1000}
	return v
}

// backUp makes an archive of one of the two, on its day.
func (c identityCase) backUp(store *remotetest.Memory, i int, label string) string {
	done, err := ferry.Backup{
		Source: c.view(i), Store: store, Label: label, Tool: "test", Host: "tester",
		Now: func() time.Time { return time.Date(2026, 11, 1+i, 12, 0, 0, 0, time.UTC) },
	}.Run(c.t.Context())
	check(c.t, err)
	return done.Receipt.Name
}

// restore plans one, and again with what the refusal says confirms the target.
func (c identityCase) restore(scenario kube.Scenario, policy replay.Policy) string {
	store := &remotetest.Memory{}
	a, err := ferry.Open(c.t.Context(), store, c.backUp(store, 0, "prod"), ferry.Keys{})
	check(c.t, err)
	defer a.Close()
	target := c.view(1)
	if scenario == kube.ScenarioNew { // but for what the archive puts there itself
		target = walktest.NewView()
		if value := c.pair[1].value; value != "" {
			target = walktest.NewView(etcdwalk.Entry{Key: []byte("/registry/namespaces/kube-system"), Value: []byte(value), ModRevision: 6})
		}
		target.About = c.view(1).About
	}
	r := ferry.Restore{Source: a, Cluster: target, Target: walktest.NewTarget(), Policy: policy, Scenario: scenario, Allow: []string{kube.Closure, kube.Sealed}}
	_, err = r.Plan(c.t.Context())
	if err == nil {
		return "0"
	}
	code := fmt.Sprint(int(codeOf(err)))
	_, offered, found := strings.Cut(err.Error(), "--cluster-is=")
	if !found {
		return code
	}
	name, _, _ := strings.Cut(offered, " ")
	r.ClusterIs = []string{name}
	if _, err := r.Plan(c.t.Context()); err != nil {
		if _, _, again := strings.Cut(err.Error(), "--cluster-is"); again {
			c.t.Errorf("%+v: %q was offered, and not taken: %v", c.pair, r.ClusterIs, err)
		}
		return code // for another reason
	}
	r.ClusterIs = []string{"another"}
	if _, err := r.Plan(c.t.Context()); codeOf(err) != exitGuard {
		c.t.Errorf("%+v: the name of another cluster is taken: %v", c.pair, err)
	}
	return code + "*"
}

// series tells whether the archives of the two count for each other; prune, latest
// and check must agree.
func (c identityCase) series(label string) string {
	now := func() time.Time { return time.Date(2026, 11, 2, 12, 30, 0, 0, time.UTC) }
	place := func() *remotetest.Memory {
		store := &remotetest.Memory{}
		c.backUp(store, 0, label)
		c.backUp(store, 1, label)
		return store
	}
	checked, err := ferry.Check{Store: place(), MaxAge: time.Hour, Now: now}.Run(c.t.Context())
	checkCode := codeOf(err)
	listing, err := catalog.List(c.t.Context(), place())
	check(c.t, err)
	_, err = listing.Find("latest", catalog.Query{})
	latestCode := codeOf(err)
	pruned, err := ferry.Prune{Store: place(), Policy: catalog.Policy{Last: 1}, Archives: true, MaxPercent: 100, Now: now}.Run(c.t.Context())
	check(c.t, err)

	doubt := false
	for _, g := range pruned.Groups {
		doubt = doubt || g.Doubt != ""
	}
	switch removed := len(pruned.Removed); {
	case removed == 1 && latestCode == exitDone && checkCode == exitDone:
		return "one"
	case removed == 0 && latestCode == exitUsage && checkCode == exitCheck && doubt:
		return "doubt"
	case removed == 0 && latestCode == exitUsage && checkCode == exitCheck:
		return "two"
	default:
		return fmt.Sprintf("%d removed, latest %d, check %d %+v", removed, latestCode, checkCode, checked)
	}
}
