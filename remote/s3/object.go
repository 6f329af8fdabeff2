package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/minio/minio-go/v7"

	"github.com/kubeferry/kubeferry/remote"
)

// How far an object is read ahead: little, since the next read may be anywhere,
// and more and more where one read follows the other. Who reads near the end goes
// backwards, as from the end of a ZIP to its directory.
const (
	leastAhead = 128 << 10
	mostAhead  = 2 << 20
	tail       = 256 << 10
	maxWindows = 8 // readers side by side that are told apart; 16 MiB at most
)

// A version says which bytes are meant: those of an id, or else of an ETag.
type version struct{ id, etag string }

func versionOf(id, etag string) version {
	if id == "null" { // written before the bucket kept versions
		id = ""
	}
	return version{id, etag}
}

// A span is a range of an object; the zero one is all of it.
type span struct{ off, size int64 }

// options make a GET of a range of these bytes, and of no others if it is pinned.
func (v version) options(r span, pinned bool) (minio.GetObjectOptions, error) {
	o := minio.GetObjectOptions{VersionID: v.id}
	if pinned {
		if err := o.SetMatchETag(v.etag); err != nil {
			return o, err
		}
	}
	if r.size == 0 {
		return o, nil
	}
	return o, o.SetRange(r.off, r.off+r.size-1)
}

// Open opens an object and pins it: if it is replaced, reading fails.
func (s *Store) Open(ctx context.Context, name string) (remote.Object, error) {
	if err := s.check(ctx, "open", name); err != nil {
		return nil, err
	}
	info, err := s.find(ctx, name)
	if err != nil {
		return nil, err
	}
	return &object{ctx: ctx, s: s, name: name, size: info.Size, version: versionOf(info.VersionID, info.ETag)}, nil
}

// object is an open object. It keeps what it has read ahead.
type object struct {
	ctx     context.Context
	s       *Store
	name    string
	size    int64
	version version
	closed  atomic.Bool

	mu       sync.Mutex
	windows  []window // the one that was used last is the first
	expected window   // without bytes: what is going to be read, next bytes from off
}

// A window is a piece of the object. Its bytes are never written again.
type window struct {
	off  int64
	data []byte
	next int64 // how much to read if reading goes on behind it
}

// Expect says that the n bytes from off will be read, piece by piece, so that one
// request gets them.
func (o *object) Expect(off, n int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.expected = window{off: off, next: n}
}

func (w window) end() int64 { return w.off + int64(len(w.data)) }

func (o *object) Size() int64 { return o.size }

func (o *object) Close() error {
	o.closed.Store(true)
	o.mu.Lock()
	defer o.mu.Unlock()
	o.windows = nil
	return nil
}

func (o *object) ReadAt(p []byte, off int64) (int, error) {
	if o.closed.Load() {
		return 0, fmt.Errorf("read %s: %w", o.s.url(o.name), fs.ErrClosed)
	}
	if err := o.ctx.Err(); err != nil {
		return 0, fmt.Errorf("read %s: %w", o.s.url(o.name), err)
	}
	if off < 0 {
		return 0, fmt.Errorf("read %s at the negative offset %d%.0w", o.s.url(o.name), off, fs.ErrInvalid)
	}
	n := 0
	for n < len(p) {
		at := off + int64(n)
		if at >= o.size {
			return n, io.EOF
		}
		w, err := o.window(at, int64(len(p)-n))
		if err != nil {
			return n, o.s.explain("read", "s3:GetObject", o.name, err)
		}
		n += copy(p[n:], w.data[at-w.off:])
	}
	return n, nil
}

// window is one that holds the byte at off.
func (o *object) window(off, wanted int64) (window, error) {
	w, from, ahead := o.seek(off)
	if w.data != nil {
		return w, nil
	}
	size := min(max(off-from+wanted, ahead), mostAhead, o.size-from)
	data, err := o.s.fetch(o.ctx, o.name, o.version, from, size, o.size)
	if err != nil {
		return window{}, err
	}
	w = window{from, data, min(2*ahead, mostAhead)}
	o.keep(w)
	return w, nil
}

// seek finds the window that holds off, or from where and how far to read. A large
// window that ends there has been read through, and is let go.
func (o *object) seek(off int64) (w window, from, ahead int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for i, w := range o.windows {
		switch {
		case w.off <= off && off < w.end():
			copy(o.windows[1:i+1], o.windows[:i])
			o.windows[0] = w
			return w, 0, 0
		case w.end() == off:
			if len(w.data) == mostAhead {
				o.windows = append(o.windows[:i], o.windows[i+1:]...)
			}
			return window{}, off, w.next
		}
	}
	if e := o.expected; e.off <= off && off < e.off+e.next {
		return window{}, off, max(leastAhead, e.off+e.next-off)
	}
	if o.size-off < tail {
		return window{}, max(0, o.size-tail), tail
	}
	return window{}, off, leastAhead
}

func (o *object) keep(w window) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.windows = append([]window{w}, o.windows[:min(len(o.windows), maxWindows-1)]...)
}

// fetch gets a range of an object, or tells why the answer is not that range.
func (s *Store) fetch(ctx context.Context, name string, v version, off, size, total int64) ([]byte, error) {
	data := make([]byte, size)
	err := s.try(ctx, fmt.Sprintf("read %s at %d", name, off), func(ctx context.Context) error {
		body, err := s.get(ctx, name, v, span{off, size})
		if err != nil {
			return err
		}
		defer body.Close()
		want := fmt.Sprintf("bytes %d-%d/%d", off, off+size-1, total)
		if got := body.header.Get("Content-Range"); got != want && (size < total || got != "") {
			return &damage{fmt.Sprintf("the answer is the range %q, and not %q", line(got), want)}
		}
		return body.fill(data)
	})
	return data, err
}

// A body is the body of an answer.
type body struct {
	io.ReadCloser
	header interface{ Get(string) string }
}

// get asks for bytes of an object, and makes sure that they are the pinned one's.
func (s *Store) get(ctx context.Context, name string, v version, r span) (*body, error) {
	reader, info, header, err := s.getPinned(ctx, name, v, r)
	if response(err).StatusCode == 412 {
		return nil, errReplaced
	}
	if err != nil {
		return nil, err
	}
	if (v.id != "" && info.VersionID != v.id) || (v.etag != "" && info.ETag != v.etag) {
		_ = reader.Close() // it is not wanted
		return nil, &damage{"the answer is of another version of the object"}
	}
	return &body{reader, header}, nil
}

// getPinned is GetObject, without If-Match if the store refuses that: whoever asks
// compares the ETag of the answer too.
func (s *Store) getPinned(ctx context.Context, name string, v version, r span) (io.ReadCloser, minio.ObjectInfo, http.Header, error) {
	pinned := v.id == "" && v.etag != "" && s.has(pinning)
	options, err := v.options(r, pinned)
	if err != nil {
		return nil, minio.ObjectInfo{}, nil, err
	}
	reader, info, header, refusal := s.core.GetObject(ctx, s.at.Bucket, s.key(name), options)
	if !pinned || !refuses(refusal) {
		return reader, info, header, refusal
	}
	if options, err = v.options(r, false); err == nil {
		reader, info, header, err = s.core.GetObject(ctx, s.at.Bucket, s.key(name), options)
	}
	if err == nil {
		s.noteLack(pinning, refusal)
	}
	return reader, info, header, err
}

// errReplaced: the object that was pinned is not there any more.
var errReplaced = fmt.Errorf("it was replaced since it was opened%.0w", fs.ErrNotExist)

// fill reads data, and the end behind it.
func (b *body) fill(data []byte) error {
	n, err := io.ReadFull(b, data)
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return &damage{"the answer was cut off after " + strconv.Itoa(n) + " of " + strconv.Itoa(len(data)) + " bytes"}
	case err != nil:
		return err
	}
	if n, _ := b.Read(make([]byte, 1)); n > 0 {
		return &damage{"the answer is longer than " + strconv.Itoa(len(data)) + " bytes"}
	}
	return nil
}
