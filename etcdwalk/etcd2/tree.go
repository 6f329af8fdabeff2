package etcd2

import (
	"bytes"
	"slices"
	"strings"

	client "go.etcd.io/etcd/client/v2"

	"github.com/kubeferry/kubeferry/etcdwalk"
)

// keyOf is the key of a node, and the beginning of the keys below it if it is a
// directory. Answers write the root as nothing.
func keyOf(n *client.Node) string {
	if n.Dir {
		return strings.TrimSuffix(n.Key, "/") + "/"
	}
	return n.Key
}

// mortal tells whether a node goes by itself.
func mortal(n *client.Node) bool { return n.Expiration != nil || n.TTL > 0 }

// entryOf is a node as an entry.
func entryOf(n *client.Node) etcdwalk.Entry {
	e := etcdwalk.Entry{
		Key: []byte(keyOf(n)), Value: []byte(n.Value),
		CreateRevision: int64(n.CreatedIndex), ModRevision: int64(n.ModifiedIndex),
	}
	if mortal(n) {
		e.Lease = int64(n.ModifiedIndex)
	}
	return e
}

// ordered are the children of a directory in the order of keys, which is not the
// tree's: "a/b" comes before "a-b", since a directory's name ends in a slash.
func ordered(n *client.Node) []*client.Node {
	slices.SortFunc(n.Nodes, func(a, b *client.Node) int { return strings.Compare(keyOf(a), keyOf(b)) })
	return n.Nodes
}

// kept tells whether a node is a key: a leaf, or a directory that is empty or has a
// TTL. The root is always there.
func kept(n *client.Node) bool {
	return !n.Dir || n.Key != "" && n.Key != "/" && (len(n.Nodes) == 0 || mortal(n))
}

// visit tells of a node that was read with all that is below it, of what of it is a
// key, in the order of keys. It ends early when tell says so.
func visit(n *client.Node, tell func(*client.Node) bool) bool {
	if kept(n) {
		if !tell(n) {
			return false
		}
	}
	for _, child := range ordered(n) {
		if !visit(child, tell) {
			return false
		}
	}
	return true
}

// meets tells whether a range holds keys at or below a node.
func meets(r etcdwalk.Range, n *client.Node) bool {
	key := keyOf(n)
	if !n.Dir {
		return r.Contains([]byte(key))
	}
	return len(etcdwalk.Ranges{r}.Intersect(etcdwalk.Ranges{etcdwalk.Prefix(key)})) > 0
}

// folder is the deepest directory that all keys of a range lie in, with its
// slash.
func folder(r etcdwalk.Range) string {
	alike := r.Start
	if !bytes.Equal(etcdwalk.Prefix(string(r.Start)).End, r.End) {
		alike = alike[:etcdwalk.Alike(alike, r.End)]
	}
	return string(alike[:bytes.LastIndexByte(alike, '/')+1])
}
