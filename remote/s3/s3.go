// Package s3 keeps objects in a bucket of S3, or of a store that speaks like it.
//
// The nouns:
//
//   - A [Location] is a bucket and a prefix in it. The object NAME of the store
//     has the key PREFIX/NAME, so that prod never sees what is in prod-2.
//   - A [Store] is a location with somebody's credentials.
//   - The spool of an upload is a file of mode 0600 that takes what is written,
//     without a name where the system allows that. Write never waits for the
//     network.
//   - A part is a piece of the spool that goes up while the rest is written. Small
//     objects have none: they are put whole, by Commit.
//
// How an object is published: Commit reads the spool again and compares it with
// what was to be written, and with the parts as they were sent; then one request
// publishes the object, create-only (If-None-Match: *); then the object is read
// back. Each request carries SHA-256 and CRC32C of its bytes, and the store keeps
// the CRC32C of the whole. A request whose answer was lost is settled by looking
// at the object, which carries the upload's random id: it is never taken for done
// or for not done.
//
// Caveats:
//
//   - Credentials that may only write are enough to write. Then nothing is read
//     back, and [Store.Notes] says so.
//   - A store that does not know If-None-Match, or ignores it, protects no name
//     from two writers of the same moment. That is found out and noted, and so is
//     whatever else a store refuses and AWS's takes: it gets Content-MD5 for
//     checksums, say.
//   - No answer in XML is believed for its status: it has the right root, and 16 MiB at
//     most. A listing is in order, goes on, and ends.
//   - What is stored cold is not read back. What says it needs to be readable lies at
//     hand: see [Store.AtHand].
//   - An open object is pinned by version or ETag. Its ranges are checked for
//     place and length; whether their bytes are the right ones is for the archive
//     to tell, which is authenticated.
//   - Remove leaves a marker in a bucket that keeps versions, as S3 does. The
//     versions below are for the bucket's lifecycle rules.
//   - Redirects are not followed, plain http is spoken to this machine only, and
//     there is no anonymous access.
//   - A killed process leaves its parts behind: see [Store.Incomplete].
package s3

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/kubeferry/kubeferry/remote"
)

// A Store is a bucket's prefix. It may be used by several goroutines.
type Store struct {
	at          Location
	config      Config
	endpoint    string // for messages
	aws         bool   // it is AWS's
	core        *minio.Core
	credentials *credentials.Credentials
	clock       *clock
	reached     atomic.Bool // an answer has come
	maxNames    int         // of a listing

	mu         sync.Mutex
	conditions conditions
	lacks      map[ability]bool
	notes      Notes
}

var _ remote.Store = (*Store)(nil)

// Notes tell what a user should know of objects that were published all the
// same.
type Notes struct {
	// NotReadBack counts objects whose reading the credentials do not allow.
	NotReadBack int
	// Cold counts objects that are stored where nothing can be read back at once: only
	// their sizes were compared, and their checksums where the store tells them.
	Cold int
	// LockUnseen counts objects of which the store does not say whether it has locked
	// them, as was asked for.
	LockUnseen int
	// Lacks are what the store does not do, and others do; nothing was lost by it.
	Lacks string
	// NotCreateOnly: the store does not keep two writers from one name.
	NotCreateOnly bool
}

// Open makes a store of a location. It looks for credentials, but does not speak
// to the store yet. Without credentials the error is [ErrNoCredentials], within
// three seconds unless a token service that is configured keeps it waiting.
func Open(ctx context.Context, at Location, c Config) (*Store, error) {
	c = c.withDefaults()
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("open %s: %w", at, err)
	}
	target, err := c.resolve(at)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", at, err)
	}
	s := &Store{at: at, config: c, endpoint: target.String(), aws: target.aws, clock: &clock{}, maxNames: maxNames, lacks: map[ability]bool{}, credentials: credentials.New(newChain(c))}
	if _, err := s.credentials.GetWithContext(&credentials.CredContext{Context: ctx}); err != nil {
		return nil, fmt.Errorf("open %s: %w", at, err)
	}
	if s.core, err = s.connect(target); err != nil {
		return nil, fmt.Errorf("open %s at %s: %w", at, s.endpoint, err)
	}
	return s, nil
}

// String is the location.
func (s *Store) String() string { return s.at.String() }

// Place tells the store from any other: two endpoints may both have such a bucket.
func (s *Store) Place() string { return s.at.String() + " at " + s.endpoint }

// Notes tells what there is to know of what was published so far.
func (s *Store) Notes() Notes {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.notes
}

// Skew is how much this machine's clock is ahead of the store's, to the second,
// as of the latest answer; false: no answer has told the time yet.
func (s *Store) Skew() (time.Duration, bool) { return s.clock.skew() }

// Create begins an object. It asks the store whether there is the bucket, and
// whether the name is free, as far as the credentials allow.
func (s *Store) Create(ctx context.Context, name string) (remote.Upload, error) {
	return s.create(ctx, name, s.config.StorageClass)
}

// create begins an object of a storage class; empty: the bucket's.
func (s *Store) create(ctx context.Context, name, class string) (remote.Upload, error) {
	if err := s.check(ctx, "create", name); err != nil {
		return nil, err
	}
	if err := s.checkBucket(ctx); err != nil {
		return nil, err
	}
	if err := s.checkLocking(ctx); err != nil {
		return nil, err
	}
	if err := s.checkFree(ctx, name); err != nil {
		return nil, err
	}
	spool, err := newSpool(s.config.SpoolDir)
	if err != nil {
		return nil, err
	}
	return newUpload(ctx, s, name, class, spool), nil
}

// checkBucket finds out early what would else be found out after the walk.
func (s *Store) checkBucket(ctx context.Context) error {
	if s.reached.Load() {
		return nil
	}
	// A listing, since only what has a body tells why it is refused.
	err := s.try(ctx, "look for the bucket", func(ctx context.Context) error {
		_, err := s.page(ctx, minio.ListObjectsOptions{Prefix: s.key(""), Recursive: true, MaxKeys: 1})
		return err
	})
	if response(err).Code == "AccessDenied" { // who writes need not have this right
		return nil
	}
	return s.explain("look for the bucket of", "s3:ListBucket", "", err)
}

// checkFree is nil if the name is free, or if that cannot be seen.
func (s *Store) checkFree(ctx context.Context, name string) error {
	_, err := s.stat(ctx, name)
	switch {
	case err == nil:
		return fmt.Errorf("create %s: %w", s.url(name), fs.ErrExist)
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrPermission):
		return nil
	}
	return err
}

// stat asks for the current version of an object. That it is absent is told
// without a reason.
func (s *Store) stat(ctx context.Context, name string) (minio.ObjectInfo, error) {
	var info minio.ObjectInfo
	err := s.try(ctx, "look at "+name, func(ctx context.Context) (err error) {
		asked := s.has(checksumMode)
		info, err = s.core.StatObject(ctx, s.at.Bucket, s.key(name), minio.StatObjectOptions{Checksum: asked})
		if !asked || !refuses(err) {
			return err
		}
		refused := err
		if info, err = s.core.StatObject(ctx, s.at.Bucket, s.key(name), minio.StatObjectOptions{}); !refuses(err) {
			s.noteLack(checksumMode, refused)
		}
		return err
	})
	return info, s.explain("look at", "s3:GetObject", name, err)
}

// find is stat for an object that ought to be there. It asks in another way too
// before it gives up: only that one tells whether the object is absent or the
// bucket is, and what is wrong with the credentials.
func (s *Store) find(ctx context.Context, name string) (minio.ObjectInfo, error) {
	info, err := s.stat(ctx, name)
	if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrPermission) {
		return info, err
	}
	err = s.try(ctx, "look at "+name, func(ctx context.Context) error {
		body, found, _, err := s.core.GetObject(ctx, s.at.Bucket, s.key(name), minio.GetObjectOptions{})
		if err == nil {
			info = found
			_ = body.Close()
		}
		return err
	})
	return info, s.explain("look at", "s3:GetObject", name, err)
}

// Remove removes an object. One that is locked stays: ErrLocked.
func (s *Store) Remove(ctx context.Context, name string) error {
	if err := s.check(ctx, "remove", name); err != nil {
		return err
	}
	// Deleting what is absent succeeds, and deleting what is locked hides it only:
	// so look first.
	info, err := s.find(ctx, name)
	if errors.Is(err, fs.ErrPermission) {
		err = s.findListed(ctx, name)
	}
	if err != nil {
		return err
	}
	if err := s.unlocked("remove", name, info); err != nil {
		return err
	}
	return s.remove(ctx, name, "")
}

// findListed looks for an object in a listing, where it may not be looked at
// itself. If that may not be either, it is taken to be there.
func (s *Store) findListed(ctx context.Context, name string) error {
	for info, err := range s.List(ctx, name) {
		switch {
		case errors.Is(err, fs.ErrPermission):
			return nil
		case err != nil:
			return err
		case info.Name == name:
			return nil
		}
		break // names that only begin with this one come after it
	}
	return fmt.Errorf("remove %s: %w", s.url(name), fs.ErrNotExist)
}

// remove deletes a version, or if it is empty the name.
func (s *Store) remove(ctx context.Context, name, version string) error {
	err := s.try(ctx, "remove "+name, func(ctx context.Context) error {
		return s.core.RemoveObject(ctx, s.at.Bucket, s.key(name), minio.RemoveObjectOptions{VersionID: version})
	})
	if e := response(err); e.StatusCode == 403 && saysLocked(e.Message) {
		return fmt.Errorf("remove %s: %w: %s", s.url(name), ErrLocked, line(e.Message))
	}
	return s.explain("remove", "s3:DeleteObject", name, err)
}

// key is the object's key in the bucket.
func (s *Store) key(name string) string {
	if s.at.Prefix == "" {
		return name
	}
	return s.at.Prefix + "/" + name
}

// url names an object in messages.
func (s *Store) url(name string) string { return "s3://" + s.at.Bucket + "/" + s.key(name) }

// check is what each operation on a name begins with.
func (s *Store) check(ctx context.Context, op, name string) error {
	if err := checkName(s.key(name), name); err != nil {
		return fmt.Errorf("%s %q in %s: %w", op, name, s.at, err)
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%s %s: %w", op, s.url(name), err)
	}
	return nil
}

const maxKey = 1024 // bytes, of S3

func checkName(key, name string) error {
	switch {
	case !fs.ValidPath(name), name == ".":
		return fs.ErrInvalid
	case len(key) > maxKey:
		return fmt.Errorf("%w: the key has %d bytes, and S3 takes %d", fs.ErrInvalid, len(key), maxKey)
	case strings.ContainsFunc(name, unicode.IsControl):
		return fmt.Errorf("%w: a control character", fs.ErrInvalid)
	}
	return nil
}
