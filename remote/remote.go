// Package remote keeps named byte objects and publishes them atomically.
//
// The nouns:
//
//   - A [Store] is a place with names in it: a folder, a bucket under a prefix.
//   - An [Upload] is an object that is being written. It has no name in the
//     store until Commit, which makes it appear whole, or not at all.
//   - An [Object] is one that is there, to be read at random.
//
// Objects are written once and never changed: Commit refuses a name that is
// taken. Absence is fs.ErrNotExist, a taken name fs.ErrExist, a name that cannot
// be fs.ErrInvalid, a refusal fs.ErrPermission, whatever the driver; for all else
// there are classes, which each sentinel of a driver's own wraps.
//
// Names are relative, with slashes, in the words of [io/fs.ValidPath]; they
// come from generated names, never from keys. The drivers are the packages
// below (dir, s3); package catalog knows what the names mean.
package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"time"
)

// The classes of errors of a store, beside those of io/fs.
var (
	// ErrUnavailable: the store cannot be reached, or fails.
	ErrUnavailable = errors.New("the store is unavailable")
	// ErrDenied: there are no credentials, so that nothing can be asked for. What is
	// denied of one object is an fs.ErrPermission.
	ErrDenied = errors.New("no credentials for the store")
	// ErrRefused: a safety guard forbids it.
	ErrRefused = errors.New("refused by a guard of the store")
	// ErrConfig: the store cannot do what it is configured for.
	ErrConfig = errors.New("the store is not set up for this")
	// ErrNoSpace: the medium, or what the user may use of it, is full.
	ErrNoSpace = errors.New("no space left")
	// ErrCold: the object is there, but lies where it must be fetched from first,
	// which takes hours. It is an ErrUnavailable.
	ErrCold = fmt.Errorf("it is stored cold and cannot be read now%.0w", ErrUnavailable)
	// ErrDigest: the medium does not hold the bytes that were to be published.
	ErrDigest = errors.New("what was read back is not what was written")
)

// A Store is a place that holds objects.
type Store interface {
	// Create begins an object. The context holds until Commit or Abort.
	Create(ctx context.Context, name string) (Upload, error)
	// Open opens an object for reading. The context holds until Close.
	Open(ctx context.Context, name string) (Object, error)
	// List yields the published objects whose names begin with prefix, in
	// ascending order of names. An error ends the listing: what came before it
	// is not the whole.
	List(ctx context.Context, prefix string) iter.Seq2[Info, error]
	// Remove removes an object.
	Remove(ctx context.Context, name string) error
}

// An Upload is an object that is being written. Exactly one of Commit and
// Abort takes effect: the first. Further calls of Abort do nothing, so that it
// can be deferred.
type Upload interface {
	io.Writer
	// Commit publishes the object if the medium holds exactly the bytes that
	// want describes, which it reads back where the medium lets it; otherwise
	// it returns ErrDigest. When Commit returns nil the object is durable under
	// its name. After an error nothing is there under the name but what was
	// there before.
	Commit(want Digest) error
	// Abort drops the object.
	Abort() error
}

// An Object is a published object, open for reading.
type Object interface {
	io.ReaderAt
	io.Closer
	// Size is the object's length in bytes.
	Size() int64
}

// Info describes a published object in a listing.
type Info struct {
	Name     string
	Size     int64
	Modified time.Time
}
