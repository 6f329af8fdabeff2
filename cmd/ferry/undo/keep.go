package undo

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/kubeferry/kubeferry/archive"
	"github.com/kubeferry/kubeferry/crypt"
	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
	"github.com/kubeferry/kubeferry/etcdwalk/replay"
	"github.com/kubeferry/kubeferry/etcdwalk/replay/journal"
	"github.com/kubeferry/kubeferry/remote"
)

const (
	planEnding, archiveEnding, doneEnding = ".plan", ".zip.age", ".done"
	// stamp begins the names, so that they are in the order of the changes.
	stamp = "20060102T150405.000000Z"
	// kept is how many changes can be taken back.
	kept = 10
	// lookKeys is how many values are read together.
	lookKeys = 32
)

// sealKey is the key in the archive under which the key of the plan's seal lies. API servers
// write none like it.
const sealKey = "kubeferry/undo/seal"

// A Keeper keeps what a change takes from a cluster.
type Keeper struct {
	Store      remote.Store
	Recipients []crypt.Recipient // at least one
	Tool, Host string
	Now        func() time.Time
}

// A Change is what is about to be made of a cluster.
type Change struct {
	Plan   *journal.File // that has ended
	Seal   []byte        // its key
	Target etcdwalk.Target
	View   etcdwalk.View // of the target: which leases its keys have
	Info   etcdwalk.Info // of the target
	Layout *kube.Layout
	// Rest is the change that it goes on with, and that covers it; nil: none.
	Rest *Unended
}

// Keep saves what a change is about to take away. Nothing has a name by which it could be taken
// back before all of it is durable.
func (k Keeper) Keep(ctx context.Context, c Change) (*Record, error) {
	r := &Record{keeper: k, rest: c.Rest}
	var err error
	if c.Rest != nil {
		r.Name = c.Rest.Name
	} else if r.Name, err = k.keep(ctx, c); err != nil {
		return nil, fmt.Errorf("keep what is about to be taken away (--no-undo keeps nothing): %w", err)
	}
	r.done, err = journal.Temporary("")
	if err == nil {
		err = r.done.Begin(nil, c.Seal)
	}
	return r, err
}

func (k Keeper) keep(ctx context.Context, c Change) (string, error) {
	random := make([]byte, 4)
	_, _ = rand.Read(random) // which never fails
	name := k.Now().UTC().Format(stamp) + "-" + hex.EncodeToString(random)
	keys, err := taken(c.Plan)
	if err != nil {
		return "", err
	}
	err = k.put(ctx, name+archiveEnding, func(w io.Writer) error {
		sealed, err := crypt.Encrypt(w, k.Recipients...)
		if err != nil {
			return err
		}
		if err := k.write(ctx, sealed, c, keys); err != nil {
			return err
		}
		return sealed.Close()
	})
	if err != nil {
		return "", err
	}
	// Only what has a plan can be taken back: so this comes last.
	return name, k.put(ctx, name+planEnding, func(w io.Writer) error { return c.Plan.CopyTo(w) })
}

// taken are the keys that a plan replaces or deletes, ascending. They are all in memory.
func taken(plan *journal.File) ([][]byte, error) {
	var keys [][]byte
	for line, err := range plan.Lines() {
		if err != nil {
			return nil, err
		}
		if fate := replay.Fate(line.Fate); line.Revision > 0 && fate.Changes() {
			keys = append(keys, line.Key)
		}
	}
	slices.SortFunc(keys, bytes.Compare)
	return keys, nil
}

// put publishes what write writes under a name.
func (k Keeper) put(ctx context.Context, name string, write func(io.Writer) error) (err error) {
	upload, err := k.Store.Create(ctx, name)
	if err != nil {
		return fmt.Errorf("begin %s: %w", name, err)
	}
	defer func() { err = errors.Join(err, upload.Abort()) }()
	sum := remote.NewSummer()
	if err := write(io.MultiWriter(upload, sum)); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	if err := upload.Commit(sum.Digest()); err != nil {
		return fmt.Errorf("publish %s: %w", name, err)
	}
	return nil
}

// write writes the archive: what the keys hold now, and the seal's key.
func (k Keeper) write(ctx context.Context, w io.Writer, c Change, keys [][]byte) error {
	out, err := archive.NewWriter(w, archive.Header{
		Cluster: "undo", Sources: []etcdwalk.Info{c.Info}, ToolVersion: k.Tool, Host: k.Host, Created: k.Now().UTC(),
		Selection: archive.Selection{Text: "what a restore was about to take away"},
	}, c.Layout.Classify)
	if err != nil {
		return err
	}
	at, _ := slices.BinarySearchFunc(keys, []byte(sealKey), bytes.Compare)
	if err := k.copy(ctx, out, c, keys[:at]); err != nil {
		return err
	}
	if err := out.Put(ctx, etcdwalk.Entry{Key: []byte(sealKey), Value: c.Seal, CreateRevision: 1, ModRevision: 1, Version: 1}); err != nil {
		return err
	}
	if err := k.copy(ctx, out, c, keys[at:]); err != nil {
		return err
	}
	leases, err := c.View.Leases(ctx, out.LeaseIDs())
	if err != nil {
		return err
	}
	_, err = out.Close(archive.Ending{Outcome: etcdwalk.Outcome{Consistent: true}, Leases: leases, TakenAt: k.Now().UTC()})
	return err
}

// copy copies what keys hold. The writes of the change are guarded: what is not there any more
// as the plan saw it, but for its status, will not be touched.
func (k Keeper) copy(ctx context.Context, out etcdwalk.Sink, c Change, keys [][]byte) error {
	for some := range slices.Chunk(keys, lookKeys) {
		found, err := c.Target.Lookup(ctx, some)
		if err != nil {
			return fmt.Errorf("read %d keys from %q on: %w", len(some), some[0], err)
		}
		for _, e := range found {
			if e == nil {
				continue
			}
			if err := out.Put(ctx, *e); err != nil {
				return err
			}
		}
	}
	return nil
}

// A Kept is a change that can be taken back.
type Kept struct {
	Name string `json:"name"`
	Header
	// Ended: what it has touched is known. Else it was interrupted, or is under way.
	Ended bool `json:"ended"`
	// Damaged is what is wrong with its plan; empty: nothing that shows. Of what is damaged
	// nobody knows the cluster.
	Damaged string `json:"damaged,omitempty"`
}

// List tells which changes can be taken back, the newest first. What their plans say of
// themselves is not proven.
func List(ctx context.Context, store remote.Store) ([]Kept, error) {
	names, ended, err := names(ctx, store)
	if err != nil {
		return nil, err
	}
	all := make([]Kept, 0, len(names))
	for _, name := range names {
		plan, err := openPlan(ctx, store, name)
		if errors.Is(err, fs.ErrNotExist) {
			continue // another run has forgotten it meanwhile
		}
		if err != nil {
			return all, err
		}
		one := Kept{Name: name, Ended: ended[name]}
		one.Header, err = headerOf(plan, name)
		if errors.Is(err, journal.ErrDamaged) {
			one.Damaged, err = err.Error(), nil
		}
		if err := closing(plan, err); err != nil {
			return all, err
		}
		all = append(all, one)
	}
	return all, nil
}

// openPlan opens the plan of a change.
func openPlan(ctx context.Context, store remote.Store, name string) (*journal.File, error) {
	plan, err := openFile(ctx, store, name+planEnding)
	if err != nil {
		return nil, fmt.Errorf("open the plan of %s (kubeferry undo --list shows what can be taken back): %w", name, err)
	}
	return plan, nil
}

// openDone opens what tells which keys a change has touched; nil if it has no end.
func openDone(ctx context.Context, store remote.Store, name string) (*journal.File, error) {
	done, err := openFile(ctx, store, name+doneEnding)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("find out what %s has touched: %w", name, err)
	}
	return done, nil
}

// openFile copies a file into one without a name.
func openFile(ctx context.Context, store remote.Store, name string) (file *journal.File, err error) {
	kept, err := store.Open(ctx, name)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, kept.Close()) }()
	return journal.Copy("", name, io.NewSectionReader(kept, 0, kept.Size()))
}

// closing closes a file, whatever went wrong before.
func closing(file *journal.File, err error) error { return errors.Join(err, file.Close()) }

func headerOf(plan *journal.File, name string) (h Header, err error) {
	text, err := plan.Header()
	if err != nil {
		return h, fmt.Errorf("look at the plan of %s: %w", name, err)
	}
	if err := json.Unmarshal(text, &h); err != nil {
		return h, fmt.Errorf("the header of the plan of %s is none: %w%.0w", name, err, journal.ErrDamaged)
	}
	return h, nil
}

// names are those of the changes that can be taken back, the newest first, and which of them
// have come to their end.
func names(ctx context.Context, store remote.Store) (all []string, ended map[string]bool, _ error) {
	ended = map[string]bool{}
	for info, err := range store.List(ctx, "") {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil, nil
		}
		if err != nil {
			return nil, nil, fmt.Errorf("list what can be taken back: %w", err)
		}
		if name, is := strings.CutSuffix(info.Name, doneEnding); is {
			ended[name] = true
		}
		name, is := strings.CutSuffix(info.Name, planEnding)
		if _, err := time.Parse(stamp, name[:min(len(name), len(stamp))]); is && err == nil {
			all = append(all, name)
		}
	}
	slices.Reverse(all)
	return all, ended, nil
}

// expire removes the oldest changes beyond ten: first their plans, without which nothing
// shows them; and what is left of one that was interrupted before it had a plan.
func (k Keeper) expire(ctx context.Context) error {
	if err := k.tidy(ctx); err != nil {
		return err
	}
	all, _, err := names(ctx, k.Store)
	if err != nil {
		return err
	}
	for _, old := range all[min(kept, len(all)):] {
		if err := k.forget(ctx, old); err != nil {
			return fmt.Errorf("%s is older than %d others: %w", old, kept, err)
		}
	}
	return nil
}

// unkept is for how long an archive without a plan may be of a change that is being kept.
const unkept = 24 * time.Hour

// tidy removes the archives that are without a plan for long.
func (k Keeper) tidy(ctx context.Context) error {
	all, _, err := names(ctx, k.Store)
	if err != nil {
		return err
	}
	var left []string
	for info, err := range k.Store.List(ctx, "") {
		if err != nil {
			return fmt.Errorf("list what is left of changes: %w", err)
		}
		name, is := strings.CutSuffix(info.Name, archiveEnding)
		begun, err := time.Parse(stamp, name[:min(len(name), len(stamp))])
		if is && err == nil && k.Now().Sub(begun) > unkept && !slices.Contains(all, name) {
			left = append(left, name)
		}
	}
	for _, name := range left {
		if err := k.forget(ctx, name); err != nil {
			return err
		}
	}
	return nil
}

// forget removes a change.
func (k Keeper) forget(ctx context.Context, name string) error {
	for _, ending := range []string{planEnding, archiveEnding, doneEnding} {
		if err := k.Store.Remove(ctx, name+ending); err != nil && !errors.Is(err, fs.ErrNotExist) { // another was faster, or there is none
			return fmt.Errorf("remove %s: %w", name+ending, err)
		}
	}
	return nil
}
