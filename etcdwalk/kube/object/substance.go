package object

import (
	"maps"
	"reflect"
)

// Substance is the tree without what servers and controllers write of their own: the
// status, the managedFields, and who holds a Lease until when. What is returned shares
// its inner parts with the tree.
func (o *Object) Substance() map[string]any {
	tree := maps.Clone(o.Tree())
	delete(tree, "status")
	without(tree, "metadata", "managedFields")
	if o.Meta.Kind == "Lease" {
		without(tree, "spec", "renewTime", "holderIdentity")
	}
	return tree
}

// without takes names out of a member, of which it makes a copy.
func without(tree map[string]any, member string, names ...string) {
	inner, ok := tree[member].(map[string]any)
	if !ok {
		return
	}
	inner = maps.Clone(inner)
	for _, name := range names {
		delete(inner, name)
	}
	tree[member] = inner
}

// Equal tells whether two objects are of one substance. Objects of which something is
// not shown are equal to none.
func Equal(a, b *Object) bool {
	one, other := a.Substance(), b.Substance()
	return len(a.NotShown)+len(b.NotShown) == 0 && reflect.DeepEqual(one, other)
}
