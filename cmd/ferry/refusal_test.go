package ferry_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/kubeferry/kubeferry/cmd/ferry"
	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
	"github.com/kubeferry/kubeferry/etcdwalk/replay"
	"github.com/kubeferry/kubeferry/etcdwalk/walktest"
)

// A keyspace is a cluster as a refusal sees it.
type keyspace struct {
	id   etcdwalk.ClusterID
	keys map[string]string
}

func (k keyspace) view(revision int64) *walktest.View {
	var entries []etcdwalk.Entry
	for key, value := range k.keys {
		entries = append(entries, etcdwalk.Entry{Key: []byte(key), Value: []byte(value), CreateRevision: 2, ModRevision: 2, Version: 1})
	}
	v := walktest.NewView(entries...)
	v.About = etcdwalk.Info{API: etcdwalk.V3, ClusterID: k.id, Revision: revision}
	return v
}

// Keys and values of the clusters.
const (
	system  = "/registry/namespaces/kube-system"
	one     = "/registry/configmaps/shop/one"
	sign    = "/registry/masterleases/192.0.2.1"
	sealedA = "k8s:enc:aescbc:v1:key1:a"
	sealedB = "k8s:enc:aescbc:v1:key1:b"
)

func cluster(id etcdwalk.ClusterID, kubeSystem string, more ...string) keyspace {
	k := keyspace{id, map[string]string{}}
	if kubeSystem != "" {
		k.keys[system] = kubeSystem
	}
	for _, key := range more {
		_, k.keys[key] = object("shop", key[strings.LastIndex(key, "/")+1:], 0)
	}
	return k
}

func uid(s string) string {
	return fmt.Sprintf(`{"kind":"Namespace","apiVersion":"v1","metadata":{"name":"kube-system","uid":%q}}`, s)
}

// Parts of the refusals that several have.
const (
	emptyEtcd   = "--scenario=new fills an etcd without keys, such as one with a new data directory, whose API servers are stopped"
	noMigration = "to restore into another cluster, or into one that was recreated, is not possible yet; " + emptyEtcd
	noPart      = "to put a part of an archive, such as one namespace, into another cluster, or back into one that was recreated, is not possible yet; " + emptyEtcd
	otherUID    = "the archive is of the cluster whose kube-system has UID uid-a, the target's has uid-b: it is another cluster, or the same one recreated, as by kubeadm init; " +
		"if the wrong target was named, name the right one with --endpoints; "
	notNew    = "the target is not new: it holds key /registry/configmaps/shop/two, which this restore would not put there"
	noKubeSys = "the archive is of etcd cluster a, the target is b, and neither has a kube-system that would tell more; "
	noUID     = "the archive is of etcd cluster a, the target is b, and only one of them has a kube-system that would tell more; "
	nobodys   = "nothing tells whether the target is the archive's cluster, and it has no name that --cluster-is could confirm"
	sealed    = "it is not known whether the archive is of this cluster: under /registry/ kube-system's UID is unreadable (k8s:enc:aescbc:v1:key1) in the archive (etcd cluster %s), and unreadable (k8s:enc:aescbc:v1:key1) in the target (etcd cluster %s); "
	two       = "/registry/configmaps/shop/two"
	emptyNow  = "the target holds no keys of Kubernetes: if it is for a new cluster whose API servers are stopped, --scenario=new fills it"
	stopThem  = "stop all API servers (of static pods move the manifests away, out of /etc/kubernetes/manifests), wait 15 seconds"
	sameNow   = "if you are sure that this target is the archive's own cluster, --cluster-is=%s says so"
	sameThen  = "if you are sure that it is the archive's own cluster, leave --scenario=new out and say --cluster-is %s; "
)

// A refused restore, what it says, and what it can be told to do instead; nil: nothing.
type refused struct {
	archive, target keyspace
	change          func(*ferry.Restore) // what is asked for; nil: a restore with all defaults
	want            string
	instead         func(*ferry.Restore)
}

func asNew(r *ferry.Restore)  { r.Scenario = kube.ScenarioNew }
func asSame(r *ferry.Restore) { r.Scenario = kube.ScenarioSame }

func saying(names ...string) func(*ferry.Restore) {
	return func(r *ferry.Restore) { r.Scenario, r.ClusterIs = kube.ScenarioSame, names }
}

// both does one after the other.
func both(first, second func(*ferry.Restore)) func(*ferry.Restore) {
	return func(r *ferry.Restore) { first(r); second(r) }
}

func newer(r *ferry.Restore)     { r.Policy = replay.Newer }
func overwrite(r *ferry.Restore) { r.Policy = replay.Overwrite }

func refusals(t *testing.T) map[string]refused {
	ours := cluster(0xa, uid("uid-a"), one)
	part := func(r *ferry.Restore) { r.Query = query(t, kube.Filter{Namespaces: []string{"shop"}}) }
	return map[string]refused{
		"another cluster": {ours, cluster(0xb, uid("uid-b"), two), nil, otherUID + noMigration, nil},
		"a cluster made anew wants one namespace back": {ours, cluster(0xb, uid("uid-b"), two), part, otherUID + noPart, nil},
		"the same, said to be new":                     {ours, cluster(0xb, uid("uid-b"), two), both(part, asNew), notNew + "; " + otherUID + noPart, nil},
		"another cluster, said to be new":              {ours, cluster(0xb, uid("uid-b"), two), asNew, notNew + "; " + otherUID + noMigration, nil},
		"another cluster that runs, said to be new": {ours, cluster(0xb, uid("uid-b"), two, sign), asNew, notNew + ", and a kube-apiserver uses it, or did until seconds ago (key " + sign + "); " + otherUID + noMigration +
			"; if it is an etcd that was made anew for this restore and its API servers have filled it already: " + stopThem + ", give etcd an empty data folder, and run the same command again", nil},
		"another cluster than --cluster-is says":               {ours, ours, saying("uid-x"), "the target is uid-a or a, and not uid-x as --cluster-is says: one of --endpoints and --cluster-is is wrong", saying("uid-a")},
		"another than the profile says, said to be new":        {ours, cluster(0xa, uid("uid-a"), one, two), both(saying("uid-x"), asNew), notNew + "; the target is uid-a or a, and not uid-x as --cluster-is says: one of --endpoints and --cluster-is is wrong", nil},
		"the same cluster, said to be new":                     {ours, cluster(0xa, uid("uid-a"), one, two), asNew, notNew + "; it is the archive's own cluster: leave --scenario=new out", asSame},
		"the same cluster, by what a profile says, and as new": {cluster(0xa, sealedA), cluster(0xb, sealedB, two), both(saying("b"), asNew), "the target is not new: it holds key /registry/configmaps/shop/two, which this restore would not put there; --cluster-is says that it is the archive's own cluster: leave --scenario=new out", both(overwrite, asSame)},
		"the target runs, and holds nothing else":              {ours, cluster(0xb, "", sign), asNew, "a kube-apiserver uses the target, or did until seconds ago (key " + sign + "): " + stopThem + ", and run the same command again", nil},

		"the target is empty":                   {ours, cluster(0xb, ""), nil, noUID + emptyNow + "; " + fmt.Sprintf(sameNow, "b"), asNew},
		"the target is empty, and has no name":  {ours, cluster(0, ""), nil, "it is not known whether the archive is of this cluster: under /registry/ kube-system's UID is uid-a in the archive (etcd cluster a), and <none> in the target (etcd cluster 0); " + emptyNow, asNew},
		"a restore was interrupted there":       {ours, cluster(0xb, "", one), nil, noUID + "the target holds nothing but what the archive would put there: --scenario=new goes on with a new cluster that a restore has filled in part; " + fmt.Sprintf(sameNow, "b"), asNew},
		"only an API server's sign is there":    {ours, cluster(0xb, "", sign), nil, noUID + fmt.Sprintf(sameNow, "b") + "; " + noMigration, saying("b")},
		"no kube-system, other keys":            {cluster(0xa, "", one), cluster(0xb, "", two), nil, noKubeSys + fmt.Sprintf(sameNow, "b") + "; " + noMigration, saying("b")},
		"no kube-system, said to be new":        {cluster(0xa, "", one), cluster(0xb, "", two), asNew, notNew + "; " + fmt.Sprintf(sameThen, "b") + noMigration, saying("b")},
		"neither the target nor its id is read": {cluster(0, sealedA), cluster(0, sealedB, two), nil, fmt.Sprintf(sealed, "0", "0") + nobodys + "; " + noMigration, nil},
		"the same, and as new":                  {cluster(0, sealedA), cluster(0, sealedB, two), asNew, notNew + "; " + nobodys + "; " + noMigration, nil},

		"the target's UID cannot be read":        {cluster(0xa, sealedA), cluster(0xa, sealedB), nil, fmt.Sprintf(sealed, "a", "a") + fmt.Sprintf(sameNow, "a") + "; " + noMigration, both(overwrite, saying("a"))},
		"the same, for a namespace":              {cluster(0xa, sealedA, one), cluster(0xa, sealedB), part, fmt.Sprintf(sealed, "a", "a") + fmt.Sprintf(sameNow, "a") + "; " + noPart, saying("a")},
		"only the archive's UID cannot be read":  {cluster(0xa, sealedA, one), cluster(0xb, uid("uid-b"), two), asNew, notNew + "; " + fmt.Sprintf(sameThen, "uid-b") + noMigration, both(overwrite, saying("uid-b"))},
		"revisions of a rebuilt etcd":            {ours, cluster(0xb, uid("uid-a"), one), newer, "--on-conflict=newer: mod revisions do not compare: the archive's cluster id is a, the target's b; --on-conflict=skip and =overwrite do without them", overwrite},
		"revisions, and kube-system is gone":     {ours, cluster(0xa, "", one), newer, "--on-conflict=newer: mod revisions do not compare: the archive's kube-system UID is uid-a, the target's <none>; --on-conflict=skip and =overwrite do without them", overwrite},
		"revisions of another cluster":           {ours, cluster(0xb, uid("uid-b"), two), newer, "--on-conflict=newer: mod revisions do not compare: " + otherUID + noMigration, nil},
		"revisions of a new cluster":             {ours, cluster(0xb, ""), both(newer, asNew), "--on-conflict=newer: mod revisions do not compare where --scenario=new fills another cluster: leave --on-conflict=newer out", func(r *ferry.Restore) { r.Policy = replay.Fail }},
		"revisions, and the UIDs cannot be read": {cluster(0xa, sealedA, one), cluster(0xa, sealedB), newer, "--on-conflict=newer: mod revisions do not compare: " + fmt.Sprintf(sealed, "a", "a") + fmt.Sprintf(sameNow, "a") + "; " + noMigration, saying("a")},
	}
}

// Each refusal says what is the case and what works: what it offers is tried, and where
// it offers nothing for this target, the other scenario is refused too.
func TestRefusalsByScenarioOfferWhatWorks(t *testing.T) {
	for name, c := range refusals(t) {
		t.Run(name, func(t *testing.T) {
			target := walktest.NewTarget()
			r := ferry.Restore{Source: c.archive.view(5), Cluster: c.target.view(9), Target: target, Raw: true, Allow: []string{kube.Closure, kube.Sealed}}
			if c.change != nil {
				c.change(&r)
			}
			_, err := r.Plan(t.Context())
			if !errors.Is(err, etcdwalk.ErrRefused) || err.Error() != c.want {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
			if c.instead != nil {
				c.instead(&r)
				if _, err := r.Plan(t.Context()); err != nil {
					t.Errorf("what it offers does not work: %v", err)
				}
				return
			}
			for _, other := range []kube.Scenario{kube.ScenarioSame, kube.ScenarioNew} {
				r.Scenario = other
				if _, err := r.Plan(t.Context()); !errors.Is(err, etcdwalk.ErrRefused) {
					t.Errorf("it offers nothing, and --scenario=%s works: %v", other, err)
				}
			}
		})
	}
}

// A mean view does not let its keys be counted.
type mean struct{ etcdwalk.View }

func (mean) Count(context.Context, etcdwalk.Selection) (int64, error) {
	return 0, fmt.Errorf("counting: %w", etcdwalk.ErrDenied)
}

// Who may not see whether the target is new is refused all the same, and not offered it.
func TestARefusalNeedsNoMoreRightsThanTheRestore(t *testing.T) {
	target := cluster(0xb, "").view(9)
	r := ferry.Restore{Source: cluster(0xa, uid("uid-a"), one).view(5), Cluster: only(mean{target}), Target: walktest.NewTarget()}
	_, err := r.Plan(t.Context())
	if want := noUID + fmt.Sprintf(sameNow, "b") + "; " + noMigration; !errors.Is(err, etcdwalk.ErrRefused) || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}
