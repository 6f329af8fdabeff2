package s3

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"

	"github.com/minio/minio-go/v7"

	"github.com/kubeferry/kubeferry/remote"
)

// upload is a spool that may become an object.
type upload struct {
	ctx   context.Context
	s     *Store
	name  string
	class string // of storage
	id    string // random: by it an object is known as this upload's
	spool *spool
	parts *parts // nil: so far it is small
	ended bool
	err   error // the first error of Write: it sticks
}

var _ remote.Upload = (*upload)(nil)

func newUpload(ctx context.Context, s *Store, name, class string, spool *spool) *upload {
	return &upload{ctx: ctx, s: s, name: name, class: class, id: rand.Text(), spool: spool}
}

// Write spools. It waits for the disk and not for the network, but fails early if
// the parts that go up meanwhile have failed.
func (u *upload) Write(p []byte) (int, error) {
	if u.ended {
		return 0, fmt.Errorf("write %s: %w", u.s.url(u.name), fs.ErrClosed)
	}
	if u.err != nil {
		return 0, u.err
	}
	if err := u.ctx.Err(); err != nil {
		u.err = fmt.Errorf("write %s: %w", u.s.url(u.name), err)
		return 0, u.err
	}
	if u.parts != nil {
		if u.err = u.parts.failure(); u.err != nil {
			return 0, u.err
		}
	}
	n, err := u.spool.Write(p)
	if err != nil {
		u.err = fmt.Errorf("write %s: %w", u.s.url(u.name), err)
		return n, u.err
	}
	u.err = u.offer()
	return n, u.err
}

// offer lets the parts go up that are complete.
func (u *upload) offer() error {
	if u.parts == nil {
		if u.spool.size <= u.s.config.Threshold {
			return nil
		}
		u.parts = startParts(u, u.s.has(checksums))
	}
	return u.parts.offer(u.spool.size)
}

// Commit publishes what is spooled.
func (u *upload) Commit(want remote.Digest) error {
	if u.ended {
		return fmt.Errorf("publish %s: %w", u.s.url(u.name), fs.ErrClosed)
	}
	u.ended = true
	err := u.commit(want)
	_ = u.spool.close() // what was in it is in the store, or not wanted
	return err
}

func (u *upload) commit(want remote.Digest) error {
	if err := u.ctx.Err(); u.err == nil && err != nil {
		u.err = fmt.Errorf("publish %s: %w", u.s.url(u.name), err)
	}
	if u.err != nil {
		return errors.Join(u.err, u.dropParts())
	}
	whole, err := u.check(want)
	if err != nil {
		return errors.Join(err, u.dropParts())
	}
	at, err := u.publish(whole)
	if err != nil {
		return errors.Join(err, u.dropParts())
	}
	if err = u.readBack(at, whole, want); err == nil {
		err = u.checkLocked()
	}
	if err != nil {
		return errors.Join(err, u.takeBack(at))
	}
	return nil
}

// Abort drops what is spooled, and the parts that went up.
func (u *upload) Abort() error {
	if u.ended {
		return nil
	}
	u.ended = true
	return errors.Join(u.dropParts(), u.spool.close())
}

// check reads the spool, and compares it with what was to be written and with the
// parts as they were sent.
func (u *upload) check(want remote.Digest) (sums, error) {
	if u.parts == nil {
		whole, err := u.spool.sum(u.ctx, 0, u.spool.size, u.s.wantsMD5())
		return whole, u.compare(whole, want, err)
	}
	u.parts.finish(u.spool.size) // they go on while the spool is read
	whole, pieces, err := u.spool.sumAll(u.ctx, u.s.config.PartSize, u.s.wantsMD5())
	if err := u.compare(whole, want, err); err != nil {
		return sums{}, err
	}
	sent, err := u.parts.wait()
	if err != nil {
		return sums{}, err
	}
	for i, piece := range pieces {
		if sent[i].crc32c != piece {
			return sums{}, fmt.Errorf("publish %s: %w: the spool has changed since part %d was sent", u.s.url(u.name), remote.ErrDigest, i+1)
		}
	}
	return whole, nil
}

func (u *upload) compare(got sums, want remote.Digest, err error) error {
	if err != nil {
		return fmt.Errorf("publish %s: %w", u.s.url(u.name), err)
	}
	if got.Digest != want {
		return fmt.Errorf("publish %s: %w: the spool holds %d bytes with SHA-256 %x, where %d with %x were written",
			u.s.url(u.name), remote.ErrDigest, got.Size, got.SHA256, want.Size, want.SHA256)
	}
	return nil
}

// dropParts ends the parts' upload, if there is one, whatever became of the
// context.
func (u *upload) dropParts() error {
	if u.parts == nil {
		return nil
	}
	parts := u.parts
	u.parts = nil
	return parts.abort()
}

// wantsMD5 tells whether Content-MD5 is sent: S3 wants it of what it locks, and other
// stores know no other checksum.
func (s *Store) wantsMD5() bool { return s.locking() || !s.has(checksums) }

// md5 is the Content-MD5 of the piece of the spool from off that has these sums; empty:
// none is to be sent.
func (u *upload) md5(ctx context.Context, off int64, of sums, checksums bool) (string, error) {
	switch {
	case checksums && !u.s.locking():
		return "", nil
	case of.md5 != nil:
		return of.md5Base64(), nil
	}
	again, err := u.spool.sum(ctx, off, of.Size, true)
	if err == nil && again.Digest != of.Digest {
		err = fmt.Errorf("%w: the spool has changed", remote.ErrDigest)
	}
	return again.md5Base64(), err
}

// options are what each object is to be like.
func (u *upload) options() minio.PutObjectOptions {
	c := u.s.config
	return minio.PutObjectOptions{
		UserMetadata:         map[string]string{uploadID: u.id},
		UserTags:             c.Tags,
		Mode:                 minio.RetentionMode(c.LockMode),
		RetainUntilDate:      c.RetainUntil,
		StorageClass:         u.class,
		ServerSideEncryption: c.encryption(),
		DisableContentSha256: true, // the stream's: the whole body's is sent
	}
}

// uploadID is the metadata by which an upload knows its object again.
const uploadID = "Kubeferry-Upload"
