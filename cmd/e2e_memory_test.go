package cmd

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/kubeferry/kubeferry/scripts/servers/etcdproc"
)

// maxResident is what a backup and a restore may keep in memory at most, for
// any keyspace.
const maxResident = 200 << 20

// peak runs the process to its end and returns the most memory that it had at
// once, in bytes. The rusage of a child cannot be used: it begins with what its
// parent, this test, had when it was started.
func (p *process) peak(t testing.TB) (ran, int64) {
	t.Helper()
	status := fmt.Sprintf("/proc/%d/status", p.Process.Pid)
	ended, told := make(chan struct{}), make(chan int64)
	go func() {
		var most int64
		for running := true; running; {
			select {
			case <-ended:
				running = false
			case <-time.After(2 * time.Millisecond):
			}
			if now := highWater(status); now > most {
				most = now
			}
		}
		told <- most
	}()
	r := p.end(t)
	close(ended)
	most := <-told
	if most == 0 {
		t.Fatal("the system does not tell how much memory a process has had")
	}
	return r, most
}

// highWater reads the most memory that a running process has had at once; 0 if
// it has come to its end.
func highWater(status string) int64 {
	text, err := os.ReadFile(status)
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if field, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(field), "kB")), 10, 64)
			if err == nil {
				return kib << 10
			}
		}
	}
	return 0
}

func TestMemoryStaysBounded(t *testing.T) {
	t.Parallel()
	boundMemory(t, 10_000, small)
}

func TestMemoryStaysBoundedForManyKeys(t *testing.T) {
	long(t)
	boundMemory(t, 200_000, small)
}

// FAULTS.md WK5, E11: many small keys, and behind them values as large as etcd
// takes, so that what was learnt of the sizes is wrong all at once.
func TestMemoryStaysBoundedForLargeValues(t *testing.T) {
	long(t)
	boundMemory(t, 12_400, func(i int) int {
		if i < 12_000 {
			return 100
		}
		return 1_400_000
	})
}

// small is 1 to 4 KB.
func small(i int) int { return 1000 + i*7919%3000 }

// boundMemory carries n objects of these sizes out of an etcd, and into an empty
// one and over one that has them already.
func boundMemory(t *testing.T, n int, size func(i int) int) {
	t.Helper()
	keys, source, target := newPair(t), etcdproc.Start(t, etcdproc.Options{Version: etcdproc.V37}), etcdproc.Start(t, etcdproc.Options{})
	var total int64
	fill(t, source.Client(t), n, func(i int) (string, string) {
		key, value := configMap(i, size(i))
		total += int64(len(key) + len(value))
		return key, value
	})
	measure := func(what string, args ...string) string {
		begun := time.Now()
		r, peak := start(t, args...).peak(t)
		if r.code != exitDone {
			t.Fatalf("%s: %+v", what, r)
		}
		t.Logf("%s of %d keys, %d MiB: peak %d MiB in %s", what, n, total>>20, peak>>20, time.Since(begun).Round(time.Millisecond))
		if peak > maxResident {
			t.Errorf("%s: %d bytes in memory, want %d at most", what, peak, maxResident)
		}
		return r.stdout
	}
	archive := strings.TrimSpace(measure("backup", "backup", "--endpoints", source.Endpoint, "--to", t.TempDir(), "-r", keys.recipient))
	measure("verify", "verify", archive, "-i", keys.identity)
	restore := []string{"restore", "--from", archive, "-i", keys.identity, "--endpoints", target.Endpoint, "--scenario=new", "--yes", "--report"}
	measure("restore", append(restore, filepath.Join(t.TempDir(), "report"))...)
	measure("restore over the same", append(restore, filepath.Join(t.TempDir(), "report"))...)
}

// An old store has no pages: what a backup keeps in memory is bounded by the
// largest answer, and it asks once for each kind.
func TestMemoryStaysBoundedOverV2(t *testing.T) {
	long(t)
	keys := newPair(t)
	server, tree := startV2(t)
	const kinds, each = 4, 5000
	var group errgroup.Group
	group.SetLimit(16)
	for i := range kinds * each {
		group.Go(func() error {
			_, value := configMap(i, small(i))
			_, err := tree.Set(t.Context(), fmt.Sprintf("/registry/kind%d/ns%d/o%d", i%kinds, i%7, i), value, nil)
			return err
		})
	}
	check(t, group.Wait())
	var requests atomic.Int64
	proxy := inFrontOf(t, server.Endpoint, func(*http.Request) { requests.Add(1) })
	answer, err := http.Get(server.Endpoint + "/v2/keys/registry/kind0?recursive=true")
	check(t, err)
	largest, err := io.Copy(io.Discard, answer.Body)
	check(t, err)
	check(t, answer.Body.Close())
	measure := func(what string, args ...string) string {
		r, peak := start(t, args...).peak(t)
		if r.code != exitDone {
			t.Fatalf("%s: %+v", what, r)
		}
		t.Logf("%s: peak %d MiB, the largest answer %d MiB, %d requests", what, peak>>20, largest>>20, requests.Load())
		if peak > maxResident+2*largest {
			t.Errorf("%s: %d bytes in memory, want %d at most", what, peak, maxResident+2*largest)
		}
		return strings.TrimSpace(r.stdout)
	}
	archive := measure("backup", "backup", "--api=v2", "--endpoints", proxy, "--to", t.TempDir(), "-r", keys.recipient)
	if n := requests.Load(); n > kinds+20 {
		t.Errorf("%d requests for %d kinds", n, kinds)
	}
	into, copied := startV2(t)
	measure("restore", "restore", "--from", archive, "-i", keys.identity, "--api=v2", "--endpoints", into.Endpoint, "--scenario=new", "--yes")
	if got, _ := leaves(t, copied); len(got) != kinds*each {
		t.Errorf("%d keys came back, want %d", len(got), kinds*each)
	}
}
