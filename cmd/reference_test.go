package cmd

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"

	"github.com/kubeferry/kubeferry/cmd/console"
	"github.com/kubeferry/kubeferry/cmd/flags"
	"github.com/kubeferry/kubeferry/scripts/servers/etcdproc"
	"github.com/kubeferry/kubeferry/scripts/servers/s3proc"
)

var update = flag.Bool("update", false, "write what the test would compare with")

// nowhere are settings for commands that are looked at and not run.
func nowhere() *flags.Settings {
	return &flags.Settings{Printer: &console.Printer{Shell: &console.Shell{}}}
}

// commands are all that a user can see, the root first.
func commands() []*cobra.Command {
	all := []*cobra.Command{newRoot(nowhere())}
	all[0].InitDefaultHelpCmd()
	for _, c := range all[0].Commands() {
		if !c.Hidden {
			all = append(all, c)
		}
	}
	return all
}

func TestReference(t *testing.T) {
	var b strings.Builder
	b.WriteString("# The commands\n\nMade from their help by `make docs`.\n")
	for _, c := range commands() {
		words := append(strings.Fields(c.CommandPath())[1:], "--help")
		fmt.Fprintf(&b, "\n## %s\n\n```text\n%s```\n", c.CommandPath(), must(t, exitDone, words...).stdout)
	}
	const path = "REFERENCE.md"
	if *update {
		if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(b.String(), string(have)); diff != "" {
		t.Errorf("%s is not what the commands say; run make docs (-commands +file):\n%s", path, diff)
	}
}

// A world is a folder and a cluster in which the examples of the help texts and
// of the README make sense.
type world struct {
	dir       string
	endpoint  string
	recipient string
	s3        []string // the environment that leads to an S3 store with a bucket
}

func newWorld(t *testing.T) world {
	t.Helper()
	server := etcdproc.Start(t, etcdproc.Options{})
	w := world{dir: t.TempDir(), endpoint: server.Endpoint}
	store := s3proc.Start(t, s3proc.Options{Versioning: true})
	store.MakeBucket("backups", true)
	w.s3 = []string{
		"AWS_ENDPOINT_URL_S3=" + store.Endpoint, "AWS_REGION=" + store.Region,
		"AWS_ACCESS_KEY_ID=" + s3proc.RootAccessKey, "AWS_SECRET_ACCESS_KEY=" + s3proc.RootSecretKey,
	}
	at := func(name string) string { return filepath.Join(w.dir, name) }
	write := func(name, content string) {
		if err := os.WriteFile(at(name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("sample.zip", sample)
	must(t, exitDone, "restore", "--from", at("sample.zip"), "--scenario=new", "--leases=regrant", "--yes", "--endpoints", w.endpoint)
	w.recipient = strings.TrimSpace(must(t, exitDone, "keygen", "--here", "--out", at("kubeferry.identity")).stdout)
	write("recipients.txt", w.recipient+"\n")
	write("config.yaml", "default_profile: prod\nprofiles:\n  - name: prod\n    endpoints: ["+w.endpoint+"]\n")
	must(t, exitDone, "backup", "--to", at("prod.zip.age"), "-r", w.recipient, "--endpoints", w.endpoint)
	_, err := server.Client(t).Delete(t.Context(), "/registry/configmaps/shop-frontend/app-config-0")
	check(t, err)
	must(t, exitDone, "restore", "cm/app-config-0", "-n", "shop-frontend", "--from", at("prod.zip.age"), "-i", at("kubeferry.identity"), "--endpoints", w.endpoint,
		"--yes", "--no-watch", "--undo-dir", at("undo")) // so that there is something to be taken back
	return w
}

// translate puts the world's names into a line that was written for people.
func (w world) translate(line string) string {
	for _, pair := range [][2]string{
		{"/etc/kubeferry/", w.dir + "/"},
		{"/var/backups/etcd", filepath.Join(w.dir, "backups")},
		{"age1…", w.recipient},
		{"ARCHIVE", "prod.zip.age"},
		{"undo NAME", "undo latest"},
		{"-n shop", "-n shop-frontend"},
		{"cm/settings", "cm/app-config-0"},
		{"deploy/web ", "deploy/web-0 "},
		{"| kubectl apply -f -", "| grep ConfigMap"},
		{`"$f"`, "piped.zip.age"},
	} {
		line = strings.ReplaceAll(line, pair[0], pair[1])
	}
	return line
}

// try runs a line as a shell does; it must succeed.
func (w world) try(t *testing.T, line string) {
	t.Helper()
	if strings.HasPrefix(line, "kubeferry keygen") { // one is never overwritten
		old := filepath.Join(w.dir, "kubeferry.identity")
		if err := os.Rename(old, old+".kept"); err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := os.Rename(old+".kept", old); err != nil {
				t.Fatal(err)
			}
		}()
	}
	sh := exec.CommandContext(t.Context(), "sh", "-ec", w.translate(line))
	sh.Dir = w.dir
	sh.Env = append(append(os.Environ(), "ETCDCTL_ENDPOINTS="+w.endpoint, undoDir+"="+filepath.Join(w.dir, "undo"), stateDir+"="+filepath.Join(w.dir, "state")), w.s3...)
	if out, err := sh.CombinedOutput(); err != nil {
		t.Errorf("%s\n%v: %s", line, err, out)
	}
}

// UX-10: what a help text tells people to type works.
func TestExamplesRun(t *testing.T) {
	t.Parallel()
	w, tried := newWorld(t), 0
	for _, c := range commands() {
		examples := 0
		for line := range strings.Lines(strings.ReplaceAll(c.Example, "\\\n", "")) {
			if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
				w.try(t, line)
				examples++
			}
		}
		if tried += examples; examples == 0 && c.HasParent() {
			t.Errorf("%s has no example", c.CommandPath())
		}
	}
	if tried < 10 {
		t.Errorf("only %d examples were found", tried)
	}
}

var fence = regexp.MustCompile("(?ms)^```([a-z]+)\n(.*?)^```$")

// blocks are the README's code blocks of one language.
func blocks(t *testing.T, language string) []string {
	t.Helper()
	b, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, m := range fence.FindAllStringSubmatch(string(b), -1) {
		if m[1] == language {
			found = append(found, m[2])
		}
	}
	if len(found) == 0 {
		t.Fatalf("the README has no block of %s", language)
	}
	return found
}

func TestReadmeRuns(t *testing.T) {
	t.Parallel()
	w, tried := newWorld(t), 0
	for _, block := range slices.Concat(blocks(t, "sh"), blocks(t, "cron")) {
		for line := range strings.Lines(block) {
			line, _, _ = strings.Cut(strings.TrimSpace(line), " #")
			if name, ok := strings.CutPrefix(line, "export ETCDCTL_"); ok {
				name, _, _ = strings.Cut(name, "=")
				if newBackup(nowhere()).Flags().Lookup(strings.ToLower(name)) == nil {
					t.Errorf("%s stands for no flag", line)
				}
				continue
			}
			if at := strings.Index(line, "kubeferry "); at == 0 || at > 0 && !strings.HasPrefix(line, "git ") && !strings.HasPrefix(line, "age ") {
				w.try(t, line[at:])
				tried++
			}
		}
	}
	if tried < 10 {
		t.Errorf("only %d command lines were found", tried)
	}
}

func TestReadmeConfigurationIsValid(t *testing.T) {
	for _, block := range blocks(t, "yaml") {
		path := filepath.Join(t.TempDir(), "config.yaml")
		if err := os.WriteFile(path, []byte(block), 0o600); err != nil {
			t.Fatal(err)
		}
		// Without a default profile this is refused before anything else.
		must(t, exitUsage, "backup", "--config", path, "--no-encrypt", "--verify-members", "--dry-run")
		r := must(t, exitConfig, "version", "--config", path, "--profile", "no-such")
		if !strings.Contains(r.stderr, path+"; it has: ") {
			t.Errorf("the profiles are not named: %s", r.stderr)
		}
	}
}

func TestReadmeListsTheExitCodes(t *testing.T) {
	b, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(b), "\n## Exit codes\n")
	section, _, _ = strings.Cut(section, "\n## ")
	var got, want []string
	for _, m := range regexp.MustCompile(`(?m)(?:^|· ?)(\d+) `).FindAllStringSubmatch(section, -1) {
		got = append(got, m[1])
	}
	for _, row := range byCode() {
		want = append(want, fmt.Sprint(row.code))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("exit codes in the README (-table +README):\n%s", diff)
	}
}
