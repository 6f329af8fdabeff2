package dir

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/kubeferry/kubeferry/remote"
	"github.com/kubeferry/kubeferry/remote/remotetest"
)

// faults records the steps of an upload and makes one of them fail.
type faults struct {
	step  string // which to fail: "write", "sync", …
	nth   int    // its how manyth call, from 1
	err   error
	trace []string
	fired int
	way   Way // of naming, in the folder
}

// do notes the step and answers its fault, if it is the one.
func (f *faults) do(step string) error {
	f.trace = append(f.trace, step)
	if step == f.step {
		if f.nth--; f.nth == 0 {
			f.fired++
			return f.err
		}
	}
	return nil
}

// store is a store that f watches, once it has probed its folder.
func (f *faults) store(t *testing.T, path string) *Store {
	t.Helper()
	s, l := New(path, Options{}), lackingFor(f.way)
	l.wrap(s)
	if notes, err := s.Probe(t.Context()); err != nil || notes.Naming != f.way {
		t.Fatalf("got %+v, %v, want the way %s", notes, err, f.way)
	}
	s.disk = wrapped(func(d *osFolder) folder { return &faultyFolder{&lackingFolder{d, l}, f} })
	return s
}

// wrapped opens folders as a store does, and puts wrap around them.
func wrapped(wrap func(*osFolder) folder) func(string) (folder, error) {
	return func(path string) (folder, error) {
		d, err := openFolder(path)
		if err != nil {
			return nil, err
		}
		return wrap(d.(*osFolder)), nil
	}
}

type faultyFolder struct {
	folder
	f *faults
}

func (d *faultyFolder) create(name string) (file, error) {
	if err := d.f.do("create"); err != nil {
		return nil, err
	}
	f, err := d.folder.create(name)
	return &faultyFile{f, d.f, ""}, err
}

func (d *faultyFolder) open(name string) (file, error) {
	if err := d.f.do("reopen"); err != nil {
		return nil, err
	}
	f, err := d.folder.open(name)
	return &faultyFile{f, d.f, " reopened"}, err
}

func (d *faultyFolder) rename(from, to string) error {
	if err := d.f.do("rename"); err != nil {
		return err
	}
	return d.folder.rename(from, to)
}

func (d *faultyFolder) link(from, to string) error {
	if err := d.f.do("link"); err != nil {
		return err
	}
	return d.folder.link(from, to)
}

func (d *faultyFolder) replace(from, to string) error {
	if err := d.f.do("replace"); err != nil {
		return err
	}
	return d.folder.replace(from, to)
}

func (d *faultyFolder) remove(name string) error {
	if err := d.f.do("remove"); err != nil {
		return err
	}
	return d.folder.remove(name)
}

func (d *faultyFolder) sync() error {
	if err := d.f.do("sync folder"); err != nil {
		return err
	}
	return d.folder.sync()
}

type faultyFile struct {
	file
	f    *faults
	mark string
}

// Write takes half of what it is given before it fails.
func (f *faultyFile) Write(p []byte) (int, error) {
	if err := f.f.do("write"); err != nil {
		n, _ := f.file.Write(p[:len(p)/2]) // the fault counts
		return n, err
	}
	return f.file.Write(p)
}

func (f *faultyFile) Read(p []byte) (int, error) {
	if err := f.f.do("read"); err != nil {
		return 0, err
	}
	return f.file.Read(p)
}

func (f *faultyFile) Sync() error {
	if err := f.f.do("sync"); err != nil {
		return err
	}
	return f.file.Sync()
}

func (f *faultyFile) Close() error {
	err := f.f.do("close" + f.mark)
	return errors.Join(err, f.file.Close())
}

var content = bytes.Repeat([]byte("0123456789abcdef"), 4096)

// publish writes content in three pieces and commits it.
func publish(ctx context.Context, s *Store, name string) error {
	u, err := s.Create(ctx, name)
	if err != nil {
		return err
	}
	for piece := range [3]int{} {
		if _, err := u.Write(content[piece*len(content)/3 : (piece+1)*len(content)/3]); err != nil {
			return errors.Join(err, u.Abort())
		}
	}
	if err := u.Commit(remote.DigestOf(content)); err != nil {
		return errors.Join(err, u.Abort())
	}
	return nil
}

func TestStepsComeInOrder(t *testing.T) { // LP1
	var f faults
	s := f.store(t, t.TempDir())
	if err := publish(t.Context(), s, "a"); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, step := range f.trace {
		if step != "read" || got[len(got)-1] != "read" {
			got = append(got, step)
		}
	}
	want := []string{"create", "write", "write", "write", "sync", "close", "reopen", "read", "close reopened", "rename", "sync folder"}
	if diff := cmp.Diff(got, want); diff != "" {
		t.Errorf("steps (-got +want):\n%s", diff)
	}
}

// TestEveryFailedStepLeavesTheOldState fails each step of each way with each error:
// rows L01 and L05.
func TestEveryFailedStepLeavesTheOldState(t *testing.T) {
	for _, w := range ways {
		steps := map[string]int{"create": 1, "write": 3, "sync": 1, "close": 1, "reopen": 1, "read": 2, "close reopened": 1, "sync folder": 1}
		syncs := 1
		switch w {
		case Rename:
			steps["rename"] = 1
		case Link:
			steps["link"], steps["remove"] = 1, 1
		case Reserve:
			steps["replace"], steps["create"], steps["close"] = 1, 2, 2
		case Copy:
			steps["create"], steps["write"], steps["sync"], steps["close"] = 2, 5, 2, 2
			steps["reopen"], steps["read"] = 3, 9
			syncs = 2 // of two files
		}
		for step, times := range steps {
			for nth := 1; nth <= times; nth++ {
				for errno, want := range map[syscall.Errno]error{
					unix.EIO: unix.EIO, unix.ENOSPC: remote.ErrNoSpace, unix.EDQUOT: remote.ErrNoSpace, unix.EFBIG: remote.ErrNoSpace,
					unix.EACCES: fs.ErrPermission, unix.EPERM: fs.ErrPermission, unix.EROFS: fs.ErrPermission,
				} {
					t.Run(fmt.Sprintf("%s, %s %d %v", w, step, nth, errno), func(t *testing.T) {
						f := &faults{step: step, nth: nth, err: &fs.PathError{Op: "test", Path: "x", Err: errno}, way: w}
						failOnce(t, f, want, errno)
						assertNotRepeated(t, f.trace, "sync", syncs)
						assertNotRepeated(t, f.trace, "sync folder", 1)
					})
				}
			}
		}
	}
}

// failOnce publishes with a fault, which must be what the error tells, and must leave
// what was there before and nothing else.
func failOnce(t *testing.T, f *faults, want, errno error) {
	t.Helper()
	path := t.TempDir()
	remotetest.Publish(t, New(path, Options{}), "before", []byte("intact"))
	err := publish(t.Context(), f.store(t, path), "after")
	if !errors.Is(err, want) || !errors.Is(err, errno) {
		t.Errorf("got %v, want %v for %v", err, want, errno)
	}
	if err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("got %v, want an error that names %s", err, path)
	}
	if f.fired != 1 {
		t.Errorf("the fault fired %d times, want 1", f.fired)
	}
	assertFiles(t, path, "before")
	if got := string(remotetest.Read(t, New(path, Options{}), "before")); got != "intact" {
		t.Errorf("the object before is now %q", got)
	}
}

func assertNotRepeated(t *testing.T, trace []string, step string, most int) {
	t.Helper()
	n := 0
	for _, s := range trace {
		if s == step {
			n++
		}
	}
	if n > most {
		t.Errorf("%s came %d times", step, n)
	}
}

func TestNoSpaceTellsWhatIsFree(t *testing.T) {
	f := &faults{step: "write", nth: 2, err: unix.ENOSPC}
	err := publish(t.Context(), f.store(t, t.TempDir()), "a")
	if !errors.Is(err, remote.ErrNoSpace) || !strings.Contains(err.Error(), "MiB free)") || f.fired != 1 {
		t.Errorf("got %v after %d faults", err, f.fired)
	}
}

func TestAFolderThatCannotBeSyncedIsNoFault(t *testing.T) { // L05
	for _, errno := range []error{unix.EINVAL, unix.ENOTSUP} {
		f := &faults{step: "sync folder", nth: 1, err: errno}
		s := f.store(t, t.TempDir())
		if err := publish(t.Context(), s, "a"); err != nil || f.fired != 1 {
			t.Errorf("%v: got %v after %d faults, want success after 1", errno, err, f.fired)
		}
		if got := remotetest.Read(t, s, "a"); !bytes.Equal(got, content) {
			t.Errorf("%v: got %d other bytes", errno, len(got))
		}
	}
}

func TestAFailedWriteSticks(t *testing.T) {
	f := &faults{step: "write", nth: 1, err: unix.EIO}
	path := t.TempDir()
	u, err := f.store(t, path).Create(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := u.Write([]byte("ab")); !errors.Is(err, unix.EIO) {
			t.Errorf("write: got %v, want EIO", err)
		}
	}
	if err := u.Commit(remote.DigestOf([]byte("a"))); !errors.Is(err, unix.EIO) || f.fired != 1 {
		t.Errorf("commit: got %v after %d faults, want EIO", err, f.fired)
	}
	assertFiles(t, path)
}

func TestCleaningUpThatFailsIsReported(t *testing.T) {
	path := t.TempDir()
	f := &faults{step: "remove", nth: 1, err: unix.EIO}
	u, err := f.store(t, path).Create(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	if err := u.Abort(); !errors.Is(err, unix.EIO) || !strings.Contains(err.Error(), ".partial is left behind") || f.fired != 1 {
		t.Errorf("got %v after %d faults, want EIO about the partial", err, f.fired)
	}
	if got := files(t, path); len(got) != 1 || !partialName.MatchString(got[0]) {
		t.Errorf("got %q, want the partial", got)
	}
}

// cancelling ends its context when the read back begins.
type cancelling struct {
	*osFolder
	cancel context.CancelFunc
	fired  int
}

func (c *cancelling) open(name string) (file, error) {
	c.fired++
	c.cancel()
	return c.osFolder.open(name)
}

func TestCancelledWhileReadingBack(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	path := t.TempDir()
	s := New(path, Options{})
	var c *cancelling
	s.disk = wrapped(func(d *osFolder) folder {
		c = &cancelling{d, cancel, 0}
		return c
	})
	if err := publish(ctx, s, "a"); !errors.Is(err, context.Canceled) || c.fired != 1 {
		t.Errorf("got %v after %d, want context.Canceled", err, c.fired)
	}
	assertFiles(t, path)
}

// flipping changes a byte of the partial between its sync and its reading.
type flipping struct {
	*osFolder
	fired int
}

func (d *flipping) open(name string) (file, error) {
	f, err := d.root.OpenFile(name, unix.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	d.fired++
	if _, err := f.WriteAt([]byte("X"), 5); err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

func TestReadingBackFindsAMediumThatLies(t *testing.T) { // AR3 (iii)
	path := t.TempDir()
	s := New(path, Options{})
	var d *flipping
	s.disk = wrapped(func(f *osFolder) folder {
		d = &flipping{osFolder: f}
		return d
	})
	err := publish(t.Context(), s, "a")
	if !errors.Is(err, remote.ErrDigest) || !strings.Contains(err.Error(), filepath.Join(path, "a")) || d.fired != 1 {
		t.Errorf("got %v after %d faults, want ErrDigest", err, d.fired)
	}
	assertFiles(t, path)
}
