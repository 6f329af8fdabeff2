package ferry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/replay"
)

// A roomy view tells how much more its database may hold.
type roomy interface {
	// Room is less than 0 if the quota is not known.
	Room(ctx context.Context) (free, used int64, err error)
}

// What a restore takes of a database, beside keys and values: bytes for each key, and
// tenths of the sum, since pages are not full.
const (
	keyOverhead  = 128
	pageOverhead = 13
)

// defaultQuota is etcd's, in bytes (server/storage/quota.go: DefaultQuotaBytes).
const defaultQuota = 2 << 30

// room refuses what the target's quota leaves no room for, before anything is written: one
// that is used up stops the whole cluster. Where the quota is not known, it is what the
// caller says, or else a doubt if it may be etcd's default.
func (r Restore) room(ctx context.Context, p *Planned) error {
	view, ok := p.target.(roomy)
	keys := p.Counts.Changes()
	if !ok || keys == 0 {
		return nil
	}
	free, used, err := view.Room(ctx)
	if err != nil {
		return err
	}
	need := (p.Bytes + keys*keyOverhead) * pageOverhead / 10
	if r.Quota > 0 {
		free = max(0, r.Quota-used)
	}
	switch {
	case free >= 0 && need > free:
		return fmt.Errorf("the restore needs about %d MiB of the database, and its quota leaves %d MiB%.0w", need>>20+1, free>>20, etcdwalk.ErrNoSpace)
	case free < 0 && used+need > defaultQuota:
		p.Doubts = append(p.Doubts, fmt.Sprintf("the database will hold about %d MiB, more than etcd's default quota, and this etcd does not tell its own; --target-quota says it", (used+need)>>20))
	}
	return nil
}

// mostProbes bounds how many writes are tried out.
const mostProbes = 1024

// probes are the first keys that a plan would write of each kind in each namespace.
type probes struct {
	p    *Planned
	seen map[string]bool
	keys [][]byte
}

func newProbes(p *Planned) *probes { return &probes{p: p, seen: map[string]bool{}} }

// add takes what would become of a key.
func (s *probes) add(line replay.Line) {
	if !line.Fate.Changes() || len(s.keys) == mostProbes {
		return
	}
	class := s.p.layout.Classify(line.Key)
	if at := class.Prefix + class.Kind + "/" + class.Namespace; !s.seen[at] {
		s.seen[at] = true
		s.keys = append(s.keys, bytes.Clone(line.Key))
	}
}

// try makes writes that cannot come true, since no key has their revision, and refuses what
// the target does not permit. They tell nothing to the target but the keys.
func (s *probes) try(ctx context.Context, target etcdwalk.Target) error {
	if len(s.keys) == 0 {
		return nil
	}
	writes := make([]etcdwalk.Write, len(s.keys))
	for i, key := range s.keys {
		writes[i] = etcdwalk.Write{Key: key, Value: []byte{}, Seen: math.MaxInt64}
	}
	for i, result := range target.Apply(ctx, writes) {
		switch {
		case result.State == etcdwalk.WriteApplied:
			return fmt.Errorf("a write that was only to be tried came true, under key %q%.0w", s.keys[i], etcdwalk.ErrInvariant)
		case errors.Is(result.Err, etcdwalk.ErrDenied):
			return fmt.Errorf("try whether key %q may be written: %w", s.keys[i], result.Err)
		}
	}
	return nil // what else is wrong now, the apply will meet, and may wait for
}
