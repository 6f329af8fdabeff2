package ferry

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
)

// ErrAmbiguous: several APIs of one server hold different keyspaces, and it is not
// clear which of them is Kubernetes'.
var ErrAmbiguous = errors.New("it is not clear which API holds the cluster")

// A Candidate is one API of a server that speaks several.
type Candidate struct {
	API    etcdwalk.API
	Source etcdwalk.Source

	keys, signs bool  // it holds Kubernetes' keys; an API server uses it
	denied      error // it refuses to be looked at: each API has users of its own
}

// ChooseAPI tells which API of a server holds Kubernetes' keys in this layout. After
// a half-finished upgrade several may: then it is the one in which an API server
// shows signs of life. A server without such keys is taken to be for the first.
func ChooseAPI(ctx context.Context, layout *kube.Layout, candidates []Candidate) (etcdwalk.API, error) {
	var alive, used []Candidate
	var denied error
	for _, c := range candidates {
		switch err := c.look(ctx, layout); {
		case err != nil:
			return "", fmt.Errorf("look for Kubernetes' keys in API %s: %w", c.API, err)
		case c.denied != nil:
			denied = fmt.Errorf("look for Kubernetes' keys in API %s: %w", c.API, c.denied)
		case c.signs:
			alive, used = append(alive, c), append(used, c)
		case c.keys:
			used = append(used, c)
		}
	}
	switch {
	case len(alive) == 1:
		return alive[0].API, nil
	case len(alive) > 1:
		return "", fmt.Errorf("%w: %s hold Kubernetes' keys, and an API server uses each", ErrAmbiguous, namesOf(alive))
	case denied != nil:
		return "", denied
	case len(used) == 1:
		return used[0].API, nil
	case len(used) > 1:
		return "", fmt.Errorf("%w: %s hold Kubernetes' keys, and no API server uses them at present", ErrAmbiguous, namesOf(used))
	}
	return candidates[0].API, nil
}

// look finds out what a candidate holds.
func (c *Candidate) look(ctx context.Context, layout *kube.Layout) error {
	view, err := c.Source.Open(ctx, etcdwalk.Newest, layout.Scope())
	if err == nil {
		c.keys, err = etcdwalk.Holds(ctx, view, etcdwalk.Selection{Ranges: layout.Scope()})
	}
	if err == nil && c.keys {
		c.signs, err = etcdwalk.Holds(ctx, view, etcdwalk.Selection{Ranges: layout.LiveSigns()})
	}
	if errors.Is(err, etcdwalk.ErrDenied) {
		c.denied, err = err, nil
	}
	return err
}

func namesOf(candidates []Candidate) string {
	var names []string
	for _, c := range candidates {
		names = append(names, string(c.API))
	}
	return strings.Join(names, " and ")
}
