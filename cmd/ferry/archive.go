package ferry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"sync/atomic"

	"github.com/kubeferry/kubeferry/archive"
	"github.com/kubeferry/kubeferry/crypt"
	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
	"github.com/kubeferry/kubeferry/etcdwalk/kube/health"
	"github.com/kubeferry/kubeferry/etcdwalk/kube/object"
	"github.com/kubeferry/kubeferry/remote"
	"github.com/kubeferry/kubeferry/remote/catalog"
)

// An Archive is one that is open for reading, decrypted in memory.
type Archive struct {
	*archive.Reader
	// Receipt is the one beside the archive; nil if there is none.
	Receipt   *catalog.Receipt
	Encrypted bool

	name     string
	object   *counted
	storable bool
}

// Open implements etcdwalk.Source.
func (a *Archive) Open(ctx context.Context, at etcdwalk.Moment, ranges etcdwalk.Ranges) (etcdwalk.View, error) {
	if _, err := a.Reader.Open(ctx, at, ranges); err != nil {
		return nil, fmt.Errorf("archive %s: %w", a.name, err)
	}
	return a, nil
}

// Prefixes are those that the archive was made of; none: the default ones.
func (a *Archive) Prefixes() []string { return a.Header().Selection.Prefixes }

// Partial tells whether something under its prefixes was left out.
func (a *Archive) Partial() bool {
	s := a.Header().Selection
	return len(s.Include)+len(s.Exclude)+len(s.Namespaces)+len(s.ExcludeNamespaces)+len(s.Labels)+len(s.Fields) > 0
}

// Storable tells whether the archive was verified, and each value is one that an API
// server would read under its key. Who reads it again gets the same values: each
// segment is held against the manifest, which is in memory.
func (a *Archive) Storable() bool { return a.storable }

// A counted object counts the bytes that are read from it.
type counted struct {
	remote.Object
	read atomic.Int64
}

// ReadAt implements io.ReaderAt.
func (c *counted) ReadAt(p []byte, off int64) (int, error) {
	n, err := c.Object.ReadAt(p, off)
	c.read.Add(int64(n))
	return n, err
}

// Expect passes on which bytes will be read next, to a store that wants to know.
func (c *counted) Expect(off, n int64) {
	if e, ok := c.Object.(interface{ Expect(off, n int64) }); ok {
		e.Expect(off, n)
	}
}

// Keys say with what an archive is opened.
type Keys struct {
	Identities []crypt.Identity
	// AcceptUnencrypted takes an archive in the clear although identities are
	// given. Without it that is refused: somebody may have swapped it.
	AcceptUnencrypted bool
}

// Open opens an archive and checks its structure, and its receipt's claims
// that cost nothing. Close it after use. It can be read even when ctx is
// cancelled: a restore that was stopped still tells of the keys that it did not
// come to. Each walk has a context of its own.
func Open(ctx context.Context, store remote.Store, name string, keys Keys) (_ *Archive, err error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("open archive %s: %w", name, err)
	}
	object, err := store.Open(context.WithoutCancel(ctx), name)
	if err != nil {
		return nil, err
	}
	a := &Archive{name: name, object: &counted{Object: object}}
	defer func() {
		if err != nil {
			err = errors.Join(err, object.Close())
		}
	}()
	plain, size, err := a.decrypt(keys)
	if err != nil {
		return nil, err
	}
	if a.Reader, err = archive.Open(plain, size); err != nil {
		return nil, fmt.Errorf("archive %s: %w", name, err)
	}
	if err := a.trust(keys); err != nil {
		return nil, err
	}
	return a, a.readReceipt(ctx, store)
}

// trust refuses an archive in the clear where an encrypted one is expected. It
// is asked only of what is an archive: what is none has a better error.
func (a *Archive) trust(keys Keys) error {
	expected := len(keys.Identities) > 0 || strings.HasSuffix(a.name, catalog.EncryptedSuffix)
	if a.Encrypted || !expected || keys.AcceptUnencrypted {
		return nil
	}
	return fmt.Errorf("archive %s is unencrypted where an encrypted one is expected: somebody may have replaced it%.0w", a.name, ErrPolicy)
}

// BytesRead tells how many bytes of the archive, as it lies in the store, have
// been read since it was opened, those that were read again included.
func (a *Archive) BytesRead() int64 {
	if a.object == nil {
		return 0 // it lies in memory
	}
	return a.object.read.Load()
}

// Close frees the archive, which was only read.
func (a *Archive) Close() { _ = a.object.Close() }

// decrypt returns the plaintext.
func (a *Archive) decrypt(keys Keys) (io.ReaderAt, int64, error) {
	if a.object.Size() == 0 {
		return nil, 0, fmt.Errorf("archive %s is an empty file: a backup that was killed, or goes on, has only reserved the name%.0w", a.name, archive.ErrDamaged)
	}
	encrypted, err := crypt.Encrypted(a.object, a.object.Size())
	if err != nil {
		return nil, 0, fmt.Errorf("archive %s: %w", a.name, err)
	}
	a.Encrypted = encrypted
	switch {
	case encrypted && strings.HasSuffix(a.name, catalog.PlainSuffix):
		return nil, 0, fmt.Errorf("archive %s is encrypted where an unencrypted one is expected; if that is right, name it *%s%.0w", a.name, catalog.EncryptedSuffix, ErrPolicy)
	case encrypted && len(keys.Identities) == 0:
		return nil, 0, fmt.Errorf("archive %s: %w", a.name, ErrNoKey)
	case encrypted:
		plain, size, err := crypt.Open(a.object, a.object.Size(), keys.Identities...)
		if err != nil {
			return nil, 0, fmt.Errorf("archive %s: %w", a.name, err)
		}
		return plain, size, nil
	}
	return a.object, a.object.Size(), nil
}

// readReceipt finds the receipt, and holds all its claims but the digest, which
// costs a reading, against the archive.
func (a *Archive) readReceipt(ctx context.Context, store remote.Store) error {
	claimed, err := catalog.Read(ctx, store, a.name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	a.Receipt = &claimed
	told := receipt(a.Header(), a.Manifest(), a.name)
	told.Size = a.object.Size()
	if what, claim, truth := claimed.Differs(told); what != "" {
		return fmt.Errorf("archive %s: its receipt says %s %s, the archive has %s%.0w", a.name, what, claim, truth, catalog.ErrMismatch)
	}
	return nil
}

// Verified is what a verification has seen.
type Verified struct {
	etcdwalk.Stats
	Values
	// ReceiptChecked says that the ciphertext has the digest of its receipt.
	ReceiptChecked bool
}

// Verify reads every byte of the archive: authenticated by age, compared with
// the manifest and the receipt, each key in order, each value in a form that
// Kubernetes stores. With an opener, which may be nil, it also tells which values that
// are encrypted at rest it does not open.
func (a *Archive) Verify(ctx context.Context, opener *object.Opener, progress Progress) (Verified, error) {
	return a.verify(ctx, opener, progress, func(etcdwalk.Entry) {})
}

// verify also shows each entry to see.
func (a *Archive) verify(ctx context.Context, opener *object.Opener, progress Progress, see func(etcdwalk.Entry)) (Verified, error) {
	v := Verified{Values: Values{Encodings: health.Encodings{}, opener: opener}}
	if opener != nil {
		v.Unopened = health.Encodings{}
	}
	layout, err := kube.NewLayout(a.Prefixes()...)
	if err != nil {
		return v, err
	}
	sealed := health.NewCensus(layout)
	tell := told(progress)
	size := a.object.Size()
	check := func(e etcdwalk.Entry) error {
		encoding := object.EncodingOf(e.Value)
		v.look(ctx, layout, e, encoding)
		sealed.Add(e.Key, encoding)
		see(e)
		return ctx.Err()
	}
	stats, err := a.Reader.Verify(ctx, check, func(n int64) { tell(Verifying, n, size) })
	v.Stats = stats
	if err == nil {
		err = a.checkSealed(sealed.Encodings)
	}
	if err != nil {
		return v, fmt.Errorf("archive %s: %w", a.name, err)
	}
	// Only now: damage has a clearer name when age or the manifest finds it.
	// What is left for the receipt to find is another archive in this one's place.
	v.ReceiptChecked, err = a.checkDigest(ctx)
	a.storable = err == nil && v.Unstorable == 0
	return v, err
}

// checkDigest compares the bytes as they lie in the store with the receipt, if
// there is one, and tells whether it did.
func (a *Archive) checkDigest(ctx context.Context) (bool, error) {
	if a.Receipt == nil {
		return false, nil
	}
	digest, err := sum(ctx, a.object)
	if err != nil {
		return false, doing(err, "read archive "+a.name)
	}
	err = a.Receipt.Check(a.name, digest.Size, digest.SHA256)
	return err == nil, err
}
