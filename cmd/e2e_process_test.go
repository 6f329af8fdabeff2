package cmd

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/replay"
	"github.com/kubeferry/kubeferry/scripts/servers/etcdproc"
)

// A process is the program as a process of its own, which TestMain makes of
// this test binary.
type process struct {
	*exec.Cmd
	stdout, stderr bytes.Buffer
}

func start(t testing.TB, args ...string) *process {
	t.Helper()
	p := &process{Cmd: exec.Command("kubeferry", args...)}
	p.Stdout, p.Stderr = &p.stdout, &p.stderr
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if p.ProcessState == nil {
			_, _ = p.Process.Kill(), p.Wait()
		}
	})
	return p
}

// end waits for the end. A process that a signal killed has the code -1.
func (p *process) end(t testing.TB) ran {
	t.Helper()
	var exit *exec.ExitError
	if err := p.Wait(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return ran{p.Args[1:], exitCode(p.ProcessState.ExitCode()), p.stdout.String(), p.stderr.String()}
}

// await polls until it is so, or the process has come to its end.
func (p *process) await(t testing.TB, what string, so func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !so(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s\nstderr: %s", what, p.stderr.String())
		}
	}
}

// configMap is a generated object that does not compress to nothing, of about
// size bytes.
func configMap(i, size int) (key, value string) {
	random := rand.New(rand.NewPCG(1, uint64(i)))
	noise := make([]byte, size*3/8)
	for j := range noise {
		noise[j] = byte(random.Uint32())
	}
	namespace, name := fmt.Sprintf("ns-%02d", i%20), fmt.Sprintf("settings-%06d", i)
	return "/registry/configmaps/" + namespace + "/" + name, fmt.Sprintf(
		`{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":%q,"namespace":%q,"labels":{"app.kubernetes.io/name":"web","app.kubernetes.io/part-of":"shop"}},"data":{"a":%q,"b":%q}}`,
		name, namespace, base64.StdEncoding.EncodeToString(noise), strings.Repeat("text", size/8))
}

// crowd is a server with n generated objects.
func crowd(t testing.TB, n, size int) *etcdproc.Server {
	t.Helper()
	server := etcdproc.Start(t, etcdproc.Options{})
	fill(t, server.Client(t), n, func(i int) (string, string) { return configMap(i, size) })
	return server
}

// files sorts the names in a folder by what they are.
func files(t testing.TB, folder string) (archives, receipts, partials, others []string) {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	for _, entry := range entries {
		name := entry.Name()
		switch partial, _ := filepath.Match(".kubeferry-*.partial", name); {
		case partial:
			partials = append(partials, name)
		case strings.HasSuffix(name, ".zip.age"):
			archives = append(archives, name)
		case strings.HasSuffix(name, ".zip.age.receipt.json"):
			receipts = append(receipts, name)
		default:
			others = append(others, name)
		}
	}
	return archives, receipts, partials, others
}

// hasPartial tells whether an archive is being written, or was.
func hasPartial(t testing.TB, folder string) bool {
	t.Helper()
	_, _, partials, _ := files(t, folder)
	return len(partials) > 0
}

// Whenever a backup is killed: what has a name is whole, and what is listed
// was finished.
func TestKilledBackupsLeaveNothingBrokenUnderAName(t *testing.T) {
	t.Parallel()
	kills := 5
	if os.Getenv("KUBEFERRY_LONG") != "" {
		kills = 50
	}
	keys, server, folder := newPair(t), crowd(t, 10_000, 1000), t.TempDir()
	args := []string{"backup", "--endpoints", server.Endpoint, "--to", folder, "-r", keys.recipient}
	begun := time.Now()
	if r := start(t, args...).end(t); r.code != exitDone {
		t.Fatalf("%+v", r)
	}
	takes := time.Since(begun)
	finished, killed := 1, 0
	for i := range kills {
		p := start(t, args...)
		if i > 0 {
			time.Sleep(rand.N(takes))
		} else { // one at least is hit while it writes
			p.await(t, "the partial", func() bool { return hasPartial(t, folder) })
		}
		if err := p.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
			t.Fatal(err)
		}
		switch r := p.end(t); r.code {
		case exitDone:
			finished++
		case -1:
			killed++
		default:
			t.Errorf("%+v", r)
		}
	}
	archives, receipts, partials, others := files(t, folder)
	t.Logf("of %d runs %d were killed, in %s at random; left behind: %d partials, %d archives, %d receipts",
		kills+1, killed, takes, len(partials), len(archives), len(receipts))
	if killed == 0 || len(partials) == 0 {
		t.Errorf("%d runs were killed, %d of them while they wrote: the test has proved nothing", killed, len(partials))
	}
	if len(others) > 0 || len(receipts) > len(archives) || len(receipts) < finished {
		t.Errorf("%d archives, %d receipts, others %q; %d runs finished", len(archives), len(receipts), others, finished)
	}
	for _, name := range archives {
		must(t, exitDone, "verify", filepath.Join(folder, name), "-i", keys.identity)
	}
	if listed := listed(t, folder); len(listed) != len(receipts) {
		t.Errorf("%d archives are listed, %d have a receipt", len(listed), len(receipts))
	}
}

// listed are the archives that list shows.
func listed(t testing.TB, folder string) []string {
	t.Helper()
	var summary struct{ Result listResult }
	if err := json.Unmarshal([]byte(must(t, exitDone, "list", folder, "--json").stdout), &summary); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, item := range summary.Result.Archives {
		if item.Broken != "" {
			t.Errorf("%s is listed and broken: %s", item.Name, item.Broken)
		}
		names = append(names, item.Name)
	}
	return names
}

func TestInterruptedBackupLeavesNothing(t *testing.T) {
	t.Parallel()
	keys, server := newPair(t), crowd(t, 10_000, 1000)
	for _, signal := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
		t.Run(signal.String(), func(t *testing.T) {
			folder := filepath.Join(t.TempDir(), "backups")
			args := []string{"backup", "--endpoints", server.Endpoint, "--to", folder, "-r", keys.recipient}
			p := start(t, args...)
			p.await(t, "the partial", func() bool { return hasPartial(t, folder) })
			if err := p.Process.Signal(signal); err != nil {
				t.Fatal(err)
			}
			r := p.end(t)
			if r.code != exitInterrupted || r.stdout != "" {
				t.Errorf("%+v", r)
			}
			r.says(t, "interrupted")
			if left, err := os.ReadDir(folder); err != nil || len(left) > 0 {
				t.Errorf("left behind: %v, %v", left, err)
			}
			if r := start(t, args...).end(t); r.code != exitDone {
				t.Errorf("again: %+v", r)
			}
		})
	}
}

func TestInterruptedRestoreTellsWhatItWroteAndCanGoOn(t *testing.T) {
	t.Parallel()
	keys, server := newPair(t), crowd(t, 8_000, 1000)
	archive := keys.backUp(t, server.Endpoint, t.TempDir())
	want := holdings(t, server.Client(t), 0)
	for _, signal := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
		t.Run(signal.String(), func(t *testing.T) {
			target := etcdproc.Start(t, etcdproc.Options{})
			client := target.Client(t)
			args := []string{"restore", "--from", archive, "-i", keys.identity, "--endpoints", target.Endpoint, "--scenario=new", "--yes"}
			report := filepath.Join(t.TempDir(), "report")
			p := start(t, append(args, "--report", report)...)
			p.await(t, "the first keys", func() bool { return revision(t, client) > 1 })
			if err := p.Process.Signal(signal); err != nil {
				t.Fatal(err)
			}
			r := p.end(t)
			told := regexp.MustCompile(`([\d,]+) keys were written; run the same command again to finish the rest`).FindStringSubmatch(r.stderr)
			if r.code != exitInterrupted || told == nil {
				t.Fatalf("%+v", r)
			}
			there := holdings(t, client, 0)
			if strings.ReplaceAll(told[1], ",", "") != fmt.Sprint(len(there)) || len(there) == len(want) {
				t.Errorf("the program says %s keys, the target has %d of %d", told[1], len(there), len(want))
			}
			r.says(t, fmt.Sprintf("Stopped: %d created, %d not reached", len(there), len(want)-len(there)))
			counts := count(readReport(t, report))
			if created := int64(len(there)); counts[replay.Created] != created || counts[replay.Unreached] != int64(len(want))-created {
				t.Errorf("the report counts %v; the target has %d keys of %d", counts, created, len(want))
			}
			if r = start(t, args...).end(t); r.code != exitDone {
				t.Errorf("again: %+v", r)
			}
			r.says(t, fmt.Sprintf("%d created, %d unchanged", len(want)-len(there), len(there)))
			same(t, "restored in two goes", holdings(t, client, 0), want)
		})
	}
}

func TestTwoBackupsAtOnce(t *testing.T) {
	t.Parallel()
	keys, server, folder := newPair(t), crowd(t, 2_000, 1000), filepath.Join(t.TempDir(), "backups")
	args := []string{"backup", "--endpoints", server.Endpoint, "--to", folder, "-r", keys.recipient}
	for _, p := range []*process{start(t, args...), start(t, args...)} {
		if r := p.end(t); r.code != exitDone {
			t.Errorf("%+v", r)
		}
	}
	names := listed(t, folder)
	if len(names) != 2 {
		t.Errorf("listed: %q, want two archives", names)
	}
	for _, name := range names {
		must(t, exitDone, "verify", filepath.Join(folder, name), "-i", keys.identity)
	}
}

// Of two restores at once each key is written by one, and both reports are true.
func TestTwoRestoresAtOnce(t *testing.T) {
	t.Parallel()
	keys, server := newPair(t), crowd(t, 5_000, 1000)
	archive := keys.backUp(t, server.Endpoint, t.TempDir())
	want := holdings(t, server.Client(t), 0)
	for policy, codes := range map[string]map[exitCode]bool{
		"skip": {exitDone: true},
		"fail": {exitDone: true, exitConflict: true},
	} {
		t.Run(policy, func(t *testing.T) {
			target := etcdproc.Start(t, etcdproc.Options{})
			folder := t.TempDir()
			args := []string{"restore", "--from", archive, "-i", keys.identity, "--endpoints", target.Endpoint, "--on-conflict", policy, "--scenario=new", "--yes"}
			both := []*process{
				start(t, append(args, "--undo-dir", t.TempDir(), "--report", filepath.Join(folder, "0"))...), // as on two machines
				start(t, append(args, "--undo-dir", t.TempDir(), "--report", filepath.Join(folder, "1"))...),
			}
			ended := 0
			for _, p := range both {
				r := p.end(t)
				if r.code == exitDone {
					ended++
				}
				// Whoever comes late may find the target no longer new.
				if !codes[r.code] {
					t.Errorf("%+v", r)
				}
			}
			there := holdings(t, target.Client(t), 0)
			if ended > 0 {
				same(t, "restored", there, want)
			}
			created := map[string]int64{}
			for i := range both {
				for key, l := range readReport(t, filepath.Join(folder, fmt.Sprint(i))) {
					if l.Outcome != replay.Created {
						continue
					}
					if created[key] != 0 {
						t.Errorf("key %s was created twice", key)
					}
					created[key] = l.Revision
				}
			}
			checkCreated(t, created, there)
		})
	}
}

// checkCreated holds what reports say against the target.
func checkCreated(t *testing.T, created map[string]int64, there []etcdwalk.Entry) {
	t.Helper()
	for _, e := range there {
		if e.Version != 1 || created[string(e.Key)] != e.ModRevision {
			t.Errorf("key %s has version %d, mod revision %d; the reports say %d", e.Key, e.Version, e.ModRevision, created[string(e.Key)])
		}
	}
	if len(created) != len(there) {
		t.Errorf("the reports say that %d keys were created, there are %d", len(created), len(there))
	}
}
