package s3

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/minio/minio-go/v7"
	"golang.org/x/sync/errgroup"

	"github.com/kubeferry/kubeferry/remote"
)

const (
	maxParts = 10_000 // of S3
	parallel = 3      // parts on their way at once
)

// parts are a multipart upload that is fed while the spool is written. One
// goroutine serves it, and the requests that this one has started; finish or abort
// ends them all.
type parts struct {
	u       *upload
	ctx     context.Context
	cancel  context.CancelFunc
	ready   chan piece // it has room for all, so that nobody waits
	offered int
	closed  bool
	done    chan struct{}

	checksums   bool        // it was begun with them; each of its parts has one then, and its end
	interrupted atomic.Bool // a part may have been on its way when the context ended

	mu   sync.Mutex
	id   string // of the multipart upload; empty: not begun
	sent []part
	err  error
}

// A piece of the spool is to be a part.
type piece struct {
	n    int // from 0
	size int64
}

// A part is one that the store has.
type part struct {
	crc32c uint32
	etag   string
}

func startParts(u *upload, checksums bool) *parts {
	ctx, cancel := context.WithCancel(u.ctx)
	p := &parts{u: u, ctx: ctx, cancel: cancel, checksums: checksums, ready: make(chan piece, maxParts), done: make(chan struct{})}
	go p.run()
	return p
}

// offer lets all parts go up that a spool of this size holds whole.
func (p *parts) offer(size int64) error {
	for whole := p.u.s.config.PartSize; int64(p.offered+1)*whole <= size; {
		if err := p.push(whole); err != nil {
			return err
		}
	}
	return nil
}

func (p *parts) push(size int64) error {
	if p.offered == maxParts {
		return fmt.Errorf("write %s: %w: S3 takes %d parts, of %d bytes here: choose larger ones",
			p.u.s.url(p.u.name), remote.ErrNoSpace, maxParts, p.u.s.config.PartSize)
	}
	p.ready <- piece{p.offered, size}
	p.offered++
	return nil
}

// finish lets the rest go up. No part is offered after it.
func (p *parts) finish(size int64) {
	if rest := size - int64(p.offered)*p.u.s.config.PartSize; rest > 0 {
		if err := p.push(rest); err != nil {
			p.fail(err)
		}
	}
	p.close()
}

// close tells run that there are no more.
func (p *parts) close() {
	if !p.closed {
		p.closed = true
		close(p.ready)
	}
}

// wait returns the parts when all are there.
func (p *parts) wait() ([]part, error) {
	<-p.done
	return p.sent, p.failure()
}

func (p *parts) failure() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}

func (p *parts) fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err == nil {
		p.err = err
	}
}

// run sends what is ready, until there is no more or an error.
func (p *parts) run() {
	defer close(p.done)
	defer p.cancel()
	if err := p.begin(); err != nil {
		p.fail(err)
		return
	}
	group, ctx := errgroup.WithContext(p.ctx)
	group.SetLimit(parallel)
	for more := true; more; {
		select {
		case next, ok := <-p.ready:
			if more = ok; ok {
				group.Go(func() error {
					err := p.send(ctx, next)
					if err != nil {
						p.fail(err) // at once, for Write to see
					}
					return err
				})
			}
		case <-ctx.Done():
			more = false
		}
	}
	if err := group.Wait(); err != nil {
		p.fail(err)
	}
	if err := p.ctx.Err(); err != nil {
		p.fail(p.u.s.explain("write", "s3:PutObject", p.u.name, err))
	}
}

// begin asks for the multipart upload. An answer that is lost leaves one behind
// without parts, which Incomplete finds.
func (p *parts) begin() error {
	s := p.u.s
	err := s.either(p.ctx, "begin the upload of "+p.u.name, p.checksums, func(ctx context.Context, checksums bool) error {
		p.checksums = checksums
		options := p.u.options()
		if checksums {
			options.UserMetadata["X-Amz-Checksum-Algorithm"] = "CRC32C"
			options.UserMetadata["X-Amz-Checksum-Type"] = "FULL_OBJECT"
		}
		id, err := s.core.NewMultipartUpload(ctx, s.at.Bucket, s.key(p.u.name), options)
		p.id = id
		return err
	})
	return s.explain("begin the upload of", "s3:PutObject", p.u.name, err)
}

// send sends a part, as often as it takes.
func (p *parts) send(ctx context.Context, next piece) error {
	s, spool, n, size := p.u.s, p.u.spool, next.n, next.size
	off := int64(n) * s.config.PartSize
	sums, err := spool.sum(ctx, off, size, s.wantsMD5())
	if err != nil {
		return fmt.Errorf("write %s: %w", s.url(p.u.name), err)
	}
	var sent minio.ObjectPart
	err = s.either(ctx, fmt.Sprintf("send part %d of %s", n+1, p.u.name), p.checksums, func(ctx context.Context, checksums bool) error {
		options := minio.PutObjectPartOptions{Sha256Hex: sums.sha256Hex(), DisableContentSha256: true, CustomHeader: http.Header{}}
		if checksums {
			options.CustomHeader.Set("X-Amz-Checksum-Crc32c", sums.crc32cBase64())
		}
		md5, err := p.u.md5(ctx, off, sums, checksums)
		if err != nil {
			return err
		}
		options.Md5Base64 = md5
		sent, err = s.core.PutObjectPart(ctx, s.at.Bucket, s.key(p.u.name), p.id, n+1, spool.section(off, size), size, options)
		return err
	})
	if err == nil && sent.ChecksumCRC32C != "" && sent.ChecksumCRC32C != sums.crc32cBase64() {
		err = &damage{fmt.Sprintf("the store has part %d with CRC32C %s, and %s was sent", n+1, line(sent.ChecksumCRC32C), sums.crc32cBase64())}
	}
	if err != nil {
		p.interrupted.Store(true) // its request may be on the way still
		return s.explain("write", "s3:PutObject", p.u.name, err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.sent) <= n {
		p.sent = append(p.sent, part{})
	}
	p.sent[n] = part{sums.crc32c, sent.ETag}
	return nil
}

// abort ends the requests and then the upload, on a context of its own.
func (p *parts) abort() error {
	p.cancel()
	p.close()
	<-p.done
	if p.id == "" {
		return nil
	}
	ctx, done := settling(p.ctx)
	defer done()
	for pause := 100 * time.Millisecond; ; pause *= 2 {
		err := p.u.s.AbortIncomplete(ctx, Incomplete{Name: p.u.name, ID: p.id})
		switch {
		case err != nil && !errors.Is(err, fs.ErrNotExist):
			return fmt.Errorf("an unfinished upload is left behind: %w", err)
		case !p.interrupted.Load(), pause > time.Second:
			return nil
		}
		// A part whose request was broken off may arrive still, and then S3 wants the
		// upload aborted once more: that it is gone now does not say that it stays so.
		time.Sleep(pause)
	}
}
