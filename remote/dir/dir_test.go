package dir

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/kubeferry/kubeferry/remote"
	"github.com/kubeferry/kubeferry/remote/remotetest"
)

func TestStore(t *testing.T) {
	remotetest.Run(t, func(t *testing.T) remote.Store { return New(t.TempDir(), Options{}) })
}

func TestStoreBesideOtherFiles(t *testing.T) {
	remotetest.Run(t, func(t *testing.T) remote.Store {
		path := t.TempDir()
		for _, name := range []string{".hidden", newPartial(), ".nfs0001"} {
			write(t, filepath.Join(path, name), "x")
		}
		mkfifo(t, filepath.Join(path, "fifo"))
		if err := errors.Join(os.Mkdir(filepath.Join(path, "folder"), 0o700), os.Symlink("nowhere", filepath.Join(path, "link"))); err != nil {
			t.Fatal(err)
		}
		return New(path, Options{})
	})
}

func write(t *testing.T, path, data string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(data), 0o644); err != nil {
		t.Fatal(err)
	}
}

func mkfifo(t *testing.T, path string) {
	t.Helper()
	if err := unix.Mkfifo(path, 0o644); err != nil {
		t.Fatal(err)
	}
}

func mode(t *testing.T, path string) fs.FileMode {
	t.Helper()
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Mode()
}

// files lists all that is in the folder, hidden files too.
func files(t *testing.T, path string) []string {
	t.Helper()
	entries, err := os.ReadDir(path)
	if err != nil {
		t.Fatal(err)
	}
	names := []string{}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func assertFiles(t *testing.T, path string, want ...string) {
	t.Helper()
	if diff := cmp.Diff(files(t, path), append([]string{}, want...)); diff != "" {
		t.Errorf("files (-got +want):\n%s", diff)
	}
}

func TestFilesAreForTheirOwnerWhateverTheUmask(t *testing.T) { // L09
	for _, umask := range []int{0o000, 0o022, 0o077, 0o277} {
		path := t.TempDir()
		old := unix.Umask(umask)
		s := New(path, Options{})
		u, err := s.Create(t.Context(), "a")
		var partials []string
		if err == nil {
			partials = files(t, path)
			_, err = u.Write([]byte("x"))
		}
		if err == nil {
			err = u.Commit(remote.DigestOf([]byte("x")))
		}
		unix.Umask(old)
		if err != nil {
			t.Fatalf("umask %#o: %v", umask, err)
		}
		if len(partials) != 1 || !partialName.MatchString(partials[0]) {
			t.Errorf("umask %#o: got %q while writing, want one partial", umask, partials)
		}
		if got := mode(t, filepath.Join(path, "a")); got != 0o600 {
			t.Errorf("umask %#o: got mode %v, want 0600", umask, got)
		}
	}
}

func TestPartialIsPrivateWhileItIsWritten(t *testing.T) {
	path := t.TempDir()
	u, err := New(path, Options{}).Create(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	if got := mode(t, filepath.Join(path, files(t, path)[0])); got != 0o600 {
		t.Errorf("got mode %v, want 0600", got)
	}
	if err := u.Abort(); err != nil {
		t.Error(err)
	}
	assertFiles(t, path)
}

func TestCreateMakesTheFolder(t *testing.T) {
	base := t.TempDir()
	s := New(filepath.Join(base, "a", "b"), Options{})
	for _, err := range s.List(t.Context(), "") {
		if !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("list: got %v, want fs.ErrNotExist", err)
		}
	}
	_, err := s.Open(t.Context(), "x")
	if err := errors.Join(err, s.Remove(t.Context(), "x")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("open and remove: got %v, want fs.ErrNotExist", err)
	}
	assertFiles(t, base)
	remotetest.Publish(t, s, "x", []byte("1"))
	for _, p := range []string{"a", "a/b"} {
		if got := mode(t, filepath.Join(base, p)).Perm(); got != 0o700 {
			t.Errorf("%s: got mode %v, want 0700", p, got)
		}
	}
}

func TestCreateRefusesWhatIsNoFolder(t *testing.T) {
	base := t.TempDir()
	write(t, filepath.Join(base, "file"), "x")
	if err := os.Symlink("nowhere", filepath.Join(base, "dangling")); err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{"file", "file/below", "dangling"} {
		if _, err := New(filepath.Join(base, p), Options{}).Create(t.Context(), "a"); err == nil || !strings.Contains(err.Error(), base) {
			t.Errorf("%s: got %v, want an error that names the path", p, err)
		}
	}
	assertFiles(t, base, "dangling", "file")
}

func TestCreateRefusesASharedFolder(t *testing.T) { // LP3, L08
	for m, want := range map[fs.FileMode]error{
		0o777: ErrShared, 0o722: ErrShared, 0o777 | fs.ModeSticky: nil, 0o775: nil, 0o700: nil,
	} {
		path := t.TempDir()
		if err := os.Chmod(path, m); err != nil {
			t.Fatal(err)
		}
		for _, p := range []string{path, linkTo(t, path)} {
			u, err := New(p, Options{}).Create(t.Context(), "a")
			if !errors.Is(err, want) {
				t.Errorf("mode %v: got %v, want %v", m, err, want)
			}
			if err == nil {
				err = u.Abort()
			} else {
				u, err = New(p, Options{AllowShared: true}).Create(t.Context(), "a")
				if err == nil {
					err = u.Abort()
				}
			}
			if err != nil {
				t.Errorf("mode %v: %v", m, err)
			}
		}
		assertFiles(t, path)
	}
}

func linkTo(t *testing.T, path string) string {
	t.Helper()
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	return link
}

func TestTakenNamesAreNotFollowed(t *testing.T) { // L07
	outside := filepath.Join(t.TempDir(), "outside")
	for name, take := range map[string]func(path string) error{
		"file":          func(p string) error { return os.WriteFile(p, []byte("old"), 0o600) },
		"folder":        func(p string) error { return os.Mkdir(p, 0o700) },
		"link":          func(p string) error { return os.Symlink("/etc/hostname", p) },
		"dangling link": func(p string) error { return os.Symlink(outside, p) },
		"FIFO":          func(p string) error { return unix.Mkfifo(p, 0o600) },
	} {
		t.Run(name, func(t *testing.T) {
			for _, w := range ways {
				s := storeThat(t, w)
				path := s.path
				final := filepath.Join(path, "a")
				late, err := s.Create(t.Context(), "a")
				if err != nil {
					t.Fatal(err)
				}
				if err := take(final); err != nil {
					t.Fatal(err)
				}
				before := mode(t, final)
				if _, err := s.Create(t.Context(), "a"); !errors.Is(err, fs.ErrExist) {
					t.Errorf("create: got %v, want fs.ErrExist", err)
				}
				if err := late.Commit(remote.DigestOf(nil)); !errors.Is(err, fs.ErrExist) || !strings.Contains(err.Error(), final) {
					t.Errorf("commit: got %v, want an fs.ErrExist that names %s", err, final)
				}
				if got := mode(t, final); got != before {
					t.Errorf("got mode %v, want %v as before", got, before)
				}
				if _, err := os.Lstat(outside); !errors.Is(err, fs.ErrNotExist) {
					t.Error("the link was followed")
				}
				assertFiles(t, path, "a")
			}
		})
	}
}

func TestNamesOfPartialsAreNotFollowed(t *testing.T) { // L08
	base := t.TempDir()
	victim := filepath.Join(base, "victim")
	write(t, victim, "precious")
	for name, plant := range map[string]func(path string) error{
		"hard link": func(p string) error { return os.Link(victim, p) },
		"link":      func(p string) error { return os.Symlink(victim, p) },
		"dangling":  func(p string) error { return os.Symlink(victim+"2", p) },
	} {
		path := t.TempDir()
		disk, err := openFolder(path)
		if err != nil {
			t.Fatal(err)
		}
		temp := newPartial()
		if err := plant(filepath.Join(path, temp)); err != nil {
			t.Fatal(err)
		}
		if _, err := disk.create(temp); !errors.Is(err, fs.ErrExist) {
			t.Errorf("%s: got %v, want fs.ErrExist", name, err)
		}
		if err := disk.close(); err != nil {
			t.Error(err)
		}
	}
	if got, _ := os.ReadFile(victim); string(got) != "precious" {
		t.Errorf("the victim is now %q", got)
	}
	assertFiles(t, base, "victim")
}

func TestHiddenNamesAreRefused(t *testing.T) {
	s := New(t.TempDir(), Options{})
	for _, name := range []string{".a", newPartial(), "a/b", "a\x00b"} {
		if _, err := s.Create(t.Context(), name); !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("%q: got %v, want fs.ErrInvalid", name, err)
		}
	}
}

func TestOpenTakesRegularFilesAndLinksToThem(t *testing.T) {
	path, elsewhere := t.TempDir(), filepath.Join(t.TempDir(), "real")
	write(t, elsewhere, "content")
	mkfifo(t, filepath.Join(path, "fifo"))
	if err := errors.Join(os.Mkdir(filepath.Join(path, "folder"), 0o700), os.Symlink(elsewhere, filepath.Join(path, "link")),
		os.Symlink("fifo", filepath.Join(path, "link-to-fifo"))); err != nil {
		t.Fatal(err)
	}
	s := New(path, Options{})
	if got := remotetest.Read(t, s, "link"); string(got) != "content" {
		t.Errorf("got %q through the link", got)
	}
	for _, name := range []string{"fifo", "folder", "link-to-fifo"} {
		if _, err := s.Open(t.Context(), name); !errors.Is(err, fs.ErrInvalid) { // and does not hang
			t.Errorf("open %s: got %v, want fs.ErrInvalid", name, err)
		}
	}
	for _, name := range []string{"fifo", "folder", "link", "link-to-fifo"} {
		if err := s.Remove(t.Context(), name); !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("remove %s: got %v, want fs.ErrInvalid", name, err)
		}
	}
	assertFiles(t, path, "fifo", "folder", "link", "link-to-fifo")
}

func TestAnOpenObjectKeepsItsLength(t *testing.T) {
	path := t.TempDir()
	s := New(path, Options{})
	remotetest.Publish(t, s, "a", []byte("12345"))
	o, err := s.Open(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(path, "a"), "1234567890")
	p := make([]byte, 10)
	if n, err := o.ReadAt(p, 0); n != 5 || o.Size() != 5 {
		t.Errorf("grown: got %d bytes of %d, %v, want 5", n, o.Size(), err)
	}
	write(t, filepath.Join(path, "a"), "12")
	if n, err := o.ReadAt(p[:5], 0); n != 2 || err == nil {
		t.Errorf("cut: got %d bytes, %v, want 2 and an error", n, err)
	}
	if err := o.Close(); err != nil {
		t.Error(err)
	}
}

func TestLeftoverPartials(t *testing.T) { // LP4, L11
	old, young := time.Now().Add(-25*time.Hour), time.Now().Add(-23*time.Hour)
	for _, tc := range []struct {
		name   string
		file   string
		age    time.Time
		locked bool
		stays  bool
	}{
		{"removes an old one that nobody holds", newPartial(), old, false, false},
		{"keeps one that is held", newPartial(), old, true, true},
		{"keeps a young one", newPartial(), young, false, true},
		{"keeps another program's", ".kubeferry-notes.partial", old, false, true},
		{"keeps an object", "old.zip.age", old, false, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			path := t.TempDir()
			file := filepath.Join(path, tc.file)
			write(t, file, "x")
			if tc.locked {
				f, err := os.Open(file)
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = f.Close() }() // only read
				if err := (osFile{f}).lock(); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.Chtimes(file, tc.age, tc.age); err != nil {
				t.Fatal(err)
			}
			remotetest.Publish(t, New(path, Options{}), "new", []byte("x"))
			_, err := os.Lstat(file)
			if got := err == nil; got != tc.stays {
				t.Errorf("stays: got %v, want %v", got, tc.stays)
			}
		})
	}
}

func TestAPartialIsLockedUntilItsLastByte(t *testing.T) {
	path := t.TempDir()
	u, err := New(path, Options{}).Create(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(filepath.Join(path, files(t, path)[0]))
	if err != nil {
		t.Fatal(err)
	}
	if err := (osFile{f}).lock(); !errors.Is(err, unix.EWOULDBLOCK) {
		t.Errorf("got %v, want a lock that is held", err)
	}
	if err := errors.Join(f.Close(), u.Abort()); err != nil {
		t.Error(err)
	}
}

// TestSweep: L11, asked for. What a live process holds stays, and what is young.
func TestSweep(t *testing.T) {
	folder := t.TempDir()
	s := New(folder, Options{})
	live, err := s.Create(t.Context(), "live.zip")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := live.Abort(); err != nil {
			t.Error(err)
		}
	})
	dead := "." + "kubeferry-" + strings.Repeat("d", 16) + ".partial"
	if err := os.WriteFile(filepath.Join(folder, dead), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	ask := func(before time.Time, dry bool) []string {
		t.Helper()
		swept, err := s.Sweep(t.Context(), before, nil, dry)
		if err != nil {
			t.Fatal(err)
		}
		return swept
	}
	later := time.Now().Add(time.Hour)
	if got := ask(time.Now().Add(-time.Hour), false); len(got) != 0 {
		t.Errorf("young ones were swept: %q", got)
	}
	for _, dry := range []bool{true, false} {
		if got := ask(later, dry); len(got) != 1 || got[0] != dead {
			t.Errorf("dry %v: swept %q, want %q", dry, got, dead)
		}
	}
	if got := ask(later, false); len(got) != 0 {
		t.Errorf("again: swept %q", got)
	}
}
