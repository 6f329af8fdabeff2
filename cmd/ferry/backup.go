package ferry

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"github.com/kubeferry/kubeferry/archive"
	"github.com/kubeferry/kubeferry/crypt"
	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
	"github.com/kubeferry/kubeferry/etcdwalk/kube/health"
	"github.com/kubeferry/kubeferry/etcdwalk/kube/object"
	"github.com/kubeferry/kubeferry/remote"
	"github.com/kubeferry/kubeferry/remote/catalog"
)

// maxRestarts is how often a walk is begun again after its revision was
// compacted away (WK4), or because somebody wrote in between where there are no
// revisions (WV1).
const maxRestarts = 3

// errMoved: the entries are not of one moment, and another walk may do better.
var errMoved = errors.New("the store was written while it was read")

// A Backup carries the selected part of a cluster into one archive.
type Backup struct {
	Source     etcdwalk.Source
	Query      kube.Query
	AllowEmpty bool
	Recipients []crypt.Recipient // none: the archive is in the clear
	Store      remote.Store
	Name       string    // of the archive; empty: made from cluster, time and revision
	Pipe       bool      // the store is stdout: it keeps no names and takes nothing back
	ReadBack   bool      // open the archive as a restore would, before its receipt is published
	Label      string    // of the cluster; empty: from its kube-system UID
	Retain     time.Time // until when the store keeps the archive locked; zero: it does not
	// AcceptCorrupt takes a source that calls itself corrupt, or whose members
	// disagree: the archive says so.
	AcceptCorrupt bool
	VerifyMembers bool // compare all that the members hold, where rights allow
	Tool, Host    string
	Now           func() time.Time
	Progress      Progress

	found *[]string // doubts about the source of walks that were given up
}

// BackedUp is what became of a Backup.
type BackedUp struct {
	Receipt  catalog.Receipt
	Source   etcdwalk.Info // with its identities
	Outcome  etcdwalk.Outcome
	Outside  *etcdwalk.Outside // what was not taken; nil: not known, or a part was asked for
	Sealed   []archive.SealedTotal
	Members  int // that were found to hold the same, by VerifyMembers
	Leases   int
	Named    []kube.InNamespaces // where what was called by a name without a namespace was found
	ReadBack Verified            // what reading it back has seen; zero without Backup.ReadBack
	Duration time.Duration
	Walk     time.Duration // of the last walk: how long the cluster was read
}

// Run makes the backup. When it returns nil the archive is complete, verified,
// durable and has its receipt.
func (b Backup) Run(ctx context.Context) (BackedUp, error) {
	allowed := maxRestarts
	if b.Pipe {
		allowed = 0 // what has gone into a pipe cannot be taken back
	}
	begun := b.Now()
	b.found = new([]string)
	for restarts := 0; ; restarts++ {
		walked := b.Now()
		done, err := b.once(ctx, restarts, restarts < allowed)
		done.Duration = b.Now().Sub(begun)
		if errors.Is(err, errMoved) {
			continue
		}
		if !errors.Is(err, etcdwalk.ErrCompacted) {
			return done, err
		}
		if restarts == allowed {
			return done, fmt.Errorf("walk %d of at most %d ran %s before its revision was gone; "+
				"a kube-apiserver compacts every 5 minutes: select less, or use a nearer or faster endpoint: %w",
				restarts+1, allowed+1, b.Now().Sub(walked).Round(time.Millisecond), err)
		}
	}
}

// once is one attempt, at one revision. If it may be repeated, it is given up with
// errMoved when it turns out not to be of one moment.
func (b Backup) once(ctx context.Context, restarts int, repeatable bool) (done BackedUp, err error) {
	d, err := b.draft(ctx)
	if err != nil {
		return done, err
	}
	upload, err := b.Store.Create(ctx, d.name)
	if err != nil {
		return done, doing(err, "begin archive "+d.name)
	}
	defer func() { err = errors.Join(err, upload.Abort()) }()
	if err := b.unclaimed(ctx, d.name); err != nil {
		return done, err
	}
	done, digest, err := b.write(ctx, upload, d, restarts, repeatable)
	if err != nil {
		return done, err
	}
	told(b.Progress)(Publishing, 0, digest.Size)
	if err := upload.Commit(digest); err != nil {
		return done, doing(err, "publish archive "+d.name)
	}
	done.ReadBack, err = b.finish(ctx, done.Receipt, d.reader)
	return done, err
}

// A draft is an archive before its first byte.
type draft struct {
	choice     *choice
	header     archive.Header
	name       string
	recipients []crypt.Recipient
	reader     Keys // to read it back with
}

// draft decides all that can be decided before the walk.
func (b Backup) draft(ctx context.Context) (d draft, err error) {
	if d.choice, err = choose(ctx, b.Source, b.Query, b.AcceptCorrupt); err != nil {
		return d, err
	}
	if !b.AllowEmpty {
		if err := d.choice.expected(ctx); err != nil {
			return d, err
		}
	}
	if v, ok := d.choice.view.(doubter); ok {
		v.Doubt()
	}
	if d.header, err = b.header(ctx, d.choice); err != nil {
		return d, err
	}
	d.name = b.Name
	if d.name == "" {
		d.name = catalog.NewName(d.header.Cluster, d.header.Created, d.header.Sources[0].Revision, len(b.Recipients) > 0)
	}
	d.recipients, d.reader, err = b.keys()
	return d, err
}

// unclaimed refuses a name beside which a receipt lies already: it would be
// taken for that of the new archive.
func (b Backup) unclaimed(ctx context.Context, name string) error {
	receipt, err := b.Store.Open(ctx, catalog.ReceiptName(name))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return nil // there is none, or none that we may see: publishing ours will tell
	}
	if err != nil {
		return doing(err, "look for a receipt of "+name)
	}
	_ = receipt.Close() // it was not read
	return fmt.Errorf("begin archive %s: there is a receipt %s already, of another archive: %w", name, catalog.ReceiptName(name), fs.ErrExist)
}

// write makes the archive of a draft: segments, compressed, zipped, encrypted.
func (b Backup) write(ctx context.Context, upload remote.Upload, d draft, restarts int, repeatable bool) (BackedUp, remote.Digest, error) {
	failed := func(err error) (BackedUp, remote.Digest, error) {
		return BackedUp{}, remote.Digest{}, doing(err, "write archive "+d.name)
	}
	sealed, err := seal(upload, d.recipients)
	if err != nil {
		return failed(err)
	}
	w, err := archive.NewWriter(sealed, d.header, d.choice.layout.Classify)
	if err != nil {
		return failed(err)
	}
	begun := b.Now()
	ending, err := b.walk(ctx, w, d.choice)
	if err != nil {
		return BackedUp{}, remote.Digest{}, b.remember(d.choice, err)
	}
	if ending.Outcome.Restarts = restarts; !ending.Outcome.Consistent && repeatable {
		return BackedUp{}, remote.Digest{}, errMoved
	}
	manifest, err := w.Close(ending)
	if err != nil {
		return failed(err)
	}
	digest, err := sealed.close()
	if err != nil {
		return failed(err)
	}
	r := receipt(w.Header(), manifest, d.name)
	r.RetainUntil = b.Retain
	return BackedUp{
		Receipt: catalog.NewReceipt(r, digest),
		Source:  w.Header().Sources[0],
		Outcome: ending.Outcome,
		Outside: ending.Outside,
		Sealed:  manifest.Sealed,
		Members: d.choice.compared,
		Leases:  len(ending.Leases),
		Named:   d.choice.spread.Words(),
		Walk:    ending.TakenAt.Sub(begun),
	}, digest, nil
}

// keys are those that the archive is encrypted to, and what it is read back
// with: nothing but a key of this run's own.
func (b Backup) keys() ([]crypt.Recipient, Keys, error) {
	if !b.ReadBack || len(b.Recipients) == 0 {
		return b.Recipients, Keys{}, nil
	}
	own, identity, err := crypt.OneOff(b.Recipients...)
	return append(slices.Clip(b.Recipients), own), Keys{Identities: []crypt.Identity{identity}}, err
}

// finish reads the archive back if that is wanted, and publishes its receipt.
// Until there is one no list shows the archive, so there is time to look at it.
func (b Backup) finish(ctx context.Context, r catalog.Receipt, reader Keys) (seen Verified, err error) {
	if b.Pipe {
		return seen, nil
	}
	// The archive has its name: a run that is stopped from here on takes it
	// back, or ends as if it was not.
	settled := context.WithoutCancel(ctx)
	if b.ReadBack {
		if seen, err = b.readBack(ctx, r, reader); err != nil {
			return seen, fmt.Errorf("read archive %s back, which no list shows yet: %w", r.Name, b.takeBack(settled, r.Name, err))
		}
	}
	if err := catalog.Publish(settled, b.Store, r); err != nil {
		return seen, doing(err, fmt.Sprintf("the archive %s is written, but without its receipt no list will show it: publish its receipt", r.Name))
	}
	return seen, nil
}

// takeBack removes an archive for a reason, and adds to it what became of that.
func (b Backup) takeBack(ctx context.Context, name string, reason error) error {
	if err := b.Store.Remove(ctx, name); err != nil {
		return fmt.Errorf("%w; it could not be removed: %w", reason, err)
	}
	return fmt.Errorf("%w; it was removed", reason)
}

// readBack goes the way of a restore: open, decrypt, verify.
func (b Backup) readBack(ctx context.Context, r catalog.Receipt, keys Keys) (Verified, error) {
	a, err := Open(ctx, b.Store, r.Name, keys)
	if err != nil {
		return Verified{}, err
	}
	defer a.Close()
	verified, err := a.Verify(ctx, nil, b.Progress)
	if err == nil && (verified.Keys != r.Keys || a.Header().ArchiveID != r.ArchiveID) {
		err = fmt.Errorf("archive %s with %d keys was written, archive %s with %d keys is there: %w",
			r.ArchiveID, r.Keys, a.Header().ArchiveID, verified.Keys, archive.ErrDamaged)
	}
	return verified, err
}

// walk copies the selected entries into w, and returns what is known after it.
func (b Backup) walk(ctx context.Context, w *archive.Writer, c *choice) (archive.Ending, error) {
	progress, done := told(b.Progress), int64(0)
	sealed := health.NewCensus(c.layout)
	stats, err := etcdwalk.Copy(ctx, w, c.view, c.sel, func(e etcdwalk.Entry) {
		c.spread.See(e.Key)
		sealed.Add(e.Key, object.EncodingOf(e.Value))
		done++
		progress(Walking, done, c.toCome())
	})
	if err != nil {
		return archive.Ending{}, err
	}
	if stats.Keys == 0 && !b.AllowEmpty {
		return archive.Ending{}, empty(b.Query)
	}
	taken := b.Now().UTC()
	list, err := c.view.Leases(ctx, w.LeaseIDs())
	if err != nil {
		return archive.Ending{}, err
	}
	ending := archive.Ending{Outcome: outcomeOf(c.view), Leases: list, TakenAt: taken, Outside: c.outside, Sealed: sealedTotals(sealed)}
	ending.Outcome.Doubts, err = b.doubts(ctx, c)
	return ending, err
}

// doing tells what err came up while doing; nil stays nil.
func doing(err error, what string) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", what, err)
}
