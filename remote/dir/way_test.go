package dir

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/kubeferry/kubeferry/remote"
	"github.com/kubeferry/kubeferry/remote/remotetest"
)

// lacking are the calls that a folder does not know, with what it answers, and how often
// each was made.
type lacking struct {
	calls map[string]error
	fired map[string]int
}

// lackingFor leaves a folder with this way as the best one.
func lackingFor(w Way) *lacking {
	l := &lacking{map[string]error{}, map[string]int{}}
	for i, call := range []string{"rename", "link", "replace"} {
		if Way(i) < w {
			l.calls[call] = unix.EINVAL
		}
	}
	return l
}

func (l *lacking) do(call string) error {
	if err := l.calls[call]; err != nil {
		l.fired[call]++
		return err
	}
	return nil
}

// wrap takes the calls from the folders of a store.
func (l *lacking) wrap(s *Store) {
	s.disk = wrapped(func(d *osFolder) folder { return &lackingFolder{d, l} })
}

// storeThat is a store whose folder has this way as the best one.
func storeThat(t *testing.T, w Way) *Store {
	s := New(t.TempDir(), Options{})
	lackingFor(w).wrap(s)
	return s
}

type lackingFolder struct {
	*osFolder
	l *lacking
}

func (d *lackingFolder) create(name string) (file, error) {
	if err := d.l.do("create"); err != nil {
		return nil, err
	}
	f, err := d.osFolder.create(name)
	if err != nil {
		return nil, err
	}
	return &lackingFile{f, d.l}, nil
}

func (d *lackingFolder) rename(from, to string) error {
	if err := d.l.do("rename"); err != nil {
		return err
	}
	return d.osFolder.rename(from, to)
}

func (d *lackingFolder) link(from, to string) error {
	if err := d.l.do("link"); err != nil {
		return err
	}
	return d.osFolder.link(from, to)
}

func (d *lackingFolder) replace(from, to string) error {
	if err := d.l.do("replace"); err != nil {
		return err
	}
	return d.osFolder.replace(from, to)
}

func (d *lackingFolder) remove(name string) error {
	if err := d.l.do("remove"); err != nil {
		return err
	}
	return d.osFolder.remove(name)
}

func (d *lackingFolder) lock(name string) (file, error) {
	if err := d.l.do("lock"); err != nil {
		return nil, err
	}
	return d.osFolder.lock(name)
}

type lackingFile struct {
	file
	l *lacking
}

func (f *lackingFile) lock() error {
	if err := f.l.do("lock"); err != nil {
		return err
	}
	return f.file.lock()
}

// TestStoreInEachWay: C04. The last ones copy from a folder of their own.
func TestStoreInEachWay(t *testing.T) {
	for _, w := range ways {
		t.Run(w.String(), func(t *testing.T) {
			remotetest.Run(t, func(t *testing.T) remote.Store { return storeThat(t, w) })
		})
	}
	t.Run("copy from a spool", func(t *testing.T) {
		remotetest.Run(t, func(t *testing.T) remote.Store {
			s := storeThat(t, Copy)
			s.options.Spool = t.TempDir()
			t.Cleanup(func() { assertFiles(t, s.options.Spool) })
			return s
		})
	})
}

// strange are the answers of file systems to calls that they do not know.
var strange = []syscall.Errno{unix.EINVAL, unix.EPERM, unix.ENOSYS, unix.EOPNOTSUPP, unix.EMLINK, unix.EXDEV}

// TestTheProbeFindsTheBestWay: C04, with each answer to each call. An answer that says
// that a call failed, and not that it is unknown, is no reason to go on in another way.
func TestTheProbeFindsTheBestWay(t *testing.T) {
	calls := []string{"rename", "link", "replace"}
	for _, number := range strange {
		for n := 1; n <= len(calls); n++ {
			path, l := t.TempDir(), &lacking{map[string]error{}, map[string]int{}}
			for _, call := range calls[:n] {
				l.calls[call] = &os.LinkError{Op: "test", Old: "x", New: "y", Err: number}
			}
			s := New(path, Options{})
			l.wrap(s)
			notes, err := s.Probe(t.Context())
			if err != nil || notes.Naming != Way(n) || strings.Count(notes.Why, number.Error()) != n {
				t.Errorf("%v of %q: got %+v, %v", number, calls[:n], notes, err)
			}
			assertFiles(t, path)
			if err := publish(t.Context(), s, "a"); err != nil {
				t.Errorf("%v of %q: %v", number, calls[:n], err)
			}
			for _, call := range calls[:n] {
				if got := l.fired[call]; got != 1 {
					t.Errorf("%v of %q: %s was tried %d times, want once: by the probe", number, calls[:n], call, got)
				}
			}
			assertFiles(t, path, "a")
			if got := remotetest.Read(t, s, "a"); !bytes.Equal(got, content) {
				t.Errorf("%v of %q: got %d other bytes", number, calls[:n], len(got))
			}
		}
		for i, call := range calls {
			path, l := t.TempDir(), lackingFor(Way(i))
			l.calls[call] = unix.EIO
			s := New(path, Options{})
			l.wrap(s)
			if _, err := s.Probe(t.Context()); !errors.Is(err, unix.EIO) || !errors.Is(err, remote.ErrUnavailable) || l.fired[call] != 1 {
				t.Errorf("%s: got %v after %d faults, want EIO", call, err, l.fired[call])
			}
			assertFiles(t, path)
		}
	}
}

func TestAProbeOfAFolderThatIsNotThereLeavesNothing(t *testing.T) {
	parent := t.TempDir()
	s := New(filepath.Join(parent, "a", "b"), Options{})
	if notes, err := s.Probe(t.Context()); err != nil || notes.Why != "" {
		t.Errorf("%+v, %v", notes, err)
	}
	if left, err := os.ReadDir(parent); err != nil || len(left) > 0 {
		t.Errorf("%v, %v", left, err)
	}
	remotetest.Publish(t, s, "a", []byte("x"))
}

// TestAFolderWithoutLocks: C04. Locks are a courtesy, whatever the answer.
func TestAFolderWithoutLocks(t *testing.T) {
	for _, number := range append([]syscall.Errno{unix.EACCES, unix.EIO, unix.ENOLCK, unix.ENOTTY}, strange...) {
		path, l := t.TempDir(), &lacking{map[string]error{"lock": os.NewSyscallError("flock", number)}, map[string]int{}}
		s := New(path, Options{})
		l.wrap(s)
		notes, err := s.Probe(t.Context())
		if diff := cmp.Diff(notes, Notes{NoLocks: number.Error()}); err != nil || diff != "" {
			t.Errorf("%v: %v (-got +want):\n%s", number, err, diff)
		}
		if err := publish(t.Context(), s, "a"); err != nil || l.fired["lock"] != 2 {
			t.Errorf("%v: got %v after %d faults, want success after 2", number, err, l.fired["lock"])
		}
		assertFiles(t, path, "a")
	}
}

// TestAFolderInWhichNothingWorks: C04, where the reason is all that can be told.
func TestAFolderInWhichNothingWorks(t *testing.T) {
	for _, number := range strange {
		for _, call := range []string{"create", "remove"} {
			path, l := t.TempDir(), &lacking{map[string]error{call: number}, map[string]int{}}
			s := New(path, Options{})
			l.wrap(s)
			_, err := s.Probe(t.Context())
			if !errors.Is(err, ErrUnfit) || !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), number.Error()) || !strings.Contains(err.Error(), path) {
				t.Errorf("%s, %v: got %v, want ErrUnfit with the reason", call, number, err)
			}
			if _, err := s.Create(t.Context(), "a"); !errors.Is(err, ErrUnfit) || l.fired[call] < 2 {
				t.Errorf("%s, %v: create: got %v after %d faults, want ErrUnfit", call, number, err, l.fired[call])
			}
			if call == "create" {
				assertFiles(t, path)
			}
		}
	}
}

// TestACopyWaitsInTheSpool: what is not published yet lies in no folder but the spool.
func TestACopyWaitsInTheSpool(t *testing.T) {
	s := storeThat(t, Copy)
	s.options.Spool = t.TempDir()
	u, err := s.Create(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	assertFiles(t, s.path)
	if got := files(t, s.options.Spool); len(got) != 1 || !partialName.MatchString(got[0]) {
		t.Errorf("got %q in the spool, want a partial", got)
	} else if m := mode(t, filepath.Join(s.options.Spool, got[0])); m != 0o600 {
		t.Errorf("got mode %v, want 0600", m)
	}
	if err := u.Abort(); err != nil {
		t.Error(err)
	}
	assertFiles(t, s.options.Spool)
	s.options.Spool = filepath.Join(s.options.Spool, "missing")
	if _, err := s.Create(t.Context(), "a"); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), s.options.Spool) {
		t.Errorf("got %v, want an fs.ErrNotExist that names the spool", err)
	}
	assertFiles(t, s.path)
}

// TestAReservedNameIsToldAsOne: what a run leaves that was killed while it published.
func TestAReservedNameIsToldAsOne(t *testing.T) {
	s := storeThat(t, Reserve)
	write(t, s.join("a"), "")
	if _, err := s.Create(t.Context(), "a"); !errors.Is(err, ErrReserved) || !errors.Is(err, fs.ErrExist) {
		t.Errorf("got %v, want ErrReserved", err)
	}
}
