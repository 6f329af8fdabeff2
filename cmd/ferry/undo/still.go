package undo

import (
	"context"
	"fmt"
	"time"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
	"github.com/kubeferry/kubeferry/etcdwalk/kube/need"
	"github.com/kubeferry/kubeferry/etcdwalk/replay"
	"github.com/kubeferry/kubeferry/etcdwalk/replay/journal"
)

// still tells whether what the cluster holds is what the change made of it.
type still struct {
	view    *before
	digest  func(etcdwalk.Entry) journal.Digest
	query   kube.Query
	layout  *kube.Layout
	removal *need.Removal
	others  map[string]string // why namespaces of the change are not deleted, by their keys
}

// why is why a key is to be left alone; empty: it need not be.
func (s *still) why(ctx context.Context, want etcdwalk.Entry, have *etcdwalk.Entry) string {
	t := s.view.touched[s.view.hash(want.Key)]
	switch {
	case t.fate != created && want.CreateRevision == 0:
		return "it had been written before the change could touch it"
	case have == nil && t.fate == replaced:
		return "it was deleted since"
	case have == nil:
		return ""
	case t.fate == deleted:
		return "it was made anew since" + s.by(ctx, *have)
	case s.digest(*have) != t.made:
		return "it was written since" + s.by(ctx, *have)
	case t.fate == created:
		return s.holds(ctx, *have)
	case s.another(ctx, want, *have):
		return s.removal.Owns(have.Key)
	}
	return ""
}

// another tells whether what is put back is another object than the one that is there, by
// their UIDs. What that one owns has no owner then.
func (s *still) another(ctx context.Context, want, have etcdwalk.Entry) bool {
	opener := s.query.Opener()
	was, errWas := opener.Read(ctx, want.Key, want.Value)
	is, errIs := opener.Read(ctx, have.Key, have.Value)
	return errWas == nil && errIs == nil && was.UID != is.UID
}

// by says who wrote an object last, if it tells.
func (s *still) by(ctx context.Context, have etcdwalk.Entry) string {
	o, err := s.query.Opener().Decode(ctx, have.Key, have.Value)
	if err != nil {
		return ""
	}
	about, _ := o.Tree()["metadata"].(map[string]any)
	fields, _ := about["managedFields"].([]any)
	who, when := "", time.Time{}
	for _, f := range fields {
		entry, _ := f.(map[string]any)
		manager, _ := entry["manager"].(string)
		text, _ := entry["time"].(string)
		if at, err := time.Parse(time.RFC3339, text); err == nil && !at.Before(when) {
			who, when = manager, at
		}
	}
	if who == "" {
		return ""
	}
	return fmt.Sprintf(", by %s at %s", who, when.UTC().Format(time.RFC3339))
}

// holds tells what keeps an object from being deleted.
func (s *still) holds(ctx context.Context, have etcdwalk.Entry) string {
	if s.layout.Classify(have.Key).Kind == "namespaces" {
		return s.others[string(have.Key)]
	}
	return s.removal.Forbids(ctx, have)
}

// goes tells whether an object is as the change has made it.
func (s *still) goes(have etcdwalk.Entry) bool {
	t := s.view.touched[s.view.hash(have.Key)]
	return t.fate == created && s.digest(have) == t.made
}

// settled finds what owns disks, and the namespaces that the change has made and in which
// something stays.
func (s *still) settled(ctx context.Context) (err error) {
	if err := s.removal.Disks(ctx); err != nil {
		return err
	}
	s.others = map[string]string{}
	for _, made := range s.view.spaces {
		if s.others[string(made)], err = s.removal.Inhabited(ctx, made); err != nil {
			return err
		}
	}
	return nil
}

// unused looks once more into the namespaces that are to be deleted, since a question may have
// waited for long: what somebody has made there meanwhile would be in no namespace.
func (u Undo) unused(ctx context.Context, p *Planned) error {
	if len(p.still.view.spaces) == 0 {
		return nil
	}
	view, err := u.Cluster.Open(ctx, etcdwalk.Newest, p.layout.Scope())
	if err != nil {
		return err
	}
	then := p.still.others
	p.still.removal.View = view
	if err := p.still.settled(ctx); err != nil {
		return err
	}
	for key, why := range p.still.others {
		if why != "" && then[key] == "" {
			return fmt.Errorf("%s was used since the plan was made, %s: %w", p.Name([]byte(key)), why, replay.ErrConflict)
		}
	}
	return nil
}
