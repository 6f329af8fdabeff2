//go:build unix

package embedded_test

import (
	"strings"
	"syscall"
	"testing"

	"github.com/kubeferry/kubeferry/etcdwalk/embedded"
)

// With few file descriptors etcd does not return an error: it ends the
// process.
func TestWhatEtcdCallsFatalIsAnError(t *testing.T) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	low := limit
	low.Cur = 120
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &low); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
			t.Errorf("raising the limit again: %v", err)
		}
	})
	server, err := embedded.Start(t.Context(), t.TempDir())
	if err == nil {
		closeServer(t, server)
	}
	if err == nil || !strings.Contains(err.Error(), "file descriptor limit") {
		t.Errorf("got error %v, want one about file descriptors", err)
	}
}
