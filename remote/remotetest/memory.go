package remotetest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/kubeferry/kubeferry/remote"
)

// Memory is a store in memory. The zero value is empty and ready.
type Memory struct {
	// Fault, if there is one, is asked before each operation and makes it fail
	// with the error it answers. The operations are create, write, commit,
	// abort, open, read, remove, and list, which is asked once with the prefix
	// and then before each object. Calls may be concurrent. A test counts the
	// faults that fired.
	Fault func(op, name string) error

	mu      sync.Mutex
	objects map[string]stored
}

type stored struct {
	data     []byte
	modified time.Time
}

var _ remote.Store = (*Memory)(nil)

// Put sets an object, whatever was there: for tests that forge or damage one.
func (m *Memory) Put(name string, data []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.objects == nil {
		m.objects = make(map[string]stored)
	}
	m.objects[name] = stored{bytes.Clone(data), time.Now().UTC()}
}

// Get returns a copy of an object's bytes, and whether there is one.
func (m *Memory) Get(name string) ([]byte, bool) {
	o, ok := m.lookup(name)
	return bytes.Clone(o.data), ok
}

func (m *Memory) lookup(name string) (stored, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	o, ok := m.objects[name]
	return o, ok
}

// begin is what each operation asks first.
func (m *Memory) begin(ctx context.Context, op, name string) error {
	if err := ctx.Err(); err != nil {
		return memError(op, name, err)
	}
	if m.Fault == nil {
		return nil
	}
	if err := m.Fault(op, name); err != nil {
		return memError(op, name, err)
	}
	return nil
}

func memError(op, name string, err error) error {
	return fmt.Errorf("%s %s in memory: %w", op, name, remote.System(err))
}

func validName(name string) bool { return fs.ValidPath(name) && name != "." }

// Create begins an object.
func (m *Memory) Create(ctx context.Context, name string) (remote.Upload, error) {
	if err := m.begin(ctx, "create", name); err != nil {
		return nil, err
	}
	if !validName(name) {
		return nil, memError("create", name, fs.ErrInvalid)
	}
	if _, ok := m.lookup(name); ok {
		return nil, memError("create", name, fs.ErrExist)
	}
	return &upload{ctx: ctx, m: m, name: name}, nil
}

// Open opens an object.
func (m *Memory) Open(ctx context.Context, name string) (remote.Object, error) {
	if err := m.begin(ctx, "open", name); err != nil {
		return nil, err
	}
	if !validName(name) {
		return nil, memError("open", name, fs.ErrInvalid)
	}
	o, ok := m.lookup(name)
	if !ok {
		return nil, memError("open", name, fs.ErrNotExist)
	}
	return &object{ctx, m, name, bytes.NewReader(o.data)}, nil
}

// List yields the objects in order of names, as they were when it began.
func (m *Memory) List(ctx context.Context, prefix string) iter.Seq2[remote.Info, error] {
	return func(yield func(remote.Info, error) bool) {
		if err := m.begin(ctx, "list", prefix); err != nil {
			yield(remote.Info{}, err)
			return
		}
		m.mu.Lock()
		objects := maps.Clone(m.objects)
		m.mu.Unlock()
		for _, name := range slices.Sorted(maps.Keys(objects)) {
			if !strings.HasPrefix(name, prefix) {
				continue
			}
			if err := m.begin(ctx, "list", name); err != nil {
				yield(remote.Info{}, err)
				return
			}
			o := objects[name]
			if !yield(remote.Info{Name: name, Size: int64(len(o.data)), Modified: o.modified}, nil) {
				return
			}
		}
	}
}

// Remove removes an object.
func (m *Memory) Remove(ctx context.Context, name string) error {
	if err := m.begin(ctx, "remove", name); err != nil {
		return err
	}
	if !validName(name) {
		return memError("remove", name, fs.ErrInvalid)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.objects[name]; !ok {
		return memError("remove", name, fs.ErrNotExist)
	}
	delete(m.objects, name)
	return nil
}

type upload struct {
	ctx  context.Context
	m    *Memory
	name string
	data []byte
	err  error // of a write, or that it has ended
}

func (u *upload) Write(p []byte) (int, error) {
	if u.err != nil {
		return 0, u.err
	}
	if u.err = u.m.begin(u.ctx, "write", u.name); u.err != nil {
		return 0, u.err
	}
	u.data = append(u.data, p...)
	return len(p), nil
}

func (u *upload) Commit(want remote.Digest) error {
	if u.err != nil {
		return u.err
	}
	u.err = memError("use", u.name, fs.ErrClosed)
	if err := u.m.begin(u.ctx, "commit", u.name); err != nil {
		return err
	}
	if got := remote.DigestOf(u.data); got != want {
		return memError("commit", u.name, remote.ErrDigest)
	}
	u.m.mu.Lock()
	defer u.m.mu.Unlock()
	if _, ok := u.m.objects[u.name]; ok {
		return memError("commit", u.name, fs.ErrExist)
	}
	if u.m.objects == nil {
		u.m.objects = make(map[string]stored)
	}
	u.m.objects[u.name] = stored{u.data, time.Now().UTC()}
	return nil
}

func (u *upload) Abort() error {
	u.err = memError("use", u.name, fs.ErrClosed)
	return u.m.begin(context.Background(), "abort", u.name)
}

type object struct {
	ctx  context.Context
	m    *Memory
	name string
	data *bytes.Reader
}

func (o *object) Size() int64  { return o.data.Size() }
func (o *object) Close() error { return nil }

func (o *object) ReadAt(p []byte, off int64) (int, error) {
	if err := o.m.begin(o.ctx, "read", o.name); err != nil {
		return 0, err
	}
	n, err := o.data.ReadAt(p, off)
	if err != nil && err != io.EOF {
		err = memError("read", o.name, err)
	}
	return n, err
}
