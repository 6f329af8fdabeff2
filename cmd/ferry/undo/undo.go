package undo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"github.com/kubeferry/kubeferry/archive"
	"github.com/kubeferry/kubeferry/crypt"
	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
	"github.com/kubeferry/kubeferry/etcdwalk/kube/need"
	"github.com/kubeferry/kubeferry/etcdwalk/replay"
	"github.com/kubeferry/kubeferry/etcdwalk/replay/journal"
	"github.com/kubeferry/kubeferry/remote"
)

// Latest is the name of the change that was made last.
const Latest = "latest"

// A Header is what the file of a plan says of the change, as far as an undo wants to know.
type Header struct {
	Made   time.Time           `json:"made"`
	Target []etcdwalk.Identity `json:"target"`
	Etcd   string              `json:"etcd"`             // its cluster id
	Undoes string              `json:"undoes,omitempty"` // the name of the change that it takes back
}

// An Undo takes a change back, in two steps that the caller makes one by one: Plan, Apply.
type Undo struct {
	Store      remote.Store
	Name       string // of the change, or Latest
	Identities []crypt.Identity
	Cluster    etcdwalk.Source
	Target     etcdwalk.Target
	Query      kube.Query // of which only the prefixes count, and what opens values
	Allow      []string   // rules that may be broken, by name
	Keeper     *Keeper    // keeps what the undo takes away; nil: it is not kept
	Locks      string     // folder of this machine's locks; "": nobody is kept out
	Spool      string     // folder for the file of the plan; "": the system's
	QPS        int        // keys written in a second at most; 0: not limited
	Report     func(replay.Line) error
}

// A Planned undo knows what would become of each key.
type Planned struct {
	replay.Plan
	Change string // its name, that is taken back
	Made   time.Time
	Target etcdwalk.Info

	// Kept is the name by which the undo can be taken back; empty: none.
	Kept string

	unlock func() error
	change *change
	job    replay.Job
	still  *still
	view   etcdwalk.View
	layout *kube.Layout
	wrote  map[uint64]bool // keys, by their hashes
}

// Plan looks at the target and decides about each key. A plan, with an error too, is to be
// closed if it is not nil.
func (u Undo) Plan(ctx context.Context) (*Planned, error) {
	p := &Planned{layout: u.Query.Layout()}
	var err error
	if p.view, err = u.Cluster.Open(ctx, etcdwalk.Newest, p.layout.Scope()); err != nil {
		return p, err
	}
	p.Target = p.view.Info()
	ids, err := p.layout.Identities(ctx, p.view, u.Query.Opener())
	if err != nil {
		return p, err
	}
	p.Target.Identify(ids)
	if p.unlock, err = Lock(u.Locks, p.Target); err != nil {
		return p, err
	}
	if p.change, err = u.open(ctx, p.Target); err != nil {
		return p, err
	}
	p.Change, p.Made = p.change.name, p.change.header.Made
	if !p.change.header.Is(p.Target) {
		return p, fmt.Errorf("%s was a change of another cluster%.0w", p.Change, etcdwalk.ErrRefused)
	}
	if p.job, err = u.job(ctx, p); err != nil {
		return p, err
	}
	if p.Plan, err = p.job.Plan(ctx); err != nil {
		return p, err
	}
	return p, p.Plan.Err()
}

// Close lets go of the files.
func (p *Planned) Close() error {
	if p == nil {
		return nil
	}
	var err error
	if p.unlock != nil {
		err = p.unlock()
	}
	if p.job.File != nil {
		err = errors.Join(err, p.job.File.Close())
	}
	if p.change != nil {
		err = errors.Join(err, p.change.close())
	}
	return err
}

// What names the change that is taken back.
func (p *Planned) What() string {
	if undone := p.change.header.Undoes; undone != "" {
		return p.Change + " (an undo of " + undone + ")"
	}
	return p.Change
}

// Name is how kubectl calls what lies under a key.
func (p *Planned) Name(key []byte) string { return p.layout.Name(key) }

// job is what is to be replayed.
func (u Undo) job(ctx context.Context, p *Planned) (job replay.Job, err error) {
	rules, err := kube.NewRules(p.layout, kube.ScenarioSame, u.Allow...)
	if err != nil {
		return job, err
	}
	digest := Digest(ctx, u.Query.Opener(), p.change.seal)
	source, err := p.change.view(digest, p.layout)
	p.change.before = source
	if err != nil {
		return job, err
	}
	header, err := json.Marshal(Header{Made: time.Now().UTC().Truncate(time.Second), Target: p.Target.Identities, Etcd: p.Target.ClusterID.String(), Undoes: p.Change})
	if err != nil {
		return job, fmt.Errorf("write the header of the plan: %w", err)
	}
	made := func(key []byte) bool { return source.touched[source.hash(key)].fate == created }
	still := &still{view: source, digest: digest, query: u.Query, layout: p.layout}
	still.removal = &need.Removal{Rules: rules, Layout: p.layout, Query: u.Query, Target: u.Target, View: p.view, Goes: still.goes}
	if err := still.settled(ctx); err != nil {
		return job, err
	}
	p.still = still
	job = replay.Job{
		Source: source, Selections: source.selections(), Target: u.Target, Policy: replay.Overwrite, Regrant: true, QPS: u.QPS,
		Header: header, Seal: p.change.seal, Digest: digest, Report: u.Report,
		Alike:  func(want, have etcdwalk.Entry) bool { return digest(want) == digest(have) },
		Delete: func(e etcdwalk.Entry) bool { return made(e.Key) },
		Still:  func(want etcdwalk.Entry, have *etcdwalk.Entry) string { return still.why(ctx, want, have) },
	}
	job.File, err = journal.Temporary(u.Spool)
	return job, err
}

// Apply does what was planned, as far as it still holds. The summary is true whatever the
// error.
func (u Undo) Apply(ctx context.Context, p *Planned) (replay.Summary, error) {
	unreached := replay.Summary{Tally: replay.Tally{Counts: replay.Counts{replay.Unreached: p.Counts.Total()}}}
	if err := u.unused(ctx, p); err != nil {
		return unreached, err
	}
	var record *Record
	if u.Keeper != nil && p.Counts.Changes() > 0 {
		var err error
		record, err = u.Keeper.Keep(ctx, Change{Plan: p.job.File, Seal: p.job.Seal, Target: u.Target, View: p.view, Info: p.Target, Layout: p.layout})
		if err != nil {
			return unreached, err
		}
	}
	job := p.job
	job.Report = p.noting(func(line replay.Line) error {
		if err := record.Add(line); err != nil || u.Report == nil {
			return err
		}
		return u.Report(line)
	})
	done, err := job.Apply(ctx, p.Plan)
	var errEnd error
	p.Kept, errEnd = record.End(ctx, done.Counts)
	return done, errors.Join(err, errEnd)
}

// A change is one that was kept.
type change struct {
	name   string
	header Header
	plan   *journal.File
	done   *journal.File // what it has touched; nil: it has no end
	object remote.Object // the archive
	reader *archive.Reader
	seal   []byte
	*before
}

// find finds the change that is meant: the latest one of the target, if it is not named.
func (u Undo) find(ctx context.Context, target etcdwalk.Info) (string, error) {
	if u.Name != Latest && u.Name != "" {
		return u.Name, nil
	}
	all, err := List(ctx, u.Store)
	if err != nil {
		return "", err
	}
	for _, one := range all {
		switch {
		case one.Damaged != "":
			return "", fmt.Errorf("%s, which may be the latest change: name the one that is meant (kubeferry undo --list)%.0w", one.Damaged, journal.ErrDamaged)
		case !one.Is(target):
		case one.Undoes != "" && !one.Ended: // it was interrupted: what it takes back is not through
			return one.Undoes, nil
		default:
			return one.Name, nil
		}
	}
	return "", fmt.Errorf("no change of this cluster is kept here (--undo-dir), of %d%.0w", len(all), fs.ErrNotExist)
}

// open opens a change that was kept, and verifies its archive.
func (u Undo) open(ctx context.Context, target etcdwalk.Info) (_ *change, err error) {
	c := &change{}
	if c.name, err = u.find(ctx, target); err != nil {
		return nil, err
	}
	if c.plan, err = openPlan(ctx, u.Store, c.name); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.close())
		}
	}()
	if c.object, err = u.Store.Open(ctx, c.name+archiveEnding); err != nil {
		return nil, fmt.Errorf("open what %s has taken away: %w", c.name, err)
	}
	plain, size, err := crypt.Open(c.object, c.object.Size(), u.Identities...)
	if err != nil {
		return nil, fmt.Errorf("open what %s has taken away: %w", c.name, err)
	}
	if c.reader, err = archive.Open(plain, size); err != nil {
		return nil, fmt.Errorf("open what %s has taken away: %w", c.name, err)
	}
	if _, err := c.reader.Verify(ctx, nil, nil); err != nil {
		return nil, fmt.Errorf("verify what %s has taken away: %w", c.name, err)
	}
	for e, err := range c.reader.Walk(ctx, etcdwalk.Selection{Ranges: etcdwalk.Ranges{etcdwalk.Key([]byte(sealKey))}}) {
		if err != nil {
			return nil, fmt.Errorf("read what %s has taken away: %w", c.name, err)
		}
		c.seal = bytes.Clone(e.Value)
	}
	c.plan.Unseal(c.seal)
	if c.done, err = openDone(ctx, u.Store, c.name); err != nil {
		return nil, err
	}
	if c.done != nil {
		c.done.Unseal(c.seal)
	}
	c.header, err = headerOf(c.plan, c.name)
	return c, err
}

func (c *change) close() error {
	var err error
	for _, file := range []*journal.File{c.plan, c.done} {
		if file != nil {
			err = errors.Join(err, file.Close())
		}
	}
	if c.object != nil {
		err = errors.Join(err, c.object.Close())
	}
	return err
}

// Is tells whether a cluster is the one that was changed.
// An etcd that was filled from an archive of the cluster has its kube-system too, and not its
// changes; and a change may have brought the kube-system.
func (h Header) Is(target etcdwalk.Info) bool {
	none := !slices.ContainsFunc(h.Target, func(id etcdwalk.Identity) bool { return id.State != etcdwalk.IdentityNone })
	return h.Etcd == target.ClusterID.String() && (none || slices.Equal(h.Target, target.Identities))
}
