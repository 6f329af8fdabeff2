package ferry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/kubeferry/kubeferry/cmd/ferry/undo"
	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
	"github.com/kubeferry/kubeferry/etcdwalk/kube/need"
	"github.com/kubeferry/kubeferry/etcdwalk/replay"
	"github.com/kubeferry/kubeferry/etcdwalk/tree"
)

// A Restore carries the selected part of a source into a cluster, in two steps that
// the caller makes one by one: Plan, Apply. Only the last one writes. An archive is
// verified before ([Archive.VerifyFor]).
type Restore struct {
	Source   etcdwalk.Source
	At       etcdwalk.Moment
	Query    kube.Query      // without prefixes: the source's
	Cluster  etcdwalk.Source // the target, to look at
	Target   etcdwalk.Target
	Policy   replay.Policy
	Scenario kube.Scenario
	// ClusterIs is what the user says the target is: the UID of its kube-system, or
	// where that cannot be read etcd's cluster id; several where it holds several
	// clusters. It stands in for a proof that the source is of this cluster, and any
	// other target is refused. None: the user says nothing.
	ClusterIs  []string
	Allow      []string // rules of package kube that may be broken, by name
	WithOwners bool     // what the selection needs and the target has not comes along
	WithOwned  bool     // what the selection owns comes along
	// DeleteExtra: what the target holds within the selection and the source does not is deleted.
	DeleteExtra bool
	// RetainVolumes: those whose disk would be deleted come back with reclaim policy Retain.
	RetainVolumes bool
	Regrant       bool // leases; else keys under a lease are passed over
	Raw           bool // values that no kube-apiserver would read are let through
	AllowEmpty    bool
	Quota         int64 // of the target's database, in bytes, if it does not tell; 0: not known
	// WatchSigns is how long a target of etcd v3 in which no API server may live is watched
	// for signs of them before the first write. 0: they are looked for once.
	WatchSigns time.Duration
	Begun      etcdwalk.Info           // what it began with, by Mark; none: it begins with the plan
	MaxMemory  int64                   // for who owns whom, in bytes; 0: 256 MiB
	InFlight   int                     // batches; see replay.Job
	QPS        int                     // keys written in a second at most; 0: not limited
	Spool      string                  // folder for the file of the plan; "": the system's
	PlanOut    string                  // where that file is to be kept; "": nowhere
	Keeper     *undo.Keeper            // keeps what the restore takes away; nil: it is not kept
	Locks      string                  // folder of this machine's locks; "": nobody is kept out
	Report     func(replay.Line) error // told of each key; may be nil
	Progress   Progress

	given *givenPlan // by Follow
}

// A Planned restore knows the target and what would become of each key.
type Planned struct {
	replay.Plan
	// Target is the cluster that would be written to.
	Target etcdwalk.Info
	Taken  time.Time // the moment of the source; zero: not known
	// Along are the keys that were not selected and come along.
	Along [][]byte
	// Unknown is the number of objects of which nobody can tell what they need.
	Unknown int64
	// Ports are the node ports that will be marked as taken, ascending: they are those of
	// Services that come back.
	Ports []int
	// Deletions are the keys that would be deleted, in that order, and Left what stays though the
	// archive has it not, by the reasons.
	Deletions [][]byte
	Left      map[string]left
	// Unmarked are those of which an apply did not.
	Unmarked []unmarked
	// Retained are the volumes that would come back with another reclaim policy than they
	// had, Retain: else their disks would be deleted.
	Retained [][]byte
	// Doubts say what may be wrong with the target, or is to be expected, one by one.
	Doubts []string
	// Watched is for how long no API server gave a sign of life in the target, Waited what of
	// it nothing else was done in. 0: it was not watched.
	Watched, Waited time.Duration
	// Kept is the name by which the restore can be taken back; empty: none.
	Kept string
	// Confirmed: nothing proves that the source is of it but ClusterIs.
	Confirmed bool

	query    kube.Query
	layout   *kube.Layout
	source   etcdwalk.View
	sel      etcdwalk.Selection
	target   etcdwalk.View
	cluster  etcdwalk.Source
	vigil    *vigil // nil: API servers may live there, or were looked for once
	rules    *kube.Rules
	ranks    []etcdwalk.Selection // in the order in which they are written
	checks   *need.Checks         // nil: nobody looks after the target
	comeback *comeback
	allotted allotted
	extras   *extras
	retained map[string][]byte // volumes with reclaim policy Retain, by key
	job      replay.Job
	total    int64

	unlock  func() error
	out     *os.File        // where the plan is to be kept, until it is
	record  *undo.Record    // of the apply; nil: it is not kept
	rest    *undo.Unended   // the same restore, that was interrupted; nil: none
	creates map[uint64]bool // keys, by their hashes, where a plan that was made before is followed
	written *written        // by Apply; and what it stands beside
}

// Plan looks at the target and decides about each key. A plan, with an error too, is to be
// closed if it is not nil. The guards of the
// scenario come first; the errors of replay say what forbids the restore, and
// Planned what was found until then.
func (r Restore) Plan(ctx context.Context) (*Planned, error) {
	planned := &Planned{written: newWritten(), creates: map[uint64]bool{}}
	if err := r.open(ctx, planned); err != nil {
		return nil, err
	}
	if err := r.look(ctx, planned); err != nil {
		return planned, err
	}
	err := r.lock(planned)
	if err != nil {
		return planned, err
	}
	if err := r.judge(ctx, planned); err != nil {
		return planned, err
	}
	if err := r.turnedBack(ctx, planned); err != nil {
		return planned, err
	}
	planned.job = r.job(ctx, planned)
	if err := r.bind(ctx, planned); err != nil {
		return planned, err
	}
	if planned.extras, err = r.extras(ctx, planned); err != nil {
		return planned, err
	}
	if err := r.survey(ctx, planned, planned.job.Source); err != nil {
		return planned, err
	}
	if err := r.retain(ctx, planned); err != nil {
		return planned, err
	}
	planned.Left = planned.extras.kept
	planned.job.Selections, planned.Ports = slices.Clone(planned.ranks), planned.allotted.marked()
	if planned.checks != nil {
		planned.job.Check, planned.job.Ours, planned.job.Additions = planned.checks.Judge, r.ours(ctx, planned), planned.rules.Allotted
		planned.job.Found = planned.found(ctx)
		planned.extras.join(ctx, r, planned)
	}
	tries := newProbes(planned)
	planned.job.Report = r.planning(planned, tries)
	plan, err := planned.job.Plan(ctx)
	if err != nil {
		return planned, err // half a plan is none
	}
	if err := errors.Join(planned.keep(), planned.rests(ctx)); err != nil {
		return planned, err
	}
	planned.Plan, planned.Taken = plan, planned.source.Info().Taken
	if planned.checks != nil {
		planned.Unknown = planned.checks.Unknown()
		planned.Doubts = append(planned.Doubts, planned.checks.Warnings()...)
	}
	if planned.Counts.Total() == 0 && !r.AllowEmpty {
		return planned, fmt.Errorf("look into what is to be restored: %w", empty(planned.query))
	}
	if all := planned.Counts.Total(); all > 0 && planned.Counts[replay.Excluded] == all {
		return planned, fmt.Errorf("every key that is selected is left out, by %s%.0w", planned.Examples[replay.Excluded][0].Reason, etcdwalk.ErrRefused)
	}
	if all := planned.Counts.Total(); all > 0 && planned.Counts[replay.Leased] == all {
		return planned, fmt.Errorf("every key that is selected is under an etcd lease, which --leases=regrant brings back: %w", ErrIncomplete)
	}
	if planned.checks != nil && planned.Counts[replay.Refused] > 0 {
		return planned, fmt.Errorf("%w: take along what is needed (--with-owners), leave out what cannot be (--exclude), or break a rule by its name (--allow RULE)", planned.Err())
	}
	if err := planned.Err(); err != nil {
		return planned, err
	}
	if err := planned.collected(ctx); err != nil {
		return planned, err
	}
	if err := r.room(ctx, planned); err != nil {
		return planned, err
	}
	if err := tries.try(ctx, r.Target); err != nil {
		return planned, err
	}
	return planned, r.silence(ctx, planned)
}

// planning takes what a plan has come to of each key.
func (r Restore) planning(p *Planned, tries *probes) func(replay.Line) error {
	report := r.counting(Planning, p.total)
	return func(line replay.Line) error {
		tries.add(line)
		p.retains(line)
		if line.Fate == replay.Deleted {
			p.Deletions = append(p.Deletions, bytes.Clone(line.Key))
		}
		if r.given != nil && line.Fate == replay.Created {
			p.creates[p.written.hash(line.Key)] = true
		}
		return report(line)
	}
}

// open opens the source and what is to be written to.
func (r Restore) open(ctx context.Context, p *Planned) (err error) {
	if p.query, err = within(r.Source, r.Query); err != nil {
		return err
	}
	p.layout = p.query.Layout()
	if p.source, err = r.Source.Open(ctx, r.At, p.layout.Scope()); err != nil {
		return err
	}
	catalog := p.query.Catalog(p.source)
	if p.sel, err = catalog.Resolve(ctx, p.query); err != nil {
		return err
	}
	if !r.AllowEmpty {
		if err := named(ctx, p.query, catalog); err != nil {
			return fmt.Errorf("look for the selection in the archive: %w", err)
		}
	}
	if !p.query.Narrow() {
		if p.total, err = p.source.Count(ctx, p.sel); err != nil {
			return err
		}
	}
	p.cluster = r.Cluster
	p.target, err = r.Cluster.Open(ctx, etcdwalk.Newest, p.layout.Scope())
	return err
}

// look finds out what the target is, and refuses what must not be written to.
func (r Restore) look(ctx context.Context, p *Planned) (err error) {
	p.Target = p.target.Info()
	if p.Target.Alarms, err = alarmsOf(ctx, p.target); err != nil {
		return err
	}
	if err := soundTarget(p.Target.Alarms); err != nil {
		return err
	}
	ids, err := p.layout.Identities(ctx, p.target, p.query.Opener())
	if err != nil {
		return err
	}
	p.Target.Identify(ids)
	pairs, err := r.pairs(ctx, p)
	if err != nil {
		return err
	}
	p.Confirmed, err = r.guard(ctx, p, pairs)
	return err
}

// job is what is to be replayed.
func (r Restore) job(ctx context.Context, p *Planned) replay.Job {
	source := p.source
	if tree.Is(source.Info().API) && !tree.Is(p.Target.API) {
		source = tree.Flat(source)
	}
	inFlight := r.InFlight
	if isSequential(r.Target) {
		inFlight = min(inFlight, 1)
	}
	return replay.Job{
		Source:   source,
		Target:   r.Target,
		Policy:   r.Policy,
		Regrant:  r.Regrant,
		Rule:     r.rule(p, !r.Raw && !isStorable(p.source, p.query)),
		Alike:    alike(ctx, p.query),
		InFlight: inFlight,
		QPS:      r.QPS,
	}
}

// Apply does what was planned, as far as it still holds. The summary is true
// whatever the error.
func (r Restore) Apply(ctx context.Context, planned *Planned) (replay.Summary, error) {
	planned.begin()
	marks := &marks{r.Target, planned, map[string][]int{}}
	report := r.counting(Applying, planned.total)
	planned.job.Report = func(line replay.Line) error {
		planned.written.add(line)
		planned.comeback.add(line)
		marks.add(ctx, line)
		return errors.Join(planned.record.Add(line), report(line))
	}
	if err := planned.comeback.look(ctx, r.Target); err != nil {
		return unreached(planned, 0), err
	}
	if err := planned.stillSilent(ctx); err != nil {
		return unreached(planned, 0), err
	}
	if err := planned.extras.unused(ctx, r.Cluster); err != nil {
		return unreached(planned, 0), err
	}
	planned.job.Check, planned.job.Found = nil, nil // the plan would have refused
	if err := r.remember(ctx, planned); err != nil {
		return unreached(planned, 0), err
	}
	if written, err := r.adopt(ctx, planned); err != nil {
		return unreached(planned, written), err
	}
	job := planned.job
	if r.Scenario == kube.ScenarioNew { // where nobody else writes, what is read back is what was written
		job.Source = fingerprinting{job.Source, planned.written}
	}
	done, err := job.Apply(ctx, planned.Plan)
	marks.mark(ctx)
	var errEnd error
	planned.Kept, errEnd = planned.record.End(ctx, done.Counts)
	err = errors.Join(err, errEnd)
	if err == nil && !done.Complete() {
		err = fmt.Errorf("some keys were not restored: %w", ErrIncomplete)
	}
	return done, planned.comeback.end(err)
}

// unreached is the summary of an apply that has not begun, but for what is to be adopted.
func unreached(planned *Planned, written int64) replay.Summary {
	counts := replay.Counts{replay.Unreached: planned.Counts.Total() - written}
	if written > 0 {
		counts[replay.Created] = written
	}
	return replay.Summary{Tally: replay.Tally{Counts: counts}}
}

// counting tells the progress of a pass, and the caller's Report of each key.
func (r Restore) counting(phase Phase, total int64) func(replay.Line) error {
	tell, done := told(r.Progress), int64(0)
	return func(line replay.Line) error {
		done++
		tell(phase, done, max(0, total))
		if r.Report == nil {
			return nil
		}
		return r.Report(line)
	}
}

// quoted shows a key, readable if it can be.
func quoted(key []byte) string { return strings.Trim(fmt.Sprintf("%q", key), `"`) }
