package kubetest

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"
	"k8s.io/client-go/kubernetes/scheme"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/kube/object"
)

// registry is the prefix of what is looked after.
const registry = "/registry/"

// An item is an object as the store holds it.
type item struct {
	key      string
	class    etcdwalk.Class
	revision int64
	*object.Object
}

// at is what lies at a path; nil if there is nothing.
func (i *item) at(path ...string) any { return at(i.Tree(), path...) }

func at(tree map[string]any, path ...string) any {
	for _, name := range path[:len(path)-1] {
		tree, _ = tree[name].(map[string]any)
	}
	return tree[path[len(path)-1]]
}

// text is what lies at a path, if it is one.
func (i *item) text(path ...string) string {
	text, _ := i.at(path...).(string)
	return text
}

// number is what lies at a path, or another if there is none.
func (i *item) number(or int, path ...string) int {
	if n, is := i.at(path...).(int64); is {
		return int(n)
	}
	return or
}

// controller is the UID of who controls an object; empty if nobody does.
func (i *item) controller() string {
	for _, o := range i.Meta.Owners {
		if o.Controller {
			return o.UID
		}
	}
	return ""
}

// changed is a copy of the tree, to be changed and put.
func (i *item) changed() (tree, about map[string]any) {
	tree = runtime.DeepCopyJSON(i.Tree())
	about, _ = tree["metadata"].(map[string]any)
	return tree, about
}

// reference is how what an object controls refers to it.
func (i *item) reference() map[string]any {
	return map[string]any{"apiVersion": i.Meta.APIVersion, "kind": i.Meta.Kind, "name": i.Meta.Name, "uid": i.Meta.UID, "controller": true, "blockOwnerDeletion": true}
}

// state is the store as a controller sees it.
type state struct {
	revision int64
	all      []*item
	byKey    map[string]*item
	byUID    map[string]*item
	ofKind   map[string][]*item
}

// look reads the store, if it has changed. What cannot be read is nobody's.
func (c *Controllers) look(ctx context.Context) (*state, error) {
	ranges := etcdwalk.Ranges{etcdwalk.Prefix(registry)}
	view, err := c.source.Open(ctx, etcdwalk.Newest, ranges)
	if err != nil {
		return nil, err
	}
	revision := view.Info().Revision
	if c.seen != nil && c.seen.revision == revision {
		return c.seen, nil
	}
	was := &state{}
	if c.seen != nil {
		was = c.seen
	}
	s := &state{revision: revision, byKey: map[string]*item{}, byUID: map[string]*item{}, ofKind: map[string][]*item{}}
	for e, err := range view.Walk(ctx, etcdwalk.Selection{Ranges: ranges}) {
		if err != nil {
			return nil, err
		}
		one := was.byKey[string(e.Key)]
		if one == nil || one.revision != e.ModRevision {
			o, err := object.Decode(e.Value)
			if err != nil {
				continue
			}
			one = &item{string(e.Key), c.layout.Classify(e.Key), e.ModRevision, o}
		}
		s.all, s.byKey[one.key], s.byUID[one.Meta.UID] = append(s.all, one), one, one
		s.ofKind[one.class.Kind] = append(s.ofKind[one.class.Kind], one)
	}
	c.seen = s
	return s, nil
}

// alive tells whether something can be made in a namespace.
func (s *state) alive(namespace string) bool {
	ns := s.byKey[registry+"namespaces/"+namespace]
	return namespace == "" || ns != nil && !ns.Meta.Deleting
}

// write makes a write; that another was faster is no error.
func (c *Controllers) write(ctx context.Context, who string, w etcdwalk.Write) error {
	r := c.target.Apply(ctx, []etcdwalk.Write{w})[0]
	if r.State == etcdwalk.WriteApplied {
		c.Acts[who]++
	}
	if r.Err != nil {
		return fmt.Errorf("%s: key %q: %w", who, w.Key, r.Err)
	}
	return nil
}

// put writes an object as the API server stores it: of the kinds that are compiled in all
// but two are in protobuf. What was there keeps the encoding that it has.
func (c *Controllers) put(ctx context.Context, who string, was *item, tree map[string]any) error {
	value, err := encode(tree, was.Encoding)
	if err != nil {
		return fmt.Errorf("%s: key %q: %w", who, was.key, err)
	}
	return c.write(ctx, who, etcdwalk.Write{Key: []byte(was.key), Value: value, Seen: was.revision})
}

func encode(tree map[string]any, encoding object.Encoding) ([]byte, error) {
	text, err := json.Marshal(tree)
	if err != nil || encoding != object.Protobuf {
		return append(text, '\n'), err
	}
	version, _ := tree["apiVersion"].(string)
	kind, _ := tree["kind"].(string)
	typed, err := scheme.Scheme.New(schema.FromAPIVersionAndKind(version, kind))
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(text, typed); err != nil {
		return nil, err
	}
	return runtime.Encode(protobuf.NewSerializer(scheme.Scheme, scheme.Scheme), typed)
}

// A thing is what a controller makes.
type thing struct {
	apiVersion, kind, key string
	owner                 *item          // who controls it; may be nil
	labels                map[string]any // may be nil
	more                  map[string]any // members beside the metadata
}

// create makes an object with a UID of its own, unless its namespace is not there or on its
// way out, or it is there already.
func (c *Controllers) create(ctx context.Context, who string, s *state, t thing) error {
	class := c.layout.Classify([]byte(t.key))
	if !s.alive(class.Namespace) || s.byKey[t.key] != nil {
		return nil
	}
	about := map[string]any{"name": class.Name, "uid": c.another()}
	if class.Namespace != "" {
		about["namespace"] = class.Namespace
	}
	if t.owner != nil {
		about["ownerReferences"] = []any{t.owner.reference()}
	}
	if t.labels != nil {
		about["labels"] = t.labels
	}
	tree := map[string]any{"apiVersion": t.apiVersion, "kind": t.kind, "metadata": about}
	for name, member := range t.more {
		tree[name] = member
	}
	encoding := object.Protobuf
	if strings.HasPrefix(t.apiVersion, "apiregistration.k8s.io/") {
		encoding = object.JSON
	}
	return c.put(ctx, who, &item{key: t.key, Object: &object.Object{Encoding: encoding}}, tree)
}

// another is a name, or a UID, that nothing has.
func (c *Controllers) another() string {
	c.made++
	return fmt.Sprintf("made-%d", c.made)
}
