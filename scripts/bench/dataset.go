package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/kubeferry/kubeferry/scripts/bench/keyspace"
)

// A dataset is a keyspace in the database of one version of etcd.
type dataset struct {
	Name        string           `json:"name"`    // s, h, m or o
	Version     string           `json:"version"` // of the server
	Keys        int              `json:"keys"`
	Rounds      int              `json:"rounds"`      // how often each key was put
	Fingerprint uint64           `json:"fingerprint"` // of what the generator makes
	Bytes       map[string]int64 `json:"bytes"`       // of keys and values, by resource

	*server `json:"-"`
}

// total is the size of all keys and values.
func (d *dataset) total() int64 {
	var sum int64
	for _, n := range d.Bytes {
		sum += n
	}
	return sum
}

// open starts the server of a dataset, which is filled if it is not there yet.
// One dataset is open at a time: an idle server, too, takes a little of the
// machine.
func (b *bench) open(ctx context.Context, name, version string) (*dataset, error) {
	if b.current != nil && b.current.Name == name && b.current.Version == version {
		return b.current, nil
	}
	b.close()
	d := &dataset{Name: name, Version: version, Keys: b.settings.small, Rounds: 1}
	switch name {
	case "h":
		d.Rounds = historyRounds
	case "m":
		d.Keys = b.settings.large
	}
	dir := filepath.Join(b.dir, name+"-"+version)
	if err := b.ensure(ctx, d, dir); err != nil {
		return nil, fmt.Errorf("fill %s on etcd %s: %w", name, version, err)
	}
	s, err := start(ctx, b.programs.etcd[version], dir, d.flags()...)
	if err != nil {
		return nil, err
	}
	d.server = s
	b.current = d
	return d, nil
}

// close stops the server of the open dataset, if there is one.
func (b *bench) close() {
	if b.current != nil {
		b.current.stop()
		b.current = nil
	}
}

// ensure fills the folder of a dataset, unless one of this fingerprint is there.
func (b *bench) ensure(ctx context.Context, d *dataset, dir string) error {
	k, err := keyspace.New(d.Keys, b.settings.seed)
	if err != nil {
		return err
	}
	if d.Fingerprint, err = fingerprint(k, d.Rounds); err != nil {
		return err
	}
	about := filepath.Join(dir, "dataset.json")
	var there dataset
	text, err := os.ReadFile(about)
	if err == nil {
		err = json.Unmarshal(text, &there)
	}
	if err == nil && there.Fingerprint == d.Fingerprint {
		*d = there
		return nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	say("filling %s on etcd %s: %d keys, put %d times", d.Name, d.Version, d.Keys, d.Rounds)
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	s, err := start(ctx, b.programs.etcd[d.Version], dir, d.fillFlags()...)
	if err != nil {
		return err
	}
	defer s.stop()
	if d.Bytes, err = d.fill(ctx, k, s); err != nil {
		return err
	}
	if text, err = json.Marshal(d); err != nil {
		return err
	}
	return os.WriteFile(about, text, 0o600)
}

// flags are those that the server of a dataset needs.
func (d *dataset) flags() []string {
	if d.Name == "o" {
		return []string{"--enable-v2"}
	}
	return nil
}

// fillFlags are those that it needs while it is filled.
func (d *dataset) fillFlags() []string {
	if d.Name == "o" { // a snapshot of raft's log would hold the whole tree
		return d.flags()
	}
	// Frequent snapshots of raft's log, of which little is kept, so that a
	// restarted server does not begin by reading hundreds of megabytes of it.
	return append(d.flags(), "--snapshot-count=100", "--snapshot-catchup-entries=10")
}

func (d *dataset) fill(ctx context.Context, k *keyspace.Keyspace, s *server) (map[string]int64, error) {
	if d.Name == "o" {
		return fillOld(ctx, k, s)
	}
	client, err := s.client()
	if err != nil {
		return nil, err
	}
	defer client.Close()
	return fill(ctx, k, client, d.Rounds)
}

// fingerprint tells keyspaces apart by every hundredth object.
func fingerprint(k *keyspace.Keyspace, rounds int) (uint64, error) {
	h := fnv.New64a()
	fmt.Fprint(h, k.Len(), rounds)
	for i := 0; i < k.Len(); i += 100 {
		o, err := k.At(i, rounds-1)
		if err != nil {
			return 0, err
		}
		fmt.Fprint(h, o.Key, o.Lease)
		h.Write(o.Value)
	}
	return h.Sum64(), nil
}
