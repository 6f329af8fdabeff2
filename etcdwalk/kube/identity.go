package kube

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/kube/object"
)

// identityPath is the key whose object identifies a cluster, below a prefix:
// every kube-apiserver makes this namespace
// (kubernetes: pkg/controlplane/controller/systemnamespaces).
const identityPath = namespace + "/kube-system"

// maxUID bounds what is taken for a UID, which receipts repeat.
const maxUID = 128

// Identities tells which cluster lies under each prefix of the layout, and, where
// that may be read, under the default ones, which say whose the keys of others are:
// the layout's own come first. A value that is there and tells no UID makes an
// identity that is unreadable, whatever the reason: encrypted at rest, of an
// encoding that is not decoded, damaged, or another object's. The opener, which may be
// nil, opens one that is encrypted at rest.
func (l *Layout) Identities(ctx context.Context, view etcdwalk.View, opener *object.Opener) ([]etcdwalk.Identity, error) {
	var all []etcdwalk.Identity
	for _, prefix := range l.Prefixes() {
		found, err := identity(ctx, view, prefix, opener)
		if err != nil {
			return nil, err
		}
		all = append(all, found)
	}
	for _, prefix := range defaultPrefixes() {
		if slices.Contains(l.Prefixes(), prefix) {
			continue
		}
		switch found, err := identity(ctx, view, prefix, opener); {
		case err == nil:
			all = append(all, found)
		case !errors.Is(err, etcdwalk.ErrDenied): // who may read the prefixes only
			return nil, err
		}
	}
	return all, nil
}

// identity tells which cluster lies under a prefix.
func identity(ctx context.Context, view etcdwalk.View, prefix string, opener *object.Opener) (etcdwalk.Identity, error) {
	key := etcdwalk.Key([]byte(prefix + identityPath))
	for e, err := range view.Walk(ctx, etcdwalk.Selection{Ranges: etcdwalk.Ranges{key}}) {
		if err != nil {
			return etcdwalk.Identity{}, fmt.Errorf("read the cluster's identity from %q: %w", key.Start, err)
		}
		value, err := opener.Open(ctx, e.Key, e.Value)
		if err != nil {
			value = e.Value // which tells no UID
		}
		encoding, meta, err := object.Read(value)
		if err == nil && meta.Name == "kube-system" && isUID(meta.UID) {
			return etcdwalk.Identity{Prefix: prefix, State: etcdwalk.IdentityUID, UID: meta.UID}, nil
		}
		id := etcdwalk.Identity{Prefix: prefix, State: etcdwalk.IdentityUnreadable, Encoding: string(encoding)}
		// What can be read, and tells no UID, and the head of a seal with nothing in
		// it, are the same in many clusters: they prove nothing.
		if err != nil && len(e.Value) > len(encoding)+1 {
			digest := sha256.Sum256(e.Value)
			id.SHA256 = hex.EncodeToString(digest[:])
		}
		return id, nil
	}
	return etcdwalk.Identity{Prefix: prefix, State: etcdwalk.IdentityNone}, nil
}

// isUID tells whether s can be the UID of an object: Kubernetes asks for no
// form, but it has to be shown, and compared by eye.
func isUID(s string) bool {
	for _, c := range []byte(s) {
		if c <= ' ' || c > '~' {
			return false
		}
	}
	return s != "" && len(s) <= maxUID
}

// Prefixes are the prefixes under which the layout knows Kubernetes' objects: the
// default ones, and then others by name.
func (l *Layout) Prefixes() []string {
	var prefixes []string
	for _, s := range l.spaces {
		prefixes = append(prefixes, s.prefix)
	}
	return prefixes
}

// CoversIdentity tells whether everything under the layout includes what tells
// the identity of the cluster under that prefix.
func (l *Layout) CoversIdentity(prefix string) bool {
	return l.scope.Contains([]byte(prefix + identityPath))
}
