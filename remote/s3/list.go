package s3

import (
	"context"
	"fmt"
	"io/fs"
	"iter"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/kubeferry/kubeferry/remote"
)

const pageSize = 1000 // S3's own

// List yields the objects below the prefix. What is no name of ours, such as the
// marker of a folder, is passed over. A listing that repeats itself, goes
// backwards, strays, or breaks off is an ErrUnavailable.
func (s *Store) List(ctx context.Context, prefix string) iter.Seq2[remote.Info, error] {
	return func(yield func(remote.Info, error) bool) {
		for last, more := "", true; more; {
			page, err := s.page(ctx, prefix, last)
			if err != nil {
				yield(remote.Info{}, s.explain("list", "s3:ListBucket", "", err))
				return
			}
			for _, object := range page {
				last = object.Key
				name := strings.TrimPrefix(object.Key, s.key(""))
				if checkName(object.Key, name) != nil {
					continue
				}
				if !yield(remote.Info{Name: name, Size: object.Size, Modified: object.LastModified.UTC()}, nil) {
					return
				}
			}
			more = len(page) == pageSize
		}
	}
}

// page lists the keys behind last, a thousand at most. It begins behind a key and
// not at the store's token, so that a page can be asked for again.
func (s *Store) page(ctx context.Context, prefix, last string) ([]minio.ObjectInfo, error) {
	var page []minio.ObjectInfo
	err := s.try(ctx, "list", func(ctx context.Context) error {
		page = nil
		options := minio.ListObjectsOptions{
			Prefix: s.key("") + prefix, Recursive: true, StartAfter: last, MaxKeys: pageSize, FetchOwner: new(bool),
		}
		for object := range s.core.ListObjectsIter(ctx, s.at.Bucket, options) {
			before := last
			if n := len(page); n > 0 {
				before = page[n-1].Key
			}
			switch {
			case object.Err != nil:
				return object.Err
			case object.Key <= before:
				return fmt.Errorf("the listing goes back from %q to %q", before, object.Key)
			case !strings.HasPrefix(object.Key, options.Prefix):
				return fmt.Errorf("the listing of %q strays to %q", options.Prefix, object.Key)
			}
			if page = append(page, object); len(page) == pageSize {
				break
			}
		}
		return ctx.Err() // which ends the listing without a word
	})
	return page, err
}

// Folders names the common prefixes one level below the store's own, as far as the
// first thousand entries of a listing tell.
func (s *Store) Folders(ctx context.Context) ([]string, error) {
	var names []string
	err := s.try(ctx, "list", func(ctx context.Context) error {
		names = nil
		seen := 0
		for entry := range s.core.ListObjectsIter(ctx, s.at.Bucket, minio.ListObjectsOptions{Prefix: s.key(""), MaxKeys: pageSize, FetchOwner: new(bool)}) {
			if entry.Err != nil {
				return entry.Err
			}
			if name, isPrefix := strings.CutSuffix(strings.TrimPrefix(entry.Key, s.key("")), "/"); isPrefix && name != "" {
				names = append(names, name)
			}
			if seen++; seen == pageSize {
				break
			}
		}
		return ctx.Err() // which ends the listing without a word
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
		for key, id := "", ""; ; {
			page, err := s.incompletePage(ctx, key, id)
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
