package ferry

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"fmt"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
	"github.com/kubeferry/kubeferry/etcdwalk/replay/journal"
)

// bind gives a job the file that binds its apply to its plan.
func (r Restore) bind(ctx context.Context, p *Planned) (err error) {
	key := make([]byte, sha256.Size)
	if _, err := rand.Read(key); err != nil {
		return fmt.Errorf("draw the key of the plan's digests: %w", err)
	}
	p.job.Digest = digest(ctx, p.query, key)
	p.job.File, err = journal.Temporary(r.Spool)
	return err
}

// Close lets go of the file of the plan, if there is one.
func (p *Planned) Close() error {
	if p == nil || p.job.File == nil {
		return nil
	}
	return p.job.File.Close()
}

// digest makes digests of the substance of objects, and of what else they hold of all of it.
// A plain hash of a short secret could be guessed.
func digest(ctx context.Context, q kube.Query, key []byte) func(etcdwalk.Entry) journal.Digest {
	return func(e etcdwalk.Entry) (d journal.Digest) {
		mac := hmac.New(sha256.New, key)
		q.Opener().WriteSubstance(ctx, mac, e.Key, e.Value)
		if e.Lease != 0 {
			mac.Write([]byte("under a lease"))
		}
		copy(d[:], mac.Sum(nil))
		return d
	}
}
