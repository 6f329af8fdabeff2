package ferry

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"iter"
	"slices"
	"sync"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
	"github.com/kubeferry/kubeferry/etcdwalk/kube/need"
	"github.com/kubeferry/kubeferry/etcdwalk/kube/object"
	"github.com/kubeferry/kubeferry/etcdwalk/kube/order"
	"github.com/kubeferry/kubeferry/etcdwalk/replay"
)

// extras are what the target holds within the selection and the source does not: they are to be
// deleted, after everything is written. Their keys are all in memory. As a view they are keys
// without values, as a Chooser they mark the selections that are theirs.
type extras struct {
	etcdwalk.View // the source
	layout        *kube.Layout
	keys          [][]byte
	runs          order.Runs
	run           map[string]int
	owners        *order.Survey
	kept          map[string]left // what stays though the source has it not, by the reasons
	removal       *need.Removal   // of the keys; nil: there are none
}

// left is what a cluster keeps though the archive has it not, for one reason.
type left struct {
	Count int64
	First []byte // key
}

// extras finds what is to be deleted: what a plan says that was made before, or what the target
// holds now.
func (r Restore) extras(ctx context.Context, p *Planned) (*extras, error) {
	x := &extras{View: p.job.Source, layout: p.layout, run: map[string]int{}, owners: order.NewSurvey(cmp.Or(r.MaxMemory, maxSurvey)), kept: map[string]left{}}
	if !r.DeleteExtra {
		return x, nil
	}
	if r.Scenario == kube.ScenarioNew {
		return nil, fmt.Errorf("--delete-extra deletes nothing of a cluster that is filled new%.0w", etcdwalk.ErrRefused)
	}
	if r.given != nil {
		for line, err := range r.given.file.Lines() {
			if err != nil {
				return nil, fmt.Errorf("look for what the plan deletes: %w", err)
			}
			if replay.Fate(line.Fate) == replay.Deleted {
				x.put(line.Key)
			}
		}
		return x, nil
	}
	if err := x.find(ctx, r, p); err != nil {
		return nil, fmt.Errorf("look for what the archive has not (--delete-extra): %w", err)
	}
	return x, nil
}

func (x *extras) put(key []byte) {
	x.run[string(key)] = x.runs.Add(key)
	x.keys = append(x.keys, bytes.Clone(key))
}

// has tells whether a key is to be deleted.
func (x *extras) has(key []byte) bool {
	_, is := x.run[string(key)]
	return is
}

// find goes over what the target holds beside the source, and puts it into the order in which
// it goes: owners before what they own.
func (x *extras) find(ctx context.Context, r Restore, p *Planned) error {
	catalog := p.query.Catalog(p.target)
	within, err := catalog.Resolve(ctx, p.query)
	if err != nil {
		return err
	}
	covered, err := r.covered(ctx, p)
	if err != nil {
		return err
	}
	if within.Splits, err = catalog.Splits(ctx); err != nil {
		return err
	}
	meta, found, furnished := p.metaOf(ctx), map[string]bool{}, map[string]string{}
	for pair, err := range etcdwalk.Merge(ctx, p.target, x.View, etcdwalk.Selection{Ranges: within.Ranges, Splits: within.Splits}) {
		if err != nil {
			return err
		}
		if pair.B != nil || pair.A.Lease != 0 || !within.Takes(*pair.A) {
			continue
		}
		e, class := *pair.A, p.layout.Classify(pair.A.Key)
		if v := p.rules.Judge(e); v.Severity != kube.Allow {
			x.leave(v.Rule, e.Key)
			continue
		}
		if !covered.Ranges.Contains(e.Key) || !covered.Takes(e) {
			return fmt.Errorf("%s is selected, and the archive does not cover it: select no more than was backed up, or leave it out (--exclude)%.0w", p.layout.Name(e.Key), etcdwalk.ErrRefused)
		}
		if p.layout.Furnishes(e.Key) {
			furnished[string(e.Key)] = class.Prefix + "namespaces/" + class.Namespace
		}
		found[string(e.Key)] = true
		if err := x.owners.Add(class, meta(e)); err != nil {
			return err
		}
	}
	for key, namespace := range furnished {
		if !found[namespace] {
			x.leave("controllers make it in each namespace", []byte(key))
			delete(found, key)
		}
	}
	if err := cmp.Or(within.Err(), covered.Err()); err != nil {
		return err
	}
	return x.sort(ctx, p, etcdwalk.Selection{Ranges: within.Ranges, Match: func(key []byte) bool { return found[string(key)] }}, found)
}

// leave notes that a key stays.
func (x *extras) leave(reason string, key []byte) {
	l := x.kept[reason]
	if l.Count++; l.First == nil || bytes.Compare(key, l.First) < 0 {
		l.First = bytes.Clone(key)
	}
	x.kept[reason] = l
}

// sort puts what was found into the order of the ranks.
func (x *extras) sort(ctx context.Context, p *Planned, sel etcdwalk.Selection, found map[string]bool) error {
	ranks, err := x.owners.Ranks(ctx, order.Plan{View: p.target, Selection: sel, Absent: func([]byte) bool { return false }, Meta: p.metaOf(ctx)})
	if err != nil {
		return err
	}
	keys := make([][]byte, 0, len(found))
	for key := range found {
		keys = append(keys, []byte(key))
	}
	slices.SortFunc(keys, bytes.Compare)
	for _, rank := range ranks {
		for _, key := range keys {
			if rank.Ranges.Contains(key) && rank.TakesKey(key) {
				x.put(key)
			}
		}
	}
	if len(x.keys) != len(keys) {
		return fmt.Errorf("%d of %d keys have their place in the order%.0w", len(x.keys), len(keys), etcdwalk.ErrInvariant)
	}
	return nil
}

// covered is what of the target an archive speaks of: what it does not hold of that was not there.
func (r Restore) covered(ctx context.Context, p *Planned) (sel etcdwalk.Selection, err error) {
	a, is := r.Source.(*Archive)
	if !is {
		return etcdwalk.Selection{Ranges: p.layout.Scope()}, nil
	}
	if !a.Manifest().Outcome.Consistent {
		return sel, fmt.Errorf("the archive is not of one moment, and may lack what was there%.0w", etcdwalk.ErrRefused)
	}
	s := a.Header().Selection
	q, err := kube.Filter{
		Include: s.Include, Exclude: s.Exclude, Namespaces: s.Namespaces, Prefixes: s.Prefixes,
		ExcludeNamespaces: s.ExcludeNamespaces, Labels: s.Labels, Fields: s.Fields,
	}.Compile()
	if err != nil {
		return sel, fmt.Errorf("the selection that the archive was made with: %w", err)
	}
	return q.Opening(p.query.Opener()).Resolve(ctx, p.target)
}

// keeps refuses to delete the owner of what the source holds: the garbage collector would take
// that too.
func (x *extras) keeps(key []byte, namespace string, m object.Meta) error {
	for _, o := range m.Owners {
		if x.owners.Holds(namespace, o) {
			return fmt.Errorf("%s is in the archive, and belongs to %s %s, which is not and would be deleted (--delete-extra): leave that out (--exclude)%.0w", x.layout.Name(key), o.Kind, o.Name, etcdwalk.ErrRefused)
		}
	}
	return nil
}

// Walk implements [etcdwalk.View].
func (x *extras) Walk(ctx context.Context, sel etcdwalk.Selection) iter.Seq2[etcdwalk.Entry, error] {
	if sel.Values != etcdwalk.Chooser(x) {
		return x.View.Walk(ctx, sel)
	}
	return func(yield func(etcdwalk.Entry, error) bool) {
		for _, key := range x.keys {
			if sel.Ranges.Contains(key) && sel.TakesKey(key) && !yield(etcdwalk.Entry{Key: key}, nil) {
				return
			}
		}
	}
}

// Choose implements [etcdwalk.Chooser].
func (x *extras) Choose(etcdwalk.Entry) bool { return true }

// Err implements [etcdwalk.Chooser].
func (x *extras) Err() error { return nil }

// join gives a job the deletions, behind all that it writes.
func (x *extras) join(ctx context.Context, r Restore, p *Planned) {
	if len(x.keys) == 0 {
		return
	}
	job := &p.job
	job.Source, job.Delete = x, func(e etcdwalk.Entry) bool { return x.has(e.Key) }
	for i, sel := range job.Selections {
		job.Selections[i].Match = func(key []byte) bool { return !x.has(key) && sel.TakesKey(key) }
	}
	for _, sel := range x.runs.Selections(func(key []byte) (int, bool) { run, is := x.run[string(key)]; return run, is }) {
		sel.Values = x
		job.Selections = append(job.Selections, sel)
	}
	rule, check, found := job.Rule, job.Check, job.Found
	job.Rule = func(e etcdwalk.Entry) (replay.Fate, string) {
		if x.has(e.Key) {
			return "", ""
		}
		return rule(e)
	}
	job.Found = func(have etcdwalk.Entry) {
		if !x.has(have.Key) {
			found(have)
		}
	}
	x.removal = &need.Removal{Rules: p.rules, Layout: p.layout, Query: p.query, Target: r.Target, View: p.target,
		Goes: func(have etcdwalk.Entry) bool { return x.has(have.Key) }}
	disks := sync.OnceValue(func() error { return x.removal.Disks(ctx) })
	job.Check = func(ctx context.Context, writes []etcdwalk.Write) ([]string, error) {
		if writes[0].Delete { // no batch has both: they are of different selections
			if err := disks(); err != nil {
				return nil, err
			}
			return x.forbidden(ctx, writes)
		}
		return check(ctx, writes)
	}
}

// unused looks once more into the namespaces that are to be deleted, since a question may have
// waited for long: what somebody has made there meanwhile would be in no namespace.
func (x *extras) unused(ctx context.Context, cluster etcdwalk.Source) error {
	spaces := slices.DeleteFunc(slices.Clone(x.keys), func(key []byte) bool { return x.layout.Classify(key).Kind != "namespaces" })
	if x.removal == nil || len(spaces) == 0 {
		return nil
	}
	var err error
	if x.removal.View, err = cluster.Open(ctx, etcdwalk.Newest, x.layout.Scope()); err != nil {
		return err
	}
	for _, key := range spaces {
		switch why, err := x.removal.Inhabited(ctx, key); {
		case err != nil:
			return err
		case why != "":
			return fmt.Errorf("%s was used since the plan was made, %s: %w", x.layout.Name(key), why, replay.ErrConflict)
		}
	}
	return nil
}

// forbidden says of each deletion why it must not be made, or nothing.
func (x *extras) forbidden(ctx context.Context, writes []etcdwalk.Write) ([]string, error) {
	reasons := make([]string, len(writes))
	keys := make([][]byte, len(writes))
	for i, w := range writes {
		keys[i] = w.Key
	}
	for at := 0; at < len(keys); at += heldKeys {
		found, err := x.removal.Target.Lookup(ctx, keys[at:min(at+heldKeys, len(keys))])
		if err != nil {
			return nil, err
		}
		for i, have := range found {
			w := writes[at+i]
			if have == nil || have.ModRevision != w.Seen {
				continue // the apply finds out
			}
			if reasons[at+i], err = x.why(ctx, *have); err != nil {
				return nil, err
			}
		}
	}
	return reasons, nil
}

// heldKeys is how many values are read together, since each may be as large as a request.
const heldKeys = 32

// why is why an object must not be deleted, or nothing.
func (x *extras) why(ctx context.Context, have etcdwalk.Entry) (string, error) {
	if x.layout.Classify(have.Key).Kind == "namespaces" {
		return x.removal.Inhabited(ctx, have.Key)
	}
	return x.removal.Forbids(ctx, have), nil
}

// without is a target that does not hold what is to be deleted.
type without struct {
	etcdwalk.Target
	extras *extras
}

// Lookup implements [etcdwalk.Target].
func (t without) Lookup(ctx context.Context, keys [][]byte) ([]*etcdwalk.Entry, error) {
	found, err := t.Target.Lookup(ctx, keys)
	for i, e := range found {
		if e != nil && t.extras.has(e.Key) {
			found[i] = nil
		}
	}
	return found, err
}
