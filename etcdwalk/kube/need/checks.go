package need

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
	"github.com/kubeferry/kubeferry/etcdwalk/kube/object"
	"github.com/kubeferry/kubeferry/etcdwalk/kube/order"
)

// Checks are the rules about what one restore would write. They may be asked by several at
// once.
type Checks struct {
	Rules  *kube.Rules
	Layout *kube.Layout
	Opener *object.Opener // of values that are sealed at rest; may be nil
	// Survey is of all that is selected, and Selected says which objects of the kinds in
	// [ByName] are: by kind, and namespace/name or name.
	Survey   *order.Survey
	Selected func(kind, name string) bool
	// Keeps: where the target holds another object under a key that is selected, it stays.
	Keeps bool
	// Target is asked for what is not selected, and View for what all of its objects have.
	Target holder
	View   etcdwalk.View
	Source etcdwalk.View
	// Finders know the keys of what is needed; the first that does is believed.
	Finders []*kube.Finder

	mu        sync.Mutex
	heads     map[string]head            // what the target holds, by key
	seals     map[string]map[string]bool // what values of a kind are sealed by, by kind
	allotted  map[Allotment]tenant       // who has an address or a node port
	bitmaps   map[bitmap]nodePorts       // which node ports there are
	adopted   map[string]bool            // keys
	selecting map[string][]controller    // by what their keys begin with
	alive     map[string]bool            // which Namespace objects the archive holds living, by key
	versions  map[string][]string        // of definitions in the target, by kind
	defined   map[string]bool            // which kinds of Kubernetes' groups the source defines
	found     map[string]*orphans        // by their owners
	warnings  []string
	unknown   int64
}

// A holder holds objects.
type holder interface {
	// Lookup tells what lies under each key, in their order; nil: nothing.
	Lookup(ctx context.Context, keys [][]byte) ([]*etcdwalk.Entry, error)
}

// ByName are the kinds whose objects are needed by their names alone.
func ByName() []string {
	return []string{"namespaces", definitions, "persistentvolumes", "nodes", "services"}
}

// head is what the target holds under a key.
type head struct {
	there, deleting bool
	uid             string
}

// Unknown is the number of objects whose needs cannot be known, since their metadata
// cannot be read.
func (c *Checks) Unknown() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.unknown
}

// candidate is an object that may be what another needs; an empty UID stands for any.
type candidate struct {
	key []byte // nil: it cannot be in the target
	uid string
	// orNone: it suffices that the target holds nothing under the key.
	orNone bool
}

// want is something that an object needs, if none of it is selected: one of these must be
// in the target.
type want struct {
	rule string
	any  []candidate
	miss string // why the object must not be written, if none is there
	warn string // what is to be said instead, if that forbids nothing
	// namespace is the one that the object lies in, if that is wanted. While that is being
	// deleted, so is what is in it, by another rule.
	namespace string
}

// Judge says of each write why it must not be made, or nothing.
func (c *Checks) Judge(ctx context.Context, writes []etcdwalk.Write) ([]string, error) {
	judged, err := c.judgeAll(ctx, writes)
	if err != nil {
		return nil, err
	}
	reasons := make([]string, len(writes))
	for i, j := range judged {
		switch {
		case j.reason == "" && len(j.wants) > 0:
			j.reason = j.wants[0].rule + ": " + j.wants[0].miss
		case j.reason == "" && j.known:
			if j.reason, err = j.adopt(ctx); err != nil {
				return nil, err
			}
		}
		reasons[i] = j.reason
	}
	return reasons, nil
}

// Missing are the keys of what the objects of writes need and nobody has: it may be taken
// along.
func (c *Checks) Missing(ctx context.Context, writes []etcdwalk.Write) ([][]byte, error) {
	judged, err := c.judgeAll(ctx, writes)
	if err != nil {
		return nil, err
	}
	var keys [][]byte
	for _, j := range judged {
		for _, w := range j.wants {
			keys = append(keys, w.keys()...)
		}
	}
	return keys, nil
}

// judgeAll judges writes, and of what they want leaves what is missing.
func (c *Checks) judgeAll(ctx context.Context, writes []etcdwalk.Write) ([]*judgement, error) {
	judged := make([]*judgement, len(writes))
	var keys [][]byte
	for i, w := range writes {
		var err error
		if judged[i], err = c.judge(ctx, w); err != nil {
			return nil, err
		}
		for _, w := range judged[i].wants {
			keys = append(keys, w.keys()...)
		}
	}
	if err := c.fetch(ctx, keys); err != nil {
		return nil, err
	}
	for _, j := range judged {
		var err error
		if j.wants, err = c.dying(ctx, j.wants); err != nil {
			return nil, err
		}
		j.wants = slices.DeleteFunc(j.wants, func(w want) bool {
			there := c.there(w)
			if !there && w.warn != "" {
				c.warn(w.rule, w.warn)
			}
			return there || w.warn != ""
		})
	}
	return judged, nil
}

// keys are those that one who is wanted can have.
func (w want) keys() (keys [][]byte) {
	for _, one := range w.any {
		if one.key != nil {
			keys = append(keys, one.key)
		}
	}
	return keys
}

// keyOf is the key of what an object under a prefix refers to; nil if nobody knows it.
func (c *Checks) keyOf(ctx context.Context, prefix string, r kube.Reference) ([]byte, error) {
	for _, finder := range c.Finders {
		if key, err := finder.Key(ctx, prefix, r); key != nil || err != nil {
			return key, err
		}
	}
	return nil, nil
}

// fetch reads what the target holds under keys, if it is not known.
func (c *Checks) fetch(ctx context.Context, keys [][]byte) error {
	c.mu.Lock()
	if c.heads == nil {
		c.heads = map[string]head{}
	}
	var unread [][]byte
	asked := map[string]bool{}
	for _, key := range keys {
		if _, known := c.heads[string(key)]; !known && !asked[string(key)] {
			asked[string(key)] = true
			unread = append(unread, key)
		}
	}
	c.mu.Unlock()
	if len(unread) == 0 {
		return nil
	}
	found, err := c.Target.Lookup(ctx, unread)
	if err != nil {
		return fmt.Errorf("look for what the objects need, from key %q on: %w", unread[0], err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, e := range found {
		c.heads[string(unread[i])] = c.headOf(ctx, e)
	}
	return nil
}

func (c *Checks) headOf(ctx context.Context, e *etcdwalk.Entry) head {
	if e == nil {
		return head{}
	}
	m, err := c.Opener.Read(ctx, e.Key, e.Value)
	if err != nil {
		return head{there: true} // as something; that it is another cannot be known
	}
	return head{there: true, deleting: m.Deleting, uid: m.UID}
}

// holds asks the target whether it holds one of what is wanted.
func (c *Checks) holds(ctx context.Context, w want) (bool, error) {
	if err := c.fetch(ctx, w.keys()); err != nil {
		return false, err
	}
	return c.there(w), nil
}

// there tells whether the target holds one of what is wanted, which was fetched.
func (c *Checks) there(w want) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, one := range w.any {
		h := c.heads[string(one.key)] // of nil there is none
		if !h.there && one.orNone {
			return true
		}
		if h.there && !h.deleting && (one.uid == "" || h.uid == "" || h.uid == one.uid) {
			return true
		}
	}
	return false
}
