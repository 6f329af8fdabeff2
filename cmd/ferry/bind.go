package ferry

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/kubeferry/kubeferry/cmd/ferry/undo"
	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
	"github.com/kubeferry/kubeferry/etcdwalk/replay"
	"github.com/kubeferry/kubeferry/etcdwalk/replay/journal"
)

// A planned header is what the file of a plan says of the restore: what it is of, and what
// was decided upon.
type plannedHeader struct {
	undo.Header
	Archive       string      `json:"archive"`   // its id
	Selection     kube.Filter `json:"selection"` // as typed
	Scenario      string      `json:"scenario"`
	Policy        string      `json:"on_conflict"`
	Allow         []string    `json:"allow,omitempty"`
	WithOwners    bool        `json:"with_owners,omitempty"`
	WithOwned     bool        `json:"with_owned,omitempty"`
	DeleteExtra   bool        `json:"delete_extra,omitempty"`
	RetainVolumes bool        `json:"retain_volumes,omitempty"`
	Regrant       bool        `json:"regrant,omitempty"`
	Raw           bool        `json:"raw,omitempty"`
	AllowEmpty    bool        `json:"allow_empty,omitempty"`
	// Salt makes with the archive the key of the seal and of the digests.
	Salt []byte `json:"salt"`
}

// header is that of the plan that is to be made.
func (r Restore) header(p *Planned) plannedHeader {
	h := plannedHeader{
		Header:    undo.Header{Made: time.Now().UTC().Truncate(time.Second), Target: p.Target.Identities, Etcd: p.Target.ClusterID.String()},
		Selection: r.Query.Words(),
		Scenario:  r.Scenario.String(), Policy: r.Policy.String(), Allow: r.Allow,
		WithOwners: r.WithOwners, WithOwned: r.WithOwned, DeleteExtra: r.DeleteExtra, RetainVolumes: r.RetainVolumes, Regrant: r.Regrant, Raw: r.Raw, AllowEmpty: r.AllowEmpty,
	}
	if a, is := r.Source.(*Archive); is {
		h.Archive = a.Header().ArchiveID
	}
	return h
}

// bind gives a job the file that binds its apply to its plan, which nobody else can read or
// alter; one that the caller wants kept is a copy.
func (r Restore) bind(ctx context.Context, p *Planned) (err error) {
	h := r.header(p)
	if r.given != nil {
		h.Salt = r.given.Salt
		if err := r.given.of(h, p.Target); err != nil {
			return err
		}
		p.job.Given = r.given.file
	} else {
		h.Salt = make([]byte, sha256.Size)
		_, _ = rand.Read(h.Salt) // which never fails
	}
	if h.Salt, err = r.unended(ctx, p, h); err != nil {
		return err
	}
	if p.job.Header, err = json.Marshal(h); err != nil {
		return fmt.Errorf("write the header of the plan: %w", err)
	}
	p.job.Seal = r.secret(h.Salt)
	if r.given != nil {
		r.given.file.Unseal(p.job.Seal)
	}
	p.job.Digest = undo.Digest(ctx, p.query.Opener(), p.job.Seal)
	if r.PlanOut != "" {
		if p.out, err = os.OpenFile(r.PlanOut, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600); err != nil {
			return fmt.Errorf("make the file of the plan (--plan-out): %w", err)
		}
	}
	p.job.File, err = journal.Temporary(r.Spool) // nobody can alter what is applied
	return err
}

// secret is the key of a plan's digests and of its seal. It comes from the salt, which stands
// in the file, and from what the segments of an archive hold, which only who can open the archive
// knows: who finds the file can try out no guess of a short secret. Beside another archive the
// seal does not hold.
func (r Restore) secret(salt []byte) []byte {
	mac := hmac.New(sha256.New, salt)
	if a, is := r.Source.(*Archive); is {
		for _, segment := range a.Manifest().Segments {
			mac.Write([]byte(segment.SHA256))
		}
	}
	return mac.Sum(nil)
}

// Close lets go of the file of the plan, if there is one. One that is to be kept and has not
// come to its end does not stay.
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
	if p.out != nil { // it did not come to its end
		err = errors.Join(err, p.out.Close(), os.Remove(p.out.Name()))
	}
	return err
}

// keep keeps the file of the plan, if that is wanted.
func (p *Planned) keep() error {
	if p.out == nil {
		return nil
	}
	err := p.job.File.CopyTo(p.out)
	if err == nil {
		err = p.out.Sync()
	}
	if err = errors.Join(err, p.out.Close()); err != nil {
		err = fmt.Errorf("keep the plan (--plan-out): %w", errors.Join(err, os.Remove(p.out.Name())))
	}
	p.out = nil
	return err
}

// A givenPlan is one that was made before, which a restore is to apply.
type givenPlan struct {
	plannedHeader
	file *journal.File
}

// Follow makes the restore that of a plan that was made before: its rules, and its selection,
// unless the restore has that selection already. The file is to be closed by what it returns.
func (r *Restore) Follow(path string) (closing func() error, err error) {
	named, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open the file of a plan (--plan): %w", err)
	}
	file, err := journal.Copy(r.Spool, path, named) // nobody can alter it from now on
	if err = errors.Join(err, named.Close()); err != nil {
		return nil, fmt.Errorf("read the file of a plan (%s): %w", path, err)
	}
	given := &givenPlan{file: file}
	if err := r.follow(given); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file.Close, nil
}

func (r *Restore) follow(given *givenPlan) error {
	text, err := given.file.Header()
	if err != nil {
		return err
	}
	strict := json.NewDecoder(bytes.NewReader(text))
	strict.DisallowUnknownFields()
	if err := strict.Decode(&given.plannedHeader); err != nil {
		return fmt.Errorf("the header of the plan is none: %w%.0w", err, journal.ErrDamaged)
	}
	policy, known := find(given.Policy, replay.Fail, replay.Skip, replay.Overwrite, replay.Newer)
	scenario, knownToo := find(given.Scenario, kube.ScenarioSame, kube.ScenarioNew)
	if !known || !knownToo {
		return fmt.Errorf("the header of the plan says on_conflict %q and scenario %q%.0w", given.Policy, given.Scenario, journal.ErrDamaged)
	}
	switch words := r.Query.Words(); {
	case alikeInJSON(words, kube.Filter{}):
		if r.Query, err = given.Selection.Compile(); err != nil {
			return fmt.Errorf("the selection of the plan: %w%.0w", err, journal.ErrDamaged)
		}
	case !alikeInJSON(words, given.Selection):
		return fmt.Errorf("the plan is for another selection: leave the words and flags that select out, or make a new plan with them%.0w", etcdwalk.ErrRefused)
	}
	r.Policy, r.Scenario, r.Allow, r.given = policy, scenario, given.Allow, given
	r.WithOwners, r.WithOwned, r.DeleteExtra, r.RetainVolumes = given.WithOwners, given.WithOwned, given.DeleteExtra, given.RetainVolumes
	r.Regrant, r.Raw, r.AllowEmpty = given.Regrant, given.Raw, given.AllowEmpty
	return nil
}

// find finds what is called so.
func find[T fmt.Stringer](name string, all ...T) (found T, known bool) {
	for _, one := range all {
		if one.String() == name {
			return one, true
		}
	}
	return found, false
}

// alikeInJSON tells whether two values that can be written as JSON are written alike.
func alikeInJSON(a, b any) bool {
	one, errOne := json.Marshal(a)
	other, errOther := json.Marshal(b)
	return errOne == nil && errOther == nil && bytes.Equal(one, other)
}

// of refuses to apply the plan to anything but what it was made for.
func (g *givenPlan) of(now plannedHeader, target etcdwalk.Info) error {
	switch {
	case g.Archive != now.Archive:
		return fmt.Errorf("the plan is for archive %s, and this is %s%.0w", g.Archive, now.Archive, etcdwalk.ErrRefused)
	case !g.Is(target):
		return fmt.Errorf("the plan is for another cluster%.0w", etcdwalk.ErrRefused)
	}
	return nil
}
