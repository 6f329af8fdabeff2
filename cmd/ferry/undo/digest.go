package undo

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"hash"
	"sync"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/kube/object"
	"github.com/kubeferry/kubeferry/etcdwalk/replay/journal"
)

// Digest makes the digests of a plan: of the substance of objects, and of what else they hold
// of all of it. A plain hash of a short secret could be guessed.
func Digest(ctx context.Context, opener *object.Opener, key []byte) func(etcdwalk.Entry) journal.Digest {
	digesters := sync.Pool{New: func() any { return &digester{mac: hmac.New(sha256.New, key)} }}
	return func(e etcdwalk.Entry) (d journal.Digest) {
		one, _ := digesters.Get().(*digester)
		defer digesters.Put(one)
		one.text.Reset()
		opener.WriteSubstance(ctx, &one.text, e.Key, e.Value)
		if e.Lease != 0 {
			one.text.WriteString("under a lease")
		}
		one.mac.Reset()
		one.mac.Write(one.text.Bytes()) // at once: a member at a time costs several times as much
		copy(d[:], one.mac.Sum(one.sum[:0]))
		return d
	}
}

// A digester makes one digest after the other.
type digester struct {
	mac  hash.Hash
	text bytes.Buffer
	sum  [sha256.Size]byte
}
