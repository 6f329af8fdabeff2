package ferry

import (
	"bytes"
	"context"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
	"github.com/kubeferry/kubeferry/etcdwalk/kube/object"
)

// definitions are those of custom resources, for who comes to their objects kind by kind. The
// first are read one by one; who wants more than a few of them gets all in one walk, since a
// cluster may be far away. Of what is read so, values are kept and no trees.
type definitions struct {
	opener *object.Opener

	key    []byte // of the last one
	last   *object.Object
	asked  int                          // for how many
	stored map[string]map[string][]byte // values by prefix, of which all were read
}

// oneByOne is how many definitions are read each by itself.
const oneByOne = 8

// of is the definition of a class's kind. That there is none, as in an archive of a part, is no
// error: it only says how objects are shown.
func (d *definitions) of(ctx context.Context, view etcdwalk.View, class etcdwalk.Class) *object.Object {
	key := kube.DefinitionKey(class)
	if key == nil {
		return nil
	}
	if bytes.Equal(key, d.key) {
		return d.last
	}
	d.key, d.last = key, nil
	d.asked++
	if o, err := d.opener.Decode(ctx, key, d.value(ctx, view, key)); err == nil {
		o.Tree() // which several will look at, at once
		d.last = o
	}
	return d.last
}

// value is what is stored under a key; empty if that cannot be read, or is not there.
func (d *definitions) value(ctx context.Context, view etcdwalk.View, key []byte) []byte {
	dir := string(key[:bytes.LastIndexByte(key, '/')+1])
	if all, read := d.stored[dir]; read {
		return all[string(key)]
	}
	sought, found := etcdwalk.Key(key), map[string][]byte{}
	if d.asked > oneByOne {
		sought = etcdwalk.Prefix(dir)
		d.stored[dir] = found
	}
	for e, err := range view.Walk(ctx, etcdwalk.Selection{Ranges: etcdwalk.Ranges{sought}}) {
		if err != nil {
			break
		}
		found[string(e.Key)] = bytes.Clone(e.Value)
	}
	return found[string(key)]
}
