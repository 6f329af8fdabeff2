package replay

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/replay/journal"
)

// record writes the line of an item that the plan has come to.
func (p *pass) record(it *item) error {
	if p.given != nil {
		if err := p.follow(it); err != nil {
			return err
		}
	}
	line := it.digests
	line.Key, line.Fate, line.Reason, line.Revision = it.want.Key, string(it.Fate), it.Reason, it.Revision
	return p.File.Add(line)
}

// follow gives an item what a plan that was made before has said of it. What the target held
// then and holds still must come to the same now; what has moved since, the apply finds out.
// What is refused now stays so.
func (p *pass) follow(it *item) error {
	line, err, more := p.given()
	switch {
	case err != nil:
		return err
	case !more:
		return fmt.Errorf("the plan that was made before has ended, and would go on now with key %q: make a new one%.0w", it.want.Key, etcdwalk.ErrRefused)
	case !bytes.Equal(line.Key, it.want.Key):
		return fmt.Errorf("the plan that was made before goes on with key %q, and would now with key %q: make a new one%.0w", line.Key, it.want.Key, etcdwalk.ErrRefused)
	case it.Fate == Refused, it.Fate == Expired: // which is decided by the clock, not by the plan
		return nil
	}
	made := Fate(line.Fate)
	if made == Refused {
		return fmt.Errorf("the plan that was made before refused key %q, and nothing forbids it now: make a new one%.0w", it.want.Key, etcdwalk.ErrRefused)
	}
	altered := line.Revision == it.Revision && (made != it.Fate || line.Seen != it.digests.Seen || line.Wanted != it.digests.Wanted)
	if line.Revision != it.Revision && made.Changes() && made != Deleted && !it.settledAs(Excluded, Leased, Expired) {
		altered = line.Wanted != p.Digest(it.want)
	}
	if altered {
		return fmt.Errorf("the plan that was made before says %q of key %q, which no plan would say: it was altered%.0w", line.Fate, line.Key, journal.ErrDamaged)
	}
	if line.Revision == it.Revision {
		it.Line, it.digests = Line{Fate: made, Reason: line.Reason, Revision: line.Revision}, line
		return nil
	}
	it.since(line)
	return nil
}

// settledAs tells whether the item has one of some fates.
func (it *item) settledAs(fates ...Fate) bool { return slices.Contains(fates, it.Fate) }

// since gives an item of which the target holds something else than a plan that was made before
// had seen its fate: only a status may have moved.
func (it *item) since(line journal.Line) {
	made, revision := Fate(line.Fate), it.Revision
	switch {
	case it.Fate == Unchanged, made == Skipped && it.Fate == Skipped: // as it is to be, or to stay
	case made.Changes() && line.Revision > 0 && revision > 0 && it.held == line.Seen:
		it.Line, it.digests = Line{Fate: made, Reason: line.Reason, Revision: revision}, line
	case revision == 0:
		it.move(0, deletedSince)
	case line.Revision == 0:
		it.move(revision, createdSince)
	default:
		it.move(revision, writtenSince)
	}
}

// Why a key has moved.
const (
	deletedSince = "it was deleted since the plan was made"
	createdSince = "it was created since the plan was made"
	writtenSince = "it was written since the plan was made"
)

// followed tells whether a plan that was made before has ended with this one.
func (p *pass) followed() error {
	if p.given == nil {
		return nil
	}
	line, err, more := p.given()
	if more && err == nil {
		return fmt.Errorf("the plan that was made before goes on with key %q, which would not be restored now: make a new one%.0w", line.Key, etcdwalk.ErrRefused)
	}
	return err
}

// recall begins an item of an apply: with what the plan has said of it.
func (p *pass) recall(ctx context.Context, e etcdwalk.Entry) (it item, err error) {
	line, err, more := p.lines()
	if err != nil {
		return it, err
	}
	if it.want, it.from, err = p.transform(e); err != nil {
		p.lost = line.Key
		return it, err
	}
	switch {
	case !more:
		return it, fmt.Errorf("the source goes on with key %q, and the plan has ended%.0w", it.want.Key, etcdwalk.ErrInvariant)
	case !bytes.Equal(line.Key, it.want.Key):
		p.lost = line.Key
		return it, fmt.Errorf("the source goes on with key %q, and the plan with key %q%.0w", it.want.Key, line.Key, etcdwalk.ErrInvariant)
	}
	it.digests, it.size, it.seen = line, it.want.Size(), line.Revision
	it.Line = Line{Fate: Fate(line.Fate), Reason: line.Reason, Revision: line.Revision}
	switch it.Fate {
	case Created, Replaced, Deleted:
	case Unchanged, Moved, Skipped, Excluded, Leased, Expired:
		return it, nil
	default:
		return it, fmt.Errorf("the plan says %q of key %q, which no apply does%.0w", line.Fate, line.Key, journal.ErrDamaged)
	}
	if it.want.Lease != 0 && it.Fate != Deleted {
		it.Fate, it.Reason, err = p.lapsed(ctx, e)
		if it.Fate == "" {
			it.Fate, it.Reason = Fate(line.Fate), line.Reason
		}
	}
	return it, err
}

// over tells whether the plan has ended where the source has.
func (p *pass) over() error {
	line, err, more := p.lines()
	if more && err == nil {
		p.lost = line.Key
		return fmt.Errorf("the source has ended, and the plan goes on with key %q%.0w", line.Key, etcdwalk.ErrInvariant)
	}
	return err
}

// leave tells of the keys that an apply which stopped did not come to, so that
// each key has its fate. It writes nothing, and asks neither the source nor the target.
func (p *pass) leave() error {
	for _, it := range p.next.items {
		it.Line = unreached()
		if err := p.tell(it); err != nil {
			return err
		}
	}
	rest := func(key []byte) error { return p.tell(&item{want: etcdwalk.Entry{Key: key}, Line: unreached()}) }
	if p.lost != nil {
		if err := rest(p.lost); err != nil {
			return err
		}
	}
	for {
		line, err, more := p.lines()
		if !more || err != nil {
			return err
		}
		if err := rest(line.Key); err != nil {
			return err
		}
	}
}

func unreached() Line {
	return Line{Fate: Unreached, Reason: "the run stopped before it was written"}
}

// review looks again at the items whose write met another revision than the plan saw, or whose
// answer was lost.
func (p *pass) review(ctx context.Context, items []*item) error {
	doubtful := slices.DeleteFunc(slices.Clone(items), func(it *item) bool { return !it.raced && !it.lost })
	if len(doubtful) == 0 {
		return nil
	}
	return p.look(ctx, doubtful, (*item).review)
}

// review takes what the target holds now; nil: nothing. It is written still if it is as the
// plan saw it, but for its status, or if it was made by this job; or it has arrived.
func (it *item) review(j *Job, have *etcdwalk.Entry) {
	if it.raced {
		it.races++
	}
	it.raced = false
	switch {
	case it.Fate == Deleted:
		it.reviewDelete(j, have)
		return
	case have == nil && it.seen == 0, have != nil && have.ModRevision == it.seen: // as the plan saw it
		it.lost = false
		return
	case have == nil:
		it.move(0, deletedSince)
		return
	}
	same := bytes.Equal(have.Value, it.want.Value)
	alike := same || j.Alike != nil && (it.want.Lease == 0) == (have.Lease == 0) && j.Alike(it.want, *have)
	switch {
	case it.losses > 0 && alike && have.Lease == it.lease:
		it.arrived, it.lost, it.Revision = true, false, have.ModRevision
	case j.Ours != nil && j.Ours(it.want, *have):
		it.Line, it.lost = Line{Fate: Created, Revision: have.ModRevision}, false
		it.seen, it.arrived = have.ModRevision, alike
	case alike && (it.want.Lease == 0) == (have.Lease == 0):
		it.Line, it.lost = Line{Fate: Unchanged, Revision: have.ModRevision}, false
		if !same {
			it.Reason = onlyStatus
		}
	case j.Additions != nil && j.Additions(it.want.Key):
		it.Line, it.lost = Line{Fate: Skipped, Revision: have.ModRevision, Reason: difference(Skip, it.want, *have)}, false
	case it.seen > 0 && j.Digest(*have) == it.digests.Seen: // only its status has moved
		it.seen, it.lost = have.ModRevision, false
	case it.seen > 0:
		it.move(have.ModRevision, writtenSince)
	default:
		it.move(have.ModRevision, createdSince)
	}
}

// reviewDelete takes what the target holds now under a key that is to be deleted.
func (it *item) reviewDelete(j *Job, have *etcdwalk.Entry) {
	switch {
	case have == nil: // by this job, or by whoever collects what has lost its owner
		it.arrived, it.lost, it.Revision = true, false, 0
	case have.ModRevision == it.seen, j.Digest(*have) == it.digests.Seen: // as the plan saw it, but for its status
		it.seen, it.lost = have.ModRevision, false
	default:
		it.move(have.ModRevision, writtenSince)
	}
}

// move notes that somebody else has written the key: it is left to them.
func (it *item) move(revision int64, reason string) {
	it.Line, it.lost = Line{Fate: Moved, Revision: revision, Reason: reason}, false
}
