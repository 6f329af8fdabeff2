package cmd

import (
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/replay"
	"github.com/kubeferry/kubeferry/scripts/servers/etcdproc"
)

// A doorbell stands before a server and counts who comes in.
type doorbell struct {
	endpoint string
	rung     atomic.Int64
}

func newDoorbell(t *testing.T, endpoint string) *doorbell {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	t.Cleanup(func() { listener.Close() })
	d := &doorbell{endpoint: "http://" + listener.Addr().String()}
	go func() {
		for {
			down, err := listener.Accept()
			if err != nil {
				return
			}
			d.rung.Add(1)
			up, err := net.Dial("tcp", strings.TrimPrefix(endpoint, "http://"))
			if err != nil {
				down.Close()
				continue
			}
			for _, way := range [][2]net.Conn{{up, down}, {down, up}} {
				go func() {
					_, _ = io.Copy(way[0], way[1]) // its end is the connection's
					way[0].Close()
				}()
			}
		}
	}()
	return d
}

// points is how many random points a sweep takes for each signal.
func points() int {
	if os.Getenv("KUBEFERRY_LONG") != "" {
		return 20
	}
	return 3
}

var stopSignals = []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP}

// interruptAt runs a command line that connects through d, and signals it at a
// random point of the time that it takes. It tells whether it was stopped.
func interruptAt(t *testing.T, d *doorbell, takes time.Duration, signal syscall.Signal, args ...string) (r ran, stopped bool) {
	t.Helper()
	before := d.rung.Load()
	p := start(t, append(args, "--json")...)
	p.await(t, "a connection", func() bool { return d.rung.Load() > before })
	time.Sleep(rand.N(takes))
	if err := p.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Fatal(err)
	}
	r = p.end(t)
	if end := lastObject(t, r.stdout); end["code"] != float64(r.code) {
		t.Errorf("it ended with %d, and tells %v", r.code, end)
	}
	if r.stderr != "" {
		t.Errorf("with --json stderr says: %s", r.stderr)
	}
	if r.code != exitDone && r.code != exitInterrupted {
		t.Errorf("%v: %+v", signal, r)
	}
	return r, r.code == exitInterrupted
}

// O01: wherever a backup is stopped, it says so and leaves nothing; or it was
// through, and is whole.
func TestBackupStoppedAnywhere(t *testing.T) {
	t.Parallel()
	keys, folder := newPair(t), filepath.Join(t.TempDir(), "backups")
	d := newDoorbell(t, crowd(t, 5000, 1000).Endpoint)
	args := []string{"backup", "--endpoints", d.endpoint, "--to", folder, "-r", keys.recipient}
	begun := time.Now()
	if r := start(t, args...).end(t); r.code != exitDone {
		t.Fatalf("%+v", r)
	}
	takes, finished, stopped := time.Since(begun), 1, 0
	for _, signal := range stopSignals {
		for range points() {
			_, ok := interruptAt(t, d, takes, signal, args...)
			if ok {
				stopped++
			} else {
				finished++
			}
			archives, receipts, partials, others := files(t, folder)
			if len(archives) != finished || len(receipts) != finished || len(partials)+len(others) > 0 {
				t.Fatalf("%d runs have finished; there are %d archives, %d receipts, partials %q, others %q",
					finished, len(archives), len(receipts), partials, others)
			}
		}
	}
	for _, name := range listed(t, folder) {
		must(t, exitDone, "verify", filepath.Join(folder, name), "-i", keys.identity)
	}
	if stopped == 0 {
		t.Errorf("none of %d runs was stopped", finished)
	}
}

// O01: wherever a restore is stopped, each key is the archive's or not there,
// and the report says which.
func TestRestoreStoppedAnywhere(t *testing.T) {
	t.Parallel()
	keys, folder := newPair(t), t.TempDir()
	source := crowd(t, 5000, 1000)
	archive := keys.backUp(t, source.Endpoint, folder)
	want := map[string]string{}
	for _, e := range holdings(t, source.Client(t), 0) {
		want[string(e.Key)] = string(e.Value)
	}
	target := etcdproc.Start(t, etcdproc.Options{})
	client, d := target.Client(t), newDoorbell(t, target.Endpoint)
	args := []string{"restore", "--from", archive, "-i", keys.identity, "--endpoints", d.endpoint, "--scenario=new", "--yes"}
	begun := time.Now()
	if r := start(t, args...).end(t); r.code != exitDone {
		t.Fatalf("%+v", r)
	}
	takes, stopped, partly := time.Since(begun), 0, 0
	for _, signal := range stopSignals {
		for range points() {
			_, err := client.Delete(t.Context(), "\x00", clientv3.WithFromKey())
			check(t, err)
			report := filepath.Join(t.TempDir(), "report")
			_, ok := interruptAt(t, d, takes, signal, append(args, "--report", report)...)
			there := holdings(t, client, 0)
			if !ok && len(there) != len(want) {
				t.Errorf("it ended well with %d keys of %d", len(there), len(want))
			}
			if ok {
				stopped++
			}
			if len(there) > 0 && len(there) < len(want) {
				partly++
			}
			wantTold(t, report, there, want)
		}
	}
	// A few points may all miss the time in which keys are written.
	if stopped == 0 || partly == 0 && os.Getenv("KUBEFERRY_LONG") != "" {
		t.Errorf("%d runs were stopped, %d of them half way", stopped, partly)
	}
}

// wantTold holds the report of a restore that was perhaps stopped against what
// is there, and that against what may be there.
func wantTold(t *testing.T, report string, there []etcdwalk.Entry, want map[string]string) {
	t.Helper()
	created := map[string]int64{}
	if _, err := os.Stat(report); !errors.Is(err, fs.ErrNotExist) {
		for key, l := range readReport(t, report) {
			if l.Outcome == replay.Created && !l.Planned {
				created[key] = l.Revision
			}
		}
	}
	for _, e := range there {
		if want[string(e.Key)] != string(e.Value) {
			t.Errorf("key %s has a value that the archive has not", e.Key)
		}
	}
	checkCreated(t, created, there)
}

// O01: a second signal ends at once what waits for its end.
func TestASecondSignalEndsAtOnce(t *testing.T) {
	t.Parallel()
	keys, source := newPair(t), crowd(t, 8000, 1000)
	archive := keys.backUp(t, source.Endpoint, t.TempDir())
	target := etcdproc.Start(t, etcdproc.Options{})
	client := target.Client(t)
	args := []string{"restore", "--from", archive, "-i", keys.identity, "--endpoints", target.Endpoint, "--scenario=new", "--yes"}
	p := start(t, args...)
	p.await(t, "the first keys", func() bool { return revision(t, client) > 1 })
	target.Pause()
	time.Sleep(300 * time.Millisecond) // until it waits for an answer
	check(t, p.Process.Signal(syscall.SIGINT))
	ended := make(chan ran, 1)
	go func() { ended <- p.end(t) }()
	select {
	case r := <-ended:
		target.Continue()
		t.Fatalf("the first signal did not wait for the batch under way: %+v", r)
	case <-time.After(700 * time.Millisecond):
	}
	begun := time.Now()
	check(t, p.Process.Signal(syscall.SIGINT))
	r := <-ended
	took := time.Since(begun)
	target.Continue()
	if status, ok := p.ProcessState.Sys().(syscall.WaitStatus); !ok || status.Signal() != syscall.SIGINT || r.stdout != "" && strings.Contains(r.stdout, "Done:") {
		t.Errorf("it ended with %v: %+v", p.ProcessState, r)
	}
	if took > 2*time.Second {
		t.Errorf("the second signal took %s", took)
	}
	must(t, exitDone, args...)
	same(t, "restored in two goes", holdings(t, client, 0), holdings(t, source.Client(t), 0))
}
