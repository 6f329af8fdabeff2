package cmd

import (
	"encoding/json"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/kubeferry/kubeferry/scripts/servers/s3proc"
)

// heavy is so many objects that do not compress well that their archive goes up in
// parts.
func heavy(t *testing.T) string { return crowd(t, 4500, 60_000).Endpoint }

// uploads is how many uploads to a bucket never ended.
func uploads(t *testing.T, server *s3proc.Server) int {
	t.Helper()
	listed, err := server.Client().ListMultipartUploads(t.Context(), "backups", "", "", "", "", 1000)
	check(t, err)
	return len(listed.Uploads)
}

// S16: a process that is killed during an upload of many parts leaves nothing that
// is listed and does not verify, and what it leaves can be swept.
func TestBackupToS3Killed(t *testing.T) {
	server, proxy := startS3(t, s3proc.Options{})
	keys, endpoint := newPair(t), heavy(t)
	const place = "s3://backups/prod"
	backup := []string{"backup", "--endpoints", endpoint, "--to", place, "-r", keys.recipient, "--spool-dir", t.TempDir()}
	if r := start(t, backup...).end(t); r.code != exitDone {
		t.Fatalf("%+v", r)
	}
	parts := len(proxy.Requests("UploadPart"))
	if parts < 2 {
		t.Fatalf("the archive went up in %d parts, which shows nothing", parts)
	}
	kills, times := 0, 4
	if os.Getenv("KUBEFERRY_LONG") != "" {
		times = 30
	}
	for range times {
		before := len(proxy.Requests("UploadPart"))
		p := start(t, backup...)
		// By parts and not by time: on a busy machine one run takes many times another's.
		enough := before + 1 + rand.N(parts-1)
		p.await(t, "parts", func() bool { return len(proxy.Requests("UploadPart")) >= enough })
		time.Sleep(rand.N(50 * time.Millisecond))
		check(t, p.Process.Kill())
		if r := p.end(t); r.code == -1 {
			kills++
		}
	}
	left := uploads(t, server)
	if kills < times/2 || left == 0 {
		t.Errorf("%d of %d were killed, %d uploads are left: that shows little", kills, times, left)
	}
	var summary struct{ Result listResult }
	check(t, json.Unmarshal([]byte(must(t, exitDone, "list", place, "--json").stdout), &summary))
	for _, item := range summary.Result.Archives {
		must(t, exitDone, "verify", place+"/"+item.Name, "-i", keys.identity)
	}
	must(t, exitDone, "prune", place, "--incomplete")
	if n := uploads(t, server); n != left {
		t.Errorf("%d of %d young uploads are left", n, left)
	}
	tomorrow := time.Now().Add(25 * time.Hour)
	if r := runAt(t, tomorrow, "prune", place, "--incomplete"); r.code != exitDone || uploads(t, server) != 0 {
		t.Errorf("%+v, and %d uploads are left", r, uploads(t, server))
	}
	if after := must(t, exitDone, "list", place, "--all"); strings.Count(after.stdout, " ok\n") != len(summary.Result.Archives) || strings.Contains(after.stdout, "no receipt") {
		t.Errorf("after the sweep:\n%s", after.stdout)
	}
	t.Logf("%d killed of %d, %d uploads left, %d archives listed", kills, times, left, len(summary.Result.Archives))
}

// S17: a backup that is interrupted while its parts go up leaves no upload.
func TestBackupToS3Interrupted(t *testing.T) {
	server, proxy := startS3(t, s3proc.Options{})
	keys, endpoint := newPair(t), heavy(t)
	proxy.On("UploadPart", 1, 0, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		r.Body = &throttled{r.Body, nil}
		next.ServeHTTP(w, r)
	})
	p := start(t, "backup", "--endpoints", endpoint, "--to", "s3://backups/prod", "-r", keys.recipient)
	p.await(t, "a part", func() bool { return len(proxy.Requests("UploadPart")) > 0 })
	check(t, p.Process.Signal(os.Interrupt))
	if r := p.end(t); r.code != exitInterrupted {
		t.Errorf("%+v", r)
	}
	if n := uploads(t, server); n != 0 {
		t.Errorf("%d uploads are left", n)
	}
	if list := must(t, exitDone, "list", "s3://backups/prod", "--all"); strings.Contains(list.stdout, ".zip") {
		t.Errorf("the list says\n%s", list.stdout)
	}
}

// A large archive is described by ranges, and a slow store does not slow the walk.
func TestLargeArchiveInS3(t *testing.T) {
	_, proxy := startS3(t, s3proc.Options{})
	keys, endpoint := newPair(t), heavy(t)
	backup := []string{"backup", "--endpoints", endpoint, "-r", keys.recipient, "--json", "--to"}
	result := func(r ran) (b backupResult) {
		if r.code != exitDone {
			t.Fatalf("%+v", r)
		}
		var summary struct{ Result backupResult }
		check(t, json.Unmarshal([]byte(r.stdout), &summary))
		return summary.Result
	}
	folder := result(start(t, append(backup, t.TempDir())...).end(t))

	walked := make(chan struct{})
	proxy.On("UploadPart", 1, 0, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		r.Body = &throttled{r.Body, walked}
		next.ServeHTTP(w, r)
	})
	// A walk that waited for the store would take this long. One that does not may well take
	// three times as long as the first where other tests run beside it.
	held := folder.WalkSeconds * 5
	time.AfterFunc(time.Duration(held*float64(time.Second)), func() { close(walked) })
	r, peak := start(t, append(backup, "s3://backups/prod")...).peak(t)
	s3 := result(r)
	t.Logf("the walk took %.2f s beside a folder, %.2f s beside a slow store; %.2f s in all; peak %d MiB", folder.WalkSeconds, s3.WalkSeconds, s3.Seconds, peak>>20)
	if s3.Seconds < held || s3.WalkSeconds > 0.9*held {
		t.Errorf("the walk took %.2f s beside a store that was slow for %.2f s, the backup %.2f s", s3.WalkSeconds, held, s3.Seconds)
	}
	if peak > maxResident {
		t.Errorf("%d bytes in memory, want %d at most", peak, maxResident)
	}

	for _, look := range [][]string{
		{"describe", s3.Path}, {"describe", s3.Path, "--keys", "cm/settings-002000", "-n", "ns-00"},
		{"get", "cm/settings-002000", "-n", "ns-00", "-o", "json", "--from", s3.Path},
	} {
		before, asked := sent(proxy, path.Base(s3.Path)), len(proxy.Requests(""))
		must(t, exitDone, append(look, "-i", keys.identity)...)
		read, requests := sent(proxy, path.Base(s3.Path))-before, len(proxy.Requests(""))-asked
		t.Logf("%s read %d of %d bytes in %d requests", look[0], read, s3.Receipt.Size, requests)
		if read > max(s3.Receipt.Size/100, 1<<20) || requests > 8 {
			t.Errorf("%s read %d of %d bytes in %d requests", look[0], read, s3.Receipt.Size, requests)
		}
	}
}

// throttled is a body that comes slowly, three of them at a megabyte a second, until it is let go.
type throttled struct {
	io.ReadCloser

	free <-chan struct{}
}

func (r *throttled) Read(p []byte) (int, error) {
	select {
	case <-r.free:
	case <-time.After(48 * time.Millisecond):
		p = p[:min(len(p), 16<<10)]
	}
	return r.ReadCloser.Read(p)
}
