package cmd

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kubeferry/kubeferry/cmd/console"
	"github.com/kubeferry/kubeferry/scripts/servers/etcdproc"
)

// M09: whoever names an object cannot steer the terminal of whoever looks at a
// backup of it.
func TestNamesCannotSteerATerminal(t *testing.T) {
	t.Parallel()
	keys, server, folder := newPair(t), etcdproc.Start(t, etcdproc.Options{}), t.TempDir()
	client := server.Client(t)
	odd := []string{
		"/registry/configmaps/shop/\x1b]0;pwned\x07", "/registry/configmaps/sh\rop/x", "/registry/od\x9b31md/\u202egnp.exe", "/registry/\xff\x1b[2J",
	}
	for _, key := range odd {
		_, err := client.Put(t.Context(), key, "\x1b[31mvalue")
		check(t, err)
	}
	archive := keys.backUp(t, server.Endpoint, folder)
	_, err := client.Put(t.Context(), odd[0], "other")
	check(t, err)
	report := filepath.Join(folder, "report")
	for _, args := range [][]string{
		{"describe", archive, "-i", keys.identity},
		{"describe", archive, "-i", keys.identity, "--keys"},
		{"describe", archive, "-i", keys.identity, "--keys", "--json"},
		{"verify", archive, "-i", keys.identity},
		{"list", folder},
		{"restore", "--from", archive, "-i", keys.identity, "--endpoints", server.Endpoint, "--raw", "--dry-run", "--report", report},
		{"restore", "--from", archive, "-i", keys.identity, "--endpoints", server.Endpoint, "--raw", "--dry-run", "--json"},
		{"backup", "--dry-run", "--endpoints", server.Endpoint},
		{"backup", "--dry-run", "--endpoints", server.Endpoint, "-n", "\x1b[2J"},
		{"backup", "--dry-run", "--endpoints", server.Endpoint, "\x1b[2J"},
		{"list", "\x1b[2J"},
		{"\x1b[2J"},
	} {
		r := runHere(t, args...)
		for line := range strings.Lines(r.stdout + r.stderr) {
			if line = strings.TrimSuffix(line, "\n"); console.Printable(line) != line {
				t.Errorf("kubeferry %q prints %q", args, line)
			}
		}
		if r.stdout+r.stderr == "" {
			t.Errorf("kubeferry %q prints nothing", args)
		}
	}
	told, err := os.ReadFile(report)
	check(t, err)
	if n := strings.Count(string(told), `"key_bytes"`); n != len(odd) {
		t.Errorf("the report has %d of %d odd keys in a form that can be taken back", n, len(odd))
	}
}

// L05: a full device, as a user of it sees it.
func TestFullDevice(t *testing.T) {
	t.Parallel()
	if out, err := exec.CommandContext(t.Context(), "unshare", "-m", "mount", "-t", "tmpfs", "tmpfs", "/mnt").CombinedOutput(); err != nil {
		t.Skipf("no small file system can be mounted here: %v: %s", err, out)
	}
	w := newWorld(t)
	script := `mkdir small; mount -t tmpfs -o size=64k tmpfs small
		kubeferry backup --to small -R recipients.txt && exit 1
		test $? = 20 && test -z "$(ls -A small)"`
	sh := exec.CommandContext(t.Context(), "unshare", "-m", "sh", "-c", script)
	sh.Dir, sh.Env = w.dir, append(os.Environ(), "ETCDCTL_ENDPOINTS="+w.endpoint)
	out, err := sh.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "no space") {
		t.Errorf("%v: %s", err, out)
	}
}
