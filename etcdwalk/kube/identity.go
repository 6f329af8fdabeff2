package kube

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/kubeferry/kubeferry/etcdwalk"
)

// identityPath is the key whose object identifies a cluster, below a prefix:
// every kube-apiserver makes this namespace
// (kubernetes: pkg/controlplane/controller/systemnamespaces).
const identityPath = namespace + "/kube-system"

// maxUID bounds what is taken for a UID, which receipts repeat.
const maxUID = 128

// Identities tells, for each prefix of the layout, which cluster lies under it.
// A value that is there and tells no UID makes an identity that is unreadable,
// whatever the reason: encrypted at rest, of an encoding that is not decoded,
// damaged, or another object's.
func (l *Layout) Identities(ctx context.Context, view etcdwalk.View) ([]etcdwalk.Identity, error) {
	var all []etcdwalk.Identity
	for _, s := range l.spaces {
		found, err := s.identity(ctx, view)
		if err != nil {
			return nil, err
		}
		all = append(all, found)
	}
	return all, nil
}

func (s *space) identity(ctx context.Context, view etcdwalk.View) (etcdwalk.Identity, error) {
	key := etcdwalk.Key(s.identityKey())
	for e, err := range view.Walk(ctx, etcdwalk.Selection{Ranges: etcdwalk.Ranges{key}}) {
		if err != nil {
			return etcdwalk.Identity{}, fmt.Errorf("reading the cluster's identity from %q: %w", key.Start, err)
		}
		meta, err := MetaOf(e.Value)
		if err == nil && meta.Name == "kube-system" && isUID(meta.UID) {
			return etcdwalk.Identity{Prefix: s.prefix, State: etcdwalk.IdentityUID, UID: meta.UID}, nil
		}
		digest := sha256.Sum256(e.Value)
		return etcdwalk.Identity{
			Prefix: s.prefix, State: etcdwalk.IdentityUnreadable,
			Encoding: string(EncodingOf(e.Value)), SHA256: hex.EncodeToString(digest[:]),
		}, nil
	}
	return etcdwalk.Identity{Prefix: s.prefix, State: etcdwalk.IdentityNone}, nil
}

func (s *space) identityKey() []byte { return []byte(s.prefix + identityPath) }

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

// Prefixes are the prefixes under which the layout knows Kubernetes' objects.
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
