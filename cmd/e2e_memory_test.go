package cmd

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kubeferry/kubeferry/scripts/servers/etcdproc"
)

// maxResident is what a backup and a restore may keep in memory at most, for
// any keyspace.
const maxResident = 200 << 20

// peak is the most memory that an ended process has had at once, in bytes.
func (p *process) peak(t testing.TB) int64 {
	t.Helper()
	usage, ok := p.ProcessState.SysUsage().(*syscall.Rusage)
	if !ok {
		t.Fatal("the system does not tell how much memory a process has had")
	}
	return usage.Maxrss << 10 // Linux tells KiB
}

func TestMemoryStaysBounded(t *testing.T) { boundMemory(t, 10_000) }

func TestMemoryStaysBoundedForManyKeys(t *testing.T) {
	long(t)
	boundMemory(t, 200_000)
}

// boundMemory carries n objects of 1 to 4 KiB out of an etcd, and into an empty
// one and over one that has them already.
func boundMemory(t *testing.T, n int) {
	keys, source, target := newPair(t), etcdproc.Start(t, etcdproc.Options{Version: etcdproc.V37}), etcdproc.Start(t, etcdproc.Options{})
	var total int64
	fill(t, source, n, func(i int) (string, string) {
		key, value := configMap(i, 1000+i*7919%3000)
		total += int64(len(key) + len(value))
		return key, value
	})
	measure := func(what string, args ...string) string {
		begun := time.Now()
		p := start(t, args...)
		r := p.end(t)
		if r.code != exitDone {
			t.Fatalf("%s: %+v", what, r)
		}
		t.Logf("%s of %d keys, %d MiB: peak %d MiB in %s", what, n, total>>20, p.peak(t)>>20, time.Since(begun).Round(time.Millisecond))
		if p.peak(t) > maxResident {
			t.Errorf("%s: %d bytes in memory, want %d at most", what, p.peak(t), maxResident)
		}
		return r.stdout
	}
	archive := strings.TrimSpace(measure("backup", "backup", "--endpoints", source.Endpoint, "--to", t.TempDir(), "-r", keys.recipient))
	measure("verify", "verify", archive, "-i", keys.identity)
	restore := []string{"restore", "--from", archive, "-i", keys.identity, "--endpoints", target.Endpoint, "--scenario=new", "--yes", "--report"}
	measure("restore", append(restore, filepath.Join(t.TempDir(), "report"))...)
	measure("restore over the same", append(restore, filepath.Join(t.TempDir(), "report"))...)
}
