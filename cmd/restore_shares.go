package cmd

import (
	"cmp"
	"slices"

	"github.com/kubeferry/kubeferry/etcdwalk/kube"
	"github.com/kubeferry/kubeferry/etcdwalk/replay"
)

// A share counts the keys that a plan would create or replace, of a kind in a namespace.
type share struct {
	Namespace string `json:"namespace,omitempty"`
	Kind      string `json:"kind,omitempty"` // empty: no objects
	Created   int64  `json:"created,omitempty"`
	Replaced  int64  `json:"replaced,omitempty"`
}

// maxShares bounds the kinds and namespaces that are counted, each by itself.
const maxShares = 10_000

// shares counts by kind and namespace.
type shares map[[2]string]*share

func (c shares) add(layout *kube.Layout, line replay.Line) {
	if line.Fate != replay.Created && line.Fate != replay.Replaced {
		return
	}
	class := layout.Classify(line.Key)
	at := [2]string{class.Namespace, class.Kind}
	if c[at] == nil {
		if len(c) == maxShares {
			return
		}
		c[at] = &share{Namespace: class.Namespace, Kind: class.Kind}
	}
	if line.Fate == replay.Created {
		c[at].Created++
	} else {
		c[at].Replaced++
	}
}

// sorted is by namespace, the most first.
func (c shares) sorted() []share {
	var all []share
	for _, one := range c {
		all = append(all, *one)
	}
	slices.SortFunc(all, func(a, b share) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(b.Created+b.Replaced, a.Created+a.Replaced), cmp.Compare(a.Kind, b.Kind))
	})
	return all
}

// counting counts what a plan would write, and hands each line on to a report.
func (o *restoreOptions) counting(layout *kube.Layout, report *report) func(replay.Line) error {
	o.shares = shares{}
	return func(line replay.Line) error {
		o.shares.add(layout, line)
		return report.add(line)
	}
}
