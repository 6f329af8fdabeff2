package s3

import (
	"context"
	"fmt"
	"io/fs"
	"iter"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/kubeferry/kubeferry/remote"
)

// A page of names: as many as S3 gives at most, or an odd number, so that its pages end
// elsewhere.
const (
	pageSize = 1000
	oddSize  = 739
)

// maxNames is how long a listing may be: what is longer is taken for endless.
const maxNames = 500_000

// A page is one answer to a request for names.
type page struct {
	objects   []minio.ObjectInfo
	truncated bool // there are more
	answered  bool
	end       context.CancelFunc // of the request for it, and of any after it
}

// List yields the objects below the prefix. What is no name of ours, such as the
// marker of a folder, is passed over. A listing that repeats itself, goes
// backwards, strays, breaks off, or never ends is an ErrUnavailable.
func (s *Store) List(ctx context.Context, prefix string) iter.Seq2[remote.Info, error] {
	return s.list(ctx, prefix, pageSize)
}

// ListAnew is List in pages of another size: a store that leaves something out by
// mistake hardly does so twice at the same place.
func (s *Store) ListAnew(ctx context.Context, prefix string) iter.Seq2[remote.Info, error] {
	return s.list(ctx, prefix, oddSize)
}

func (s *Store) list(ctx context.Context, prefix string, size int) iter.Seq2[remote.Info, error] {
	return func(yield func(remote.Info, error) bool) {
		seen := 0
		for last, more := "", true; more; {
			page, err := s.nextPage(ctx, prefix, last, size)
			if seen += len(page.objects); err == nil && seen > s.maxNames {
				err = fmt.Errorf("the listing does not end: it has more than %d names", s.maxNames)
			}
			if err != nil {
				yield(remote.Info{}, s.explain("list", "s3:ListBucket", "", err))
				return
			}
			for _, object := range page.objects {
				last = object.Key
				name := strings.TrimPrefix(object.Key, s.key(""))
				if checkName(object.Key, name) != nil {
					continue
				}
				if !yield(remote.Info{Name: name, Size: object.Size, Modified: object.LastModified.UTC()}, nil) {
					return
				}
			}
			more = page.truncated || len(page.objects) >= size // whatever a full one says
		}
	}
}

// nextPage lists the keys behind last, in order. It begins behind a key and not at the
// store's token, so that a page can be asked for again.
func (s *Store) nextPage(ctx context.Context, prefix, last string, size int) (p page, err error) {
	options := minio.ListObjectsOptions{Prefix: s.key("") + prefix, Recursive: true, StartAfter: last, MaxKeys: size}
	err = s.try(ctx, "list", func(ctx context.Context) error {
		if p, err = s.page(ctx, options); err != nil {
			return err
		}
		return p.order(last, options.Prefix)
	})
	return p, err
}

// order sorts what is all there is, and finds what is wrong with a page behind last.
func (p page) order(last, prefix string) error {
	if p.truncated && len(p.objects) == 0 {
		return fmt.Errorf("the listing does not go on behind %q, and does not end", last)
	}
	if !p.truncated {
		slices.SortFunc(p.objects, func(a, b minio.ObjectInfo) int { return strings.Compare(a.Key, b.Key) })
	}
	for _, object := range p.objects {
		switch {
		case object.Key == last:
			return fmt.Errorf("the listing has %q twice", last)
		case object.Key < last:
			return fmt.Errorf("the listing goes back from %q to %q", last, object.Key)
		case !strings.HasPrefix(object.Key, prefix):
			return fmt.Errorf("the listing of %q strays to %q", prefix, object.Key)
		}
		last = object.Key
	}
	return nil
}

// page asks for names once.
func (s *Store) page(ctx context.Context, options minio.ListObjectsOptions) (page, error) {
	var p page
	only := onePage(ctx, &p)
	defer p.end()
	options.FetchOwner = new(bool)
	for object := range s.core.ListObjectsIter(only, s.at.Bucket, options) {
		switch {
		case object.Err != nil && only.Err() != nil && p.answered: // the request for the next one
			return p, ctx.Err()
		case object.Err != nil:
			return p, object.Err
		}
		p.objects = append(p.objects, object)
	}
	return p, ctx.Err() // which ends the listing without a word
}

// Folders names the common prefixes one level below the store's own, as far as the
// first thousand entries of a listing tell.
func (s *Store) Folders(ctx context.Context) ([]string, error) {
	var names []string
	err := s.try(ctx, "list", func(ctx context.Context) error {
		names = nil
		p, err := s.page(ctx, minio.ListObjectsOptions{Prefix: s.key(""), MaxKeys: pageSize})
		for _, entry := range p.objects {
			if name, isPrefix := strings.CutSuffix(strings.TrimPrefix(entry.Key, s.key("")), "/"); isPrefix && name != "" {
				names = append(names, name)
			}
		}
		return err
	})
	return names, s.explain("list", "s3:ListBucket", "", err)
}

// An Incomplete is a multipart upload that was neither completed nor aborted. It
// costs its parts' storage, and no listing of objects shows it.
type Incomplete struct {
	Name  string
	ID    string
	Begun time.Time // by the store's clock
}

// Incomplete lists the unfinished uploads below the prefix, those under way
// included: only their age tells them apart.
func (s *Store) Incomplete(ctx context.Context) iter.Seq2[Incomplete, error] {
	return func(yield func(Incomplete, error) bool) {
		seen := 0
		for key, id := "", ""; ; {
			page, err := s.incompletePage(ctx, key, id)
			if response(err).StatusCode == http.StatusNotImplemented {
				s.config.Log.Warn("the store does not list unfinished uploads: what a killed backup has left there is not found", "store", s.at.String(), "why", reason(err))
				return
			}
			if seen += len(page.Uploads) + 1; err == nil && seen > s.maxNames {
				err = fmt.Errorf("the listing of uploads does not end: it has more than %d", s.maxNames)
			}
			if err == nil && page.IsTruncated && page.NextKeyMarker <= key && page.NextUploadIDMarker == id {
				err = fmt.Errorf("the listing of uploads does not go on behind %q", key)
			}
			if err != nil {
				yield(Incomplete{}, s.explain("list the unfinished uploads of", "s3:ListBucketMultipartUploads", "", err))
				return
			}
			for _, u := range page.Uploads {
				name, ours := strings.CutPrefix(u.Key, s.key(""))
				if ours && checkName(u.Key, name) == nil && !yield(Incomplete{name, u.UploadID, u.Initiated.UTC()}, nil) {
					return
				}
			}
			if !page.IsTruncated {
				return
			}
			key, id = page.NextKeyMarker, page.NextUploadIDMarker
		}
	}
}

func (s *Store) incompletePage(ctx context.Context, key, id string) (page minio.ListMultipartUploadsResult, err error) {
	err = s.try(ctx, "list the unfinished uploads", func(ctx context.Context) (err error) {
		page, err = s.core.ListMultipartUploads(ctx, s.at.Bucket, s.key(""), key, id, "", pageSize)
		return err
	})
	return page, err
}

// AbortIncomplete drops an unfinished upload and its parts.
func (s *Store) AbortIncomplete(ctx context.Context, u Incomplete) error {
	err := s.try(ctx, "abort an upload of "+u.Name, func(ctx context.Context) error {
		return s.core.AbortMultipartUpload(ctx, s.at.Bucket, s.key(u.Name), u.ID)
	})
	if response(err).Code == noSuchUpload {
		err = fs.ErrNotExist
	}
	return s.explain("abort an upload of", "s3:AbortMultipartUpload", u.Name, err)
}

const noSuchUpload = "NoSuchUpload"
