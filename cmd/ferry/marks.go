package ferry

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/kube/need"
	"github.com/kubeferry/kubeferry/etcdwalk/replay"
)

const (
	// markTries is how often node ports are marked before it is left to the API servers,
	// which write the same key for each Service of theirs.
	markTries = 5
	// markTime is how long that may take, also when a restore was interrupted: what its
	// Services have must not be given to others.
	markTime = 10 * time.Second
)

// marks mark the node ports of Services as taken, once an apply has written these, as their
// API server would have done it: by a read, and a write guarded by the revision read.
// What cannot be marked is left to the API servers, which look for such ports every few minutes.
type marks struct {
	target etcdwalk.Target
	p      *Planned
	due    map[string][]int // by prefix: of Services that were written since the last mark
}

// unmarked are some node ports that were not marked as taken under a key, and why.
type unmarked struct {
	Ports []int
	Key   string
	Err   error
}

// add takes what became of a key. Ports are marked when the Services that are written
// together are through.
func (m *marks) add(ctx context.Context, line replay.Line) {
	ports, some := m.p.allotted.ports[string(line.Key)]
	switch {
	case some && line.Fate.Changes():
		prefix := m.p.layout.Classify(line.Key).Prefix
		m.due[prefix] = append(m.due[prefix], ports...)
	case len(m.due) > 0 && m.p.layout.Classify(line.Key).Kind != "services":
		m.mark(ctx)
	}
}

// mark marks what is due.
func (m *marks) mark(ctx context.Context) {
	if len(m.due) == 0 {
		return
	}
	ctx, done := context.WithTimeout(context.WithoutCancel(ctx), markTime)
	defer done()
	for prefix, ports := range m.due {
		key := need.PortsKey(prefix)
		if err := m.take(ctx, key, ports); err != nil {
			m.p.Unmarked = append(m.p.Unmarked, unmarked{ascending(ports), quoted(key), err})
		}
	}
	clear(m.due)
}

// take marks ports under a key.
func (m *marks) take(ctx context.Context, key []byte, ports []int) error {
	err := errors.New("others kept writing it")
	for range markTries {
		found, errFound := m.target.Lookup(ctx, [][]byte{key})
		if errFound != nil {
			return errFound
		}
		have := found[0]
		if have == nil {
			return nil // no API server has begun here: it will look for all ports first
		}
		value, errEdit := m.p.query.Opener().TakePorts(ctx, key, have.Value, ports...)
		if errEdit != nil {
			return errEdit
		}
		if bytes.Equal(value, have.Value) {
			return nil
		}
		switch result := m.target.Apply(ctx, []etcdwalk.Write{{Key: key, Value: value, Lease: have.Lease, Seen: have.ModRevision}})[0]; result.State {
		case etcdwalk.WriteApplied:
			return nil
		case etcdwalk.WriteFailed, etcdwalk.WriteUnknown: // what came of it the next read tells
			err = result.Err
		}
	}
	return err
}

// ascending are ports, each once.
func ascending(ports []int) []int {
	slices.Sort(ports)
	return slices.Compact(ports)
}
