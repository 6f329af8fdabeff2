package s3

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/kubeferry/kubeferry/remote"
	"github.com/kubeferry/kubeferry/remote/remotetest"
	"github.com/kubeferry/kubeferry/scripts/servers/s3proc"
)

func TestSizesAroundAPart(t *testing.T) { // S20
	s, proxy := newRig(t).inParts(t)
	const part = 5 << 20
	for size, want := range map[int]int{1: 0, 2: 1, part: 1, part + 1: 2, 2 * part: 2} {
		before := len(proxy.Requests("UploadPart"))
		name, data := fmt.Sprint(size), noise(size)
		remotetest.Publish(t, s, name, data)
		if got := remotetest.Read(t, s, name); !bytes.Equal(got, data) {
			t.Errorf("%d bytes: got %d others", size, len(got))
		}
		if got := len(proxy.Requests("UploadPart")) - before; got != want {
			t.Errorf("%d bytes: got %d parts, want %d", size, got, want)
		}
	}
}

func TestTooManyPartsAreAnError(t *testing.T) { // S20
	s, _ := newRig(t).inParts(t)
	u := newUpload(t.Context(), s, "a", "", nil)
	u.parts = &parts{u: u, ready: make(chan piece, maxParts)}
	if err := u.parts.offer(maxParts * s.config.PartSize); err != nil {
		t.Errorf("the last part: %v", err)
	}
	if err := u.parts.offer((maxParts + 1) * s.config.PartSize); !errors.Is(err, remote.ErrNoSpace) {
		t.Errorf("one more: got %v, want ErrNoSpace", err)
	}
}

func TestOddNames(t *testing.T) { // S21
	r := newRig(t)
	s := open(t, Location{Bucket: bucket, Prefix: "a prefix/ü+%20"}, Config{Endpoint: r.server.Endpoint, Keys: root, SpoolDir: t.TempDir()})
	names := []string{
		"a b", "a+b", "a%b", "a%2Fb", "a&b=c?d#e", "ünï", "日本", "a'b\"c", "a<b>c", "deep/er/and deeper", "~*!()", "a\\b", "a:b@c,d;e",
		strings.Repeat("x", 200), "😀",
	}
	for _, name := range names {
		remotetest.Publish(t, s, name, []byte(name))
		if got := string(remotetest.Read(t, s, name)); got != name {
			t.Errorf("got %q, want %q", got, name)
		}
	}
	if got := remotetest.Names(t, s, ""); len(got) != len(names) {
		t.Errorf("got %q", got)
	}
	for _, name := range names {
		if err := s.Remove(t.Context(), name); err != nil {
			t.Error(err)
		}
	}
	assertOnly(t, s)
	for _, name := range []string{strings.Repeat("x/", 511) + "x", "a\nb", "a\x00b", "a\x7f"} {
		if _, err := s.Create(t.Context(), name); !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("%q: got %v, want fs.ErrInvalid", name, err)
		}
	}
}

func TestNoWriteWaitsForTheStore(t *testing.T) { // SP1, AR1
	s, proxy := newRig(t).inParts(t)
	stalled := make(chan struct{})
	proxy.On("CreateMultipartUpload", 1, 1, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		<-stalled
		next.ServeHTTP(w, r)
	})
	u, err := s.Create(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	for rest := big; len(rest) > 0; {
		n, err := u.Write(rest[:min(len(rest), 1<<20)])
		if err != nil {
			t.Fatal(err)
		}
		rest = rest[n:]
	}
	close(stalled) // only now: every write has returned
	if err := u.Commit(remote.DigestOf(big)); err != nil {
		t.Fatal(err)
	}
	if got := remotetest.Read(t, s, "a"); !bytes.Equal(got, big) {
		t.Errorf("got %d other bytes", len(got))
	}
}

func TestPartsThatFailEndTheWriting(t *testing.T) {
	s, proxy := newRig(t).inParts(t)
	proxy.On("UploadPart", 1, 0, s3proc.Refuse(403, "AccessDenied"))
	u, err := s.Create(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); err == nil && time.Now().Before(deadline); {
		_, err = u.Write(big[:1<<20])
	}
	if !errors.Is(err, fs.ErrPermission) {
		t.Errorf("got %v, want fs.ErrPermission", err)
	}
	if err := u.Abort(); err != nil {
		t.Error(err)
	}
	assertOnly(t, s)
}

func TestTheSpoolIsNobodyElses(t *testing.T) {
	r := newRig(t)
	s, _ := r.store(t)
	u, err := s.Create(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := u.Abort(); err != nil {
			t.Error(err)
		}
	}()
	info, err := u.(*upload).spool.file.Stat()
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Mode(); got != 0o600 {
		t.Errorf("got mode %v, want 0600", got)
	}
	if entries, err := os.ReadDir(r.config.SpoolDir); len(entries) > 0 || err != nil {
		t.Errorf("the spool has a name: %v, %v", entries, err)
	}
	s.config.SpoolDir = filepath.Join(r.config.SpoolDir, "absent")
	if _, err := s.Create(t.Context(), "b"); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), s.config.SpoolDir) {
		t.Errorf("got %v, want an error that names the folder", err)
	}
}

func TestASpoolThatChangesIsNotPublished(t *testing.T) { // AR3
	r := newRig(t)
	for _, way := range sendings {
		t.Run(way.name, func(t *testing.T) {
			s, _ := way.store(r, t)
			u, err := s.Create(t.Context(), "a")
			if err != nil {
				t.Fatal(err)
			}
			if _, err := u.Write(way.data); err != nil {
				t.Fatal(err)
			}
			if u.(*upload).parts != nil {
				if err := waitForParts(u); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := u.(*upload).spool.file.WriteAt([]byte("!"), 3); err != nil {
				t.Fatal(err)
			}
			if err := u.Commit(remote.DigestOf(way.data)); !errors.Is(err, remote.ErrDigest) {
				t.Errorf("got %v, want ErrDigest", err)
			}
			assertOnly(t, s)
		})
	}
}

func TestAPartThatWasSentOtherwiseIsNotPublished(t *testing.T) { // AR3
	s, _ := newRig(t).inParts(t)
	u, err := s.Create(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	wrong := bytes.Clone(big)
	wrong[3] ^= 1
	if _, err := u.Write(wrong); err != nil {
		t.Fatal(err)
	}
	up := u.(*upload)
	if err := waitForParts(u); err != nil {
		t.Fatal(err)
	}
	if _, err := up.spool.file.WriteAt(big[:10], 0); err != nil {
		t.Fatal(err)
	}
	if err := u.Commit(remote.DigestOf(big)); !errors.Is(err, remote.ErrDigest) || !strings.Contains(err.Error(), "since part 1 was sent") {
		t.Errorf("got %v, want ErrDigest for part 1", err)
	}
	assertOnly(t, s)
}

func TestACancelledUploadIsAbortedOnAContextOfItsOwn(t *testing.T) { // S17, SP5
	s, proxy := newRig(t).inParts(t)
	for _, end := range []string{"abort", "commit"} {
		ctx, cancel := context.WithCancel(t.Context())
		u, err := s.Create(ctx, "a")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := u.Write(big); err != nil {
			t.Fatal(err)
		}
		if err := waitForParts(u); err != nil {
			t.Fatal(err)
		}
		cancel()
		if end == "commit" {
			if err := u.Commit(remote.DigestOf(big)); !errors.Is(err, context.Canceled) {
				t.Errorf("got %v, want context.Canceled", err)
			}
		}
		if err := u.Abort(); err != nil {
			t.Error(err)
		}
		assertOnly(t, s)
	}
	if got := len(proxy.Requests("AbortMultipartUpload")); got < 2 { // more, where a part came late
		t.Errorf("got %d aborts, want 2", got)
	}
}

func TestWhatIsCancelledWhileItIsPublishedIsTakenBack(t *testing.T) { // S17
	r := newRig(t)
	for _, way := range sendings {
		t.Run(way.name, func(t *testing.T) {
			s, proxy := way.store(r, t)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			proxy.On(way.final, 1, 1, func(w http.ResponseWriter, q *http.Request, next http.Handler) {
				defer cancel()
				s3proc.DropReply(w, q, next)
			})
			if err := publish(ctx, s, "a", way.data); !errors.Is(err, context.Canceled) && !errors.Is(err, ErrUnavailable) {
				t.Errorf("got %v", err)
			}
			assertOnly(t, s)
		})
	}
}

func TestNothingIsLeftRunning(t *testing.T) { // alone: it looks at all that runs
	server := s3proc.Start(t, s3proc.Options{})
	server.MakeBucket(bucket, false)
	s := open(t, Location{Bucket: bucket}, Config{Endpoint: server.Endpoint, Keys: root, SpoolDir: t.TempDir(), Threshold: 1, PartSize: 5 << 20})
	for i := range 3 {
		if err := drop(t.Context(), s, "a"); err != nil {
			t.Fatal(err)
		}
		remotetest.Publish(t, s, fmt.Sprint(i), big)
	}
	stacks := make([]byte, 1<<20)
	if stacks = stacks[:runtime.Stack(stacks, true)]; bytes.Contains(stacks, []byte("(*parts)")) {
		t.Errorf("somebody still sends parts:\n%s", stacks)
	}
}

// TestKilled leaves what a killed process does: S16. The process is this test's
// program, run again.
func TestKilled(t *testing.T) {
	if endpoint := os.Getenv("KUBEFERRY_TEST_KILLED"); endpoint != "" {
		uploadUntilKilled(t, endpoint)
		return
	}
	r := newRig(t)
	s := open(t, Location{Bucket: bucket, Prefix: "p"}, Config{Endpoint: r.server.Endpoint, Keys: root, SpoolDir: t.TempDir()})
	spools := t.TempDir()
	for range 3 {
		cmd := exec.Command(os.Args[0], "-test.run=^TestKilled$", "-test.v")
		cmd.Env = append(os.Environ(), "KUBEFERRY_TEST_KILLED="+r.server.Endpoint, "TMPDIR="+spools)
		out, err := cmd.StdoutPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		seen := make([]byte, 4096)
		for n := 0; !bytes.Contains(seen[:n], []byte("a part is there")); {
			m, err := out.Read(seen[n:])
			if err != nil {
				t.Fatalf("%v after %q", err, seen[:n])
			}
			n += m
		}
		cmd.Process.Kill()
		cmd.Wait()
	}
	if got := remotetest.Names(t, s, ""); len(got) != 0 {
		t.Errorf("listed: %q", got)
	}
	if entries, err := os.ReadDir(spools); len(entries) > 0 || err != nil {
		t.Errorf("spools are left: %v, %v", entries, err)
	}
	left := 0
	for u, err := range s.Incomplete(t.Context()) {
		if err != nil || u.Name != "a" || time.Since(u.Begun).Abs() > time.Minute {
			t.Fatalf("got %+v, %v", u, err)
		}
		left++
		if err := s.AbortIncomplete(t.Context(), u); err != nil {
			t.Error(err)
		}
		if err := s.AbortIncomplete(t.Context(), u); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("once more: got %v, want fs.ErrNotExist", err)
		}
	}
	if left != 3 {
		t.Errorf("got %d unfinished uploads, want 3", left)
	}
	assertOnly(t, s)
}

func uploadUntilKilled(t *testing.T, endpoint string) {
	s := open(t, Location{Bucket: bucket, Prefix: "p"}, Config{Endpoint: endpoint, Keys: root, Threshold: 1, PartSize: 5 << 20})
	u, err := s.Create(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := u.Write(big); err != nil {
		t.Fatal(err)
	}
	if err := waitForParts(u); err != nil {
		t.Fatal(err)
	}
	fmt.Println("a part is there")
	time.Sleep(time.Minute)
}
