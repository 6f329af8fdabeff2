package ferry

import (
	"context"
	"fmt"
	"strings"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/kube/object"
	"github.com/kubeferry/kubeferry/etcdwalk/replay"
)

// spaces are the Namespace objects of the target, by key: those that are there, and of them
// those that are being deleted.
type spaces struct {
	there map[string]bool
	dying map[string]etcdwalk.Entry
}

func (p *Planned) spacesOf(ctx context.Context) (spaces, error) {
	s := spaces{map[string]bool{}, map[string]etcdwalk.Entry{}}
	for e, err := range p.target.Walk(ctx, etcdwalk.Selection{Ranges: p.layout.Namespaces()}) {
		if err != nil {
			return s, fmt.Errorf("look which namespaces the cluster has: %w", err)
		}
		s.there[string(e.Key)] = true
		if m, err := p.meta(ctx, e); err == nil && m.Deleting {
			s.dying[string(e.Key)] = e.Clone()
		}
	}
	return s, nil
}

// stays tells whether a restore leaves a Namespace object being deleted, although it is
// selected: the policy keeps what the target has, or the archive's is no better.
func (s spaces) stays(policy replay.Policy, want etcdwalk.Entry, m object.Meta) bool {
	have, dying := s.dying[string(want.Key)]
	return dying && (m.Deleting || replay.Decide(policy, want, &have) != replay.Replace)
}

// mostNamed is how many namespaces are named.
const mostNamed = 10

// tell says which of the selected namespaces are being deleted: it is no small thing to stop
// that.
func (s spaces) tell(p *Planned, selected [][]byte) {
	var names []string
	for _, key := range selected {
		if _, dying := s.dying[string(key)]; dying {
			names = append(names, p.layout.Classify(key).Name)
		}
	}
	if n := len(names); n > mostNamed {
		names = append(names[:mostNamed], fmt.Sprintf("%d others", n-mostNamed))
	}
	if len(names) > 0 {
		p.Doubts = append(p.Doubts, fmt.Sprintf("namespace %s: being deleted in the cluster; that the Namespace object is replaced stops it", strings.Join(names, ", ")))
	}
}
