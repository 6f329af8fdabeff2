package undo

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/kube/object"
	"github.com/kubeferry/kubeferry/etcdwalk/replay/journal"
)

// Digest makes the digests of a plan: of the substance of objects, and of what else they hold
// of all of it. A plain hash of a short secret could be guessed.
func Digest(ctx context.Context, opener *object.Opener, key []byte) func(etcdwalk.Entry) journal.Digest {
	return func(e etcdwalk.Entry) (d journal.Digest) {
		mac := hmac.New(sha256.New, key)
		opener.WriteSubstance(ctx, mac, e.Key, e.Value)
		if e.Lease != 0 {
			mac.Write([]byte("under a lease"))
		}
		copy(d[:], mac.Sum(nil))
		return d
	}
}
