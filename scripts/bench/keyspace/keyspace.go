// Package keyspace makes up what a kube-apiserver would have put into etcd: its
// key layout, its protobuf envelope, managedFields, labels, UIDs and statuses.
//
// A Keyspace is an array of Objects that is computed, never held: At(i) depends
// on the seed, the number of keys, i and the round, and on nothing else, so that
// objects can be made in any order and by several goroutines at once. Rounds
// are histories: the same keys with other statuses.
//
// What it is not: nothing refers to what really exists elsewhere in the
// keyspace (the owner of a pod is a plausible one), and no API server has seen it.
package keyspace

import (
	"fmt"
	"math"
	"sort"
)

// OnePercent is the namespace that has one in a hundred of the namespaced keys,
// whatever the size of the keyspace.
const OnePercent = "ledger-prod"

// prefix is what kube-apiserver writes below by default.
const prefix = "/registry/"

// EventsPerLease is how many events hang on one lease. A kube-apiserver uses a
// lease again for a minute, and for no more than 1,000 objects.
const EventsPerLease = 250

// An Object is one key of the keyspace.
type Object struct {
	Resource string // the folder below /registry, such as "pods"
	Key      string
	Value    []byte
	Lease    int64 // from 1 to Leases(); 0: none

	typed         message // nil: Value is JSON
	version, kind string
}

// A Keyspace is a made-up cluster. It is safe for concurrent use.
type Keyspace struct {
	seed       uint64
	keys       int
	namespaces []string
	shares     []float64 // cumulative shares of the namespaces, the last is 1
	apps       []int     // how many applications each namespace has
	sections   []section
}

// A section is a run of indices whose objects are of one sort.
type section struct {
	name string
	n    int
	make func(k *Keyspace, who identity) (Object, error)
}

// New plans a keyspace of this many keys, at least 1,000.
func New(keys int, seed uint64) (*Keyspace, error) {
	if keys < 1000 {
		return nil, fmt.Errorf("a keyspace of %d keys: it takes at least 1000 to have all sorts of objects", keys)
	}
	k := &Keyspace{seed: seed, keys: keys}
	k.planNamespaces()
	k.planSections()
	return k, nil
}

// Len is the number of keys.
func (k *Keyspace) Len() int { return k.keys }

// Leases is the number of leases that the events need.
func (k *Keyspace) Leases() int {
	for _, s := range k.sections {
		if s.name == "events" {
			return (s.n + EventsPerLease - 1) / EventsPerLease
		}
	}
	return 0
}

// planSections deals out the indices: what there is a fixed number of first, the
// shares after it, and custom resources fill up the rest.
func (k *Keyspace) planSections() {
	k.sections = []section{
		{"namespaces", len(k.namespaces), (*Keyspace).namespace},
		{"customresourcedefinitions", len(customKinds), (*Keyspace).customDefinition},
		{"large", k.keys / 2000, (*Keyspace).large},
	}
	for _, s := range []struct {
		name  string
		share float64
		make  func(*Keyspace, identity) (Object, error)
	}{
		{"pods", 0.25, (*Keyspace).pod},
		{"events", 0.25, (*Keyspace).event},
		{"replicasets", 0.13, (*Keyspace).replicaSet},
		{"endpointslices", 0.05, (*Keyspace).endpointSlice},
		{"configmaps", 0.05, (*Keyspace).configMap},
		{"secrets", 0.06, (*Keyspace).secret},
		{"serviceaccounts", 0.05, (*Keyspace).serviceAccount},
		{"rolebindings", 0.05, (*Keyspace).roleBinding},
	} {
		k.sections = append(k.sections, section{s.name, int(s.share * float64(k.keys)), s.make})
	}
	rest := k.keys
	for _, s := range k.sections {
		rest -= s.n
	}
	k.sections = append(k.sections, section{"customresources", rest, (*Keyspace).customResource})
}

// planNamespaces gives the namespaces sizes like those of life: a few have most
// of it (Zipf's law), beside the one of one percent.
func (k *Keyspace) planNamespaces() {
	n := max(8, k.keys/500)
	k.namespaces = make([]string, n)
	weights := make([]float64, n)
	total := 0.0
	for i := range n {
		d := k.dice("namespace name", i, 0)
		k.namespaces[i] = fmt.Sprintf("%s-%s-%d", d.pick(teams), d.pick(environments), i)
		weights[i] = 1 / float64(i+1)
		total += weights[i]
	}
	k.namespaces[n-3], k.namespaces[n-2], k.namespaces[n-1] = "kube-system", "default", OnePercent
	total -= weights[n-1]
	weights[n-1] = 0.01 / 0.99 * total
	total += weights[n-1]

	// About one application for 46 keys of S; those of larger clusters are larger.
	sum, apps := 0.0, 435*math.Pow(float64(k.keys)/20_000, 0.85)
	for _, w := range weights {
		sum += w / total
		k.shares = append(k.shares, sum)
		k.apps = append(k.apps, max(1, int(math.Round(w/total*apps))))
	}
	k.shares[n-1] = 1
}

// An identity says which object is to be made.
type identity struct {
	k     *Keyspace
	sort  string
	index int // within its sort
	round int
}

// fixed are dice for what stays the same from round to round.
func (w identity) fixed() dice { return w.k.dice(w.sort, w.index, 0) }

// fresh are dice for what is written anew in each round.
func (w identity) fresh() dice { return w.k.dice(w.sort+" status", w.index, w.round) }

// At makes the object of an index from 0 to Len()-1, as it is in a round from 0 on.
func (k *Keyspace) At(index, round int) (Object, error) {
	rest := index
	for _, s := range k.sections {
		if rest < s.n {
			o, err := s.make(k, identity{k, s.name, rest, round})
			if err != nil {
				return Object{}, fmt.Errorf("make %s %d: %w", s.name, rest, err)
			}
			return o, nil
		}
		rest -= s.n
	}
	return Object{}, fmt.Errorf("no object %d in a keyspace of %d", index, k.keys)
}

// Shuffled is an order to load the indices in, in which keys do not ascend: as
// in life, what is near in the keyspace was not written at one time.
func (k *Keyspace) Shuffled(round int) []int {
	return k.dice("order", 0, round).Perm(k.keys)
}

// place draws a namespace by its share, and one of its applications.
func (k *Keyspace) place(d dice) app {
	i := sort.SearchFloat64s(k.shares, d.Float64())
	i = min(i, len(k.shares)-1)
	return k.app(i, d.IntN(k.apps[i]))
}

// key joins the parts of a key below /registry.
func key(resource, namespace, name string) string {
	return prefix + resource + "/" + namespace + "/" + name
}
