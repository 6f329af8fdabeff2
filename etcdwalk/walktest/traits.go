package walktest

import "github.com/kubeferry/kubeferry/etcdwalk"

// Traits are what a store cannot do that etcd's v3 API can, so that the suites do
// not ask it. The zero value can do all.
type Traits struct {
	// Holds tells whether the store can hold an entry at all; nil: it holds any.
	Holds func(etcdwalk.Entry) bool
	// NoVersions: it does not count how often a key was written.
	NoVersions bool
	// OwnLeases: a key is not told to be under the lease that it was put under,
	// but under one of its own.
	OwnLeases bool
	// TooLarge is a size of value that it refuses, in bytes; 0: 4 MiB.
	TooLarge int
}

// corpus is the part of the Corpus that the store can hold.
func (t Traits) corpus() []etcdwalk.Entry {
	if t.Holds == nil {
		return Corpus()
	}
	var held []etcdwalk.Entry
	for _, e := range Corpus() {
		if t.Holds(e) {
			held = append(held, e)
		}
	}
	return held
}
