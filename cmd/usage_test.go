package cmd

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"

	"github.com/kubeferry/kubeferry/cmd/console"
	"github.com/kubeferry/kubeferry/remote/dir"
)

// FAULTS.md section 2: the numbers and their meanings are for ever.
func TestExitCodesAreGolden(t *testing.T) {
	const want = `Each command ends with one of these codes; treat unknown ones as failure.

    0  done: complete, verified and durable
    1  other failure
    3  finished, but incomplete: some keys or archives were not done
   10  backup, store or selected objects not found
   11  another run holds the lock
   12  wrong or missing decryption key
   13  integrity failure
   14  refused by policy
   15  etcd unreachable or unstable
   16  storage target unreachable or failing
   17  permission denied
   18  conflict, or already exists
   19  refused by a safety guard
   20  no space, or quota exceeded
   21  check failed, or prune cannot tell what is safe to remove
   64  wrong usage
   78  wrong configuration
  130  interrupted by a signal, or the prompt was declined
`
	if diff := cmp.Diff(want, must(t, exitDone, "exit-codes").stdout); diff != "" {
		t.Errorf("exit codes (-want +got):\n%s", diff)
	}
	if help := must(t, exitDone, "help", "exit-codes").stdout; !strings.HasPrefix(help, want) {
		t.Errorf("help exit-codes begins differently:\n%s", help)
	}
}

// lists tells whether the help of a command lists a code.
func lists(t *testing.T, command string, code exitCode) bool {
	t.Helper()
	help := must(t, exitDone, "help", command).stdout
	_, listed, found := strings.Cut(help, "\nExit codes (help exit-codes): ")
	listed, _, _ = strings.Cut(listed, "\n")
	return found && slices.Contains(strings.Fields(listed), strconv.Itoa(int(code)))
}

func TestEachHelpListsItsExitCodes(t *testing.T) {
	for _, c := range commands()[1:] {
		if c.Name() == "exit-codes" {
			continue // it lists them all
		}
		for _, code := range []exitCode{exitDone, exitFailure, exitUsage, exitConfig, exitInterrupted} {
			if !lists(t, c.Name(), code) {
				t.Errorf("the help of %s does not list %d", c.Name(), code)
			}
		}
	}
	if lists(t, "list", exitKey) {
		t.Error("the help of list has the code for a wrong key, which list never needs")
	}
}

// UX-11: the first help screen fits on a screen, and every other into 80 columns: what
// it does, examples before flags, flags by group, and the exit codes in one line.
func TestHelpCanBeRead(t *testing.T) {
	if n := strings.Count(must(t, exitDone).stdout, "\n"); n > 40 || n < 20 {
		t.Errorf("the first help screen has %d lines", n)
	}
	pages := [][]string{{"--help"}}
	for _, c := range commands()[1:] {
		pages = append(pages, []string{c.Name(), "--help"})
	}
	for _, topic := range topicNames() {
		pages = append(pages, []string{"help", topic})
	}
	for _, page := range pages {
		for line := range strings.Lines(must(t, exitDone, page...).stdout) {
			if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > 80 {
				t.Errorf("%v has a line of %d columns: %s", page, n, line)
			}
		}
	}
	rest := must(t, exitDone, "backup", "--help").stdout
	for _, part := range []string{"\nUsage:\n", "\nExamples:\n", "\nWhat:\n", "\nWhere to:\n", "--to PLACE", "\nKeys:\n", "kubeferry help keys: --passphrase-command",
		"\nConnection:\n", "--endpoints HOST:PORT", "\nS3:\n      kubeferry help s3: --s3-endpoint", "\nOther:\n", "kubeferry help options: --json", "\nExit codes "} {
		_, after, found := strings.Cut(rest, part)
		if !found {
			t.Fatalf("%q is missing in, or does not come after what is before:\n%s", part, rest)
		}
		rest = after
	}
}

// Each flag is explained somewhere: in the help of its command, or under its topic.
func TestEachFlagIsExplained(t *testing.T) {
	var topics strings.Builder
	for _, topic := range topicNames() {
		topics.WriteString(must(t, exitDone, "help", topic).stdout)
	}
	seen := 0
	for _, c := range commands()[1:] {
		own := must(t, exitDone, c.Name(), "--help").stdout
		c.LocalFlags().VisitAll(func(f *pflag.Flag) {
			explained := regexp.MustCompile(`(?m)^  (-., |    )--` + f.Name + `(\[| |$)`)
			if seen++; !f.Hidden && !explained.MatchString(own) && !explained.MatchString(topics.String()) {
				t.Errorf("nothing explains --%s of %s", f.Name, c.Name())
			}
		})
	}
	if seen < 100 {
		t.Errorf("only %d flags were looked at", seen)
	}
}

// wrongUsage is what can be refused without a server. HERE is a folder with the
// files "file" and "shown", the latter open to all; AGE1 is a recipient, EMPTY
// an empty word.
var wrongUsage = []struct {
	line string
	code exitCode
	says []string
}{
	{"bakup", 64, []string{`unknown command "bakup"`, "did you mean backup?"}},
	{"cm backup", 64, []string{`unknown command "cm"`}},
	{"help bakup", 64, []string{"did you mean backup?"}},
	{"ls --all", 64, []string{`unknown command "ls"`, "did you mean list?"}},
	{"snapshots --json", 64, []string{"did you mean list?"}},
	{"inspect a.zip.age", 64, []string{"did you mean describe?"}},
	{"diagnose", 64, []string{"did you mean doctor?"}},
	{"doctor shop", 64, []string{`unexpected argument "shop"`}},
	{"doctor --store x", 64, []string{"--store needs --from"}},
	{"get cm -o yml", 64, []string{"-o", "wide, yaml, json, name, jsonpath=TEMPLATE"}},
	{"get", 64, []string{"missing argument TYPE"}},
	{"get cm -o jsonpath={.a --from x", 64, []string{"unclosed action"}},
	{"get cm -o custom-columns=NAME --from x", 64, []string{"HEAD:PATH"}},
	{"get cm --sort-by {} --from x", 64, []string{"--sort-by", "is no path"}},
	{"get cm --store x", 64, []string{"--store needs --from"}},
	{"get cm -l a,,b --from x", 64, []string{"label selector"}},
	{"completion bahs", 64, []string{"did you mean bash?"}},
	{"completion", 64, []string{"SHELL"}},
	{"help backup x", 64, []string{"one COMMAND or TOPIC"}},
	{"verify EMPTY", 64, []string{"is empty"}},
	{"describe EMPTY", 64, []string{"is empty"}},
	{"backup --dry-run EMPTY", 64, []string{"an argument is empty"}},
	{"backup --dry-run -n EMPTY", 64, []string{"--namespace is empty", "variable"}},
	{"restore --from x -n EMPTY", 64, []string{"--namespace is empty", "variable"}},
	{"restore --from EMPTY", 64, []string{"--from is empty"}},
	{"restore --from x --include EMPTY", 64, []string{"--include is empty"}},
	{"backup --endpoints EMPTY --dry-run", 64, []string{"--endpoints is empty"}},
	{"keygen --out EMPTY", 64, []string{"--out is empty"}},
	{"version x", 64, []string{`"x"`}},
	{"demo x", 64, nil},
	{"backup --recipent x", 64, []string{"unknown flag: --recipent", "did you mean --recipient?"}},
	{"backup --endpoint x", 64, []string{"did you mean --endpoints or"}},
	{"backup --to", 64, []string{"needs an argument", "--to"}},
	{"backup --dial-timeout soon", 64, []string{"--dial-timeout=soon", "invalid duration"}},
	{"backup --no-encrypt=maybe", 64, []string{"--no-encrypt=maybe: it takes true or false"}},
	{"backup --passphrase-fd three", 64, []string{"--passphrase-fd=three: it takes a number"}},
	{"backup --dry-run=server", 64, []string{"--dry-run=server"}},
	{"backup --log-format=yaml", 64, []string{"text or json"}},
	{"backup", 64, []string{"--to is missing"}},
	{"backup --to x", 64, []string{"keygen", "--passphrase", "--no-encrypt"}},
	{"backup --to x -r AGE1 --no-encrypt", 64, []string{"--no-encrypt contradicts"}},
	{"backup --to x -r AGE1 --passphrase", 64, []string{"cannot be combined"}},
	{"backup --to x --passphrase --passphrase-file y", 64, []string{"both lead to a passphrase"}},
	{"backup --to x --passphrase", 64, []string{"no terminal", "--passphrase-file"}},
	{"backup --to x --passphrase --no-input", 64, []string{"--no-input", "--passphrase-file"}},
	{"backup --to x --passphrase-fd 99", 64, []string{"nothing is open there"}},
	{"backup --to x.zip -r AGE1", 64, []string{"*.zip.age", "--no-encrypt"}},
	{"backup --to x.zip.age --no-encrypt", 64, []string{"*.zip"}},
	{"backup --to x.age -r AGE1", 64, []string{"*.zip.age"}},
	{"backup --to .x.zip.age -r AGE1", 64, []string{"begin with a dot"}},
	{"backup --to HERE/file -r AGE1", 64, []string{"neither a folder"}},
	{"backup --to - --json -r AGE1", 64, []string{"both want stdout"}},
	{"backup --dry-run --cluster=UPPER", 64, []string{"not a label"}},
	{"backup --dry-run -n x -A", 64, []string{"contradict"}},
	{"backup --dry-run --password x", 64, []string{"everybody on this machine", "--password-file"}},
	{"backup --dry-run --user root:x", 64, []string{"everybody on this machine", "--password-file"}},
	{"backup --dry-run --user root", 64, []string{"password of etcd user root", "--password-file"}},
	{"backup --dry-run --cert x", 64, []string{"--cert and --key go together"}},
	{"backup --to s4://x -r AGE1", 64, []string{"unknown scheme s4://"}},
	{"list S3://x", 64, []string{"unknown scheme S3://"}},
	{"restore", 64, []string{"--from is missing", "kubeferry list"}},
	{"restore --from latest", 64, []string{`"latest" needs --store, for example --store /var/backups/etcd`}},
	{"restore --from s3://bucket/x", 64, []string{"is no archive", "--store"}},
	{"restore --from HERE", 64, []string{"is a folder", "kubeferry list"}},
	{"restore --from x --leases=keep", 64, []string{"skip or regrant"}},
	{"restore --from x --max-in-flight=0", 64, []string{"--max-in-flight=0", "1 to 32"}},
	{"restore --from x --max-in-flight=33", 64, []string{"--max-in-flight=33", "1 to 32"}},
	{"restore --from x --max-in-flight=-1", 64, []string{"1 to 32"}},
	{"restore --from x --max-in-flight=many", 64, []string{"--max-in-flight"}},
	{"restore --from x --on-conflict=merge", 64, []string{"fail, skip, overwrite or newer"}},
	{"restore --from x --scenario=migrate", 64, []string{"not supported yet"}},
	{"restore --from x --scenario=new", 64, []string{"name it with --endpoints"}},
	{"verify", 64, []string{"missing argument ARCHIVE"}},
	{"restore --from s3://bkt/x?endpoint=https://u:hunter2@h", 64, []string{"no place for credentials"}},
	{"check HERE --max-age soon", 64, []string{"26h, 2d or 1w"}},
	{"describe", 64, []string{"ARCHIVE"}},
	{"describe x cm", 64, []string{"--keys"}},
	{"describe x -n y", 64, []string{"--keys"}},
	{"list", 64, []string{"missing argument PLACE (folder or s3://bucket/prefix)"}},
	{"list HERE/file", 64, []string{"is not a folder"}},
	{"keygen", 64, []string{"--out is missing"}},
	{"backup --to x -r age1x", 78, []string{"mistyped or cut"}},
	{"backup --to x -R HERE/nothing", 78, []string{"recipients file", "nothing"}},
	{"backup --to x --passphrase-file HERE/shown", 78, []string{"0644", "chmod 600"}},
	{"verify HERE/file -i HERE/shown", 78, []string{"0644", "chmod 600"}},
	{"verify HERE/file -i HERE/nothing", 78, []string{"identity file", "nothing"}},
	{"backup --dry-run --config HERE/nothing", 78, []string{"configuration file", "nothing"}},
	{"backup --dry-run --profile x", 78, []string{`profile "x"`, "--config"}},
	{"backup --dry-run --endpoints x", 78, []string{"host and port are needed"}},
	{"backup --dry-run --endpoints ftp://x:1", 78, []string{"unknown scheme"}},
	{"backup --dry-run --endpoints https://localhost:1 --cacert HERE/nothing", 78, []string{"CA certificate", "nothing"}},
	{"backup --dry-run --endpoints https://localhost:1 --cacert HERE/file", 78, []string{"holds no PEM certificate"}},
	{"backup --dry-run --endpoints https://localhost:1 --cert HERE/a --key HERE/b", 78, []string{"client certificate", "HERE/a"}},
	{"backup --dry-run --endpoints http://192.0.2.1:2379", 19, []string{"plain text", "--insecure-transport"}},
	{"backup --dry-run --endpoints http://127.0.0.1:1", 15, []string{"cannot connect to etcd at http://127.0.0.1:1: ", "connection refused", "hint: --endpoints"}},
	{"backup --dry-run --endpoints http://127.0.0.1:1 --timeout 1ns", 1, []string{"--timeout of 1ns"}},
	{"verify HERE/nothing", 10, []string{"open archive", "nothing"}},
	{"list HERE/nothing", 10, []string{"open folder", "nothing"}},
	{"verify HERE/file", 13, []string{"not an archive"}},
	{"keygen --here --out HERE/file", 18, []string{"never overwritten"}},
}

// What can be refused without a server is refused so, with the words that lead
// on, and with a code that the help of the command lists.
func TestWrongUsage(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	check(t, os.WriteFile(at("file"), []byte("x"), 0o600))
	check(t, os.WriteFile(at("shown"), []byte("x"), 0o644))
	names := strings.NewReplacer("HERE", dir, "AGE1", "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p", "EMPTY", "")
	for _, c := range wrongUsage {
		t.Run(c.line, func(t *testing.T) {
			words := strings.Fields(c.line)
			for i := range words {
				words[i] = names.Replace(words[i])
			}
			r := must(t, c.code, words...)
			for _, words := range c.says {
				r.says(t, names.Replace(words))
			}
			if strings.Contains(c.line, "--json") {
				return
			}
			if r.stdout != "" {
				t.Errorf("stdout is for data: %s", r.stdout)
			}
			if n := strings.Count(r.stderr, "\n"); n > 5 {
				t.Errorf("%d lines:\n%s", n, r.stderr)
			}
			if !strings.HasPrefix(r.stderr, "kubeferry: ") || strings.Count(r.stderr, "kubeferry: ") != 1 {
				t.Errorf("one line, and no other, begins with the program's name:\n%s", r.stderr)
			}
			for _, bare := range []string{"rpc error", "code = ", "context deadline exceeded", "strconv."} {
				if strings.Contains(r.stderr, bare) {
					t.Errorf("says %q:\n%s", bare, r.stderr)
				}
			}
			if command := words[0]; slices.Contains(commandNames(), command) && !lists(t, command, c.code) {
				t.Errorf("the help of %s does not list %d", command, c.code)
			}
			told := must(t, c.code, append(words, "--json")...)
			if end := lastObject(t, told.stdout); end["message_type"] != "exit_error" || end["code"] != float64(c.code) {
				t.Errorf("with --json the last line is %v", end)
			}
			if told.stderr != "" {
				t.Errorf("with --json stderr says: %s", told.stderr)
			}
		})
	}
}

func commandNames() []string {
	var all []string
	for _, c := range commands()[1:] {
		all = append(all, c.Name())
	}
	return all
}

// lastObject checks that each line is an object with a type and a schema, and
// returns the last.
func lastObject(t *testing.T, stdout string) map[string]any {
	t.Helper()
	var last map[string]any
	for line := range strings.Lines(stdout) {
		last = nil
		if err := json.Unmarshal([]byte(line), &last); err != nil {
			t.Fatalf("not JSON: %v: %s", err, line)
		}
		if last["schema"] != float64(console.NewMessage("").Schema) || last["message_type"] == nil {
			t.Errorf("no schema, or no type: %s", line)
		}
	}
	if last == nil {
		t.Fatal("no line at all")
	}
	return last
}

// X02, on success: every command ends with one summary.
func TestJSONOfEachCommand(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	at := func(name string) string { return filepath.Join(w.dir, name) }
	archive, key := at("prod.zip.age"), at("kubeferry.identity")
	check(t, os.WriteFile(at("copy.zip.age"), readFile(t, archive), 0o600))
	tried := map[string]bool{}
	for _, args := range [][]string{
		{"backup", "--to", at("backups"), "-r", w.recipient, "--endpoints", w.endpoint},
		{"backup", "--dry-run", "--endpoints", w.endpoint},
		{"restore", "--from", archive, "-i", key, "--dry-run", "--endpoints", w.endpoint},
		{"restore", "--from", archive, "-i", key, "--yes", "--endpoints", w.endpoint},
		{"undo", "--list", "--undo-dir", at("undo")},
		{"undo", "-i", key, "--yes", "--endpoints", w.endpoint, "--undo-dir", at("undo")},
		{"list", at("backups")},
		{"list", w.dir},
		{"prune", at("backups"), "--keep-last", "1"},
		{"check", at("backups")},
		{"describe", archive, "-i", key},
		{"describe", archive, "-i", key, "--keys", "cm"},
		{"get", "cm", "--from", archive, "-i", key},
		{"doctor", "--endpoints", w.endpoint},
		{"doctor", "--from", archive, "-i", key},
		{"verify", archive, "-i", key},
		{"receipt", at("copy.zip.age"), "-i", key},
		{"keygen", "--here", "--out", at("another")},
		{"demo"}, {"version"}, {"completion", "zsh"}, {"exit-codes"}, {"help"}, {"help", "backup"},
	} {
		t.Run(strings.Join(args[:min(2, len(args))], " "), func(t *testing.T) {
			r := must(t, exitDone, append(args, "--json")...)
			end := lastObject(t, r.stdout)
			if end["message_type"] != "summary" || end["code"] != 0.0 || end["result"] == nil {
				t.Errorf("the last line is %v", end)
			}
			if strings.Count(r.stdout, `"summary"`) != 1 || r.stderr != "" {
				t.Errorf("more than one summary, or talk: %s\n%s", r.stdout, r.stderr)
			}
		})
		tried[args[0]] = true
	}
	for _, name := range commandNames() {
		if !tried[name] {
			t.Errorf("%s was not tried", name)
		}
	}
}

// A failure to print is a failure.
func TestFullStdoutIsNoSuccess(t *testing.T) {
	stocked := t.TempDir()
	stock(t, dir.New(stocked, dir.Options{}), 0, time.Now())
	for _, args := range [][]string{{"--help"}, {"version"}, {"version", "--json"}, {"completion", "bash"}, {"help", "list"}, {"exit-codes"}, {"list", stocked}} {
		full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
		if err != nil {
			t.Skip("this system has no /dev/full: ", err)
		}
		defer full.Close()
		var talk bytes.Buffer
		code := run(t.Context(), args, &console.Shell{Stdout: full, Stderr: &talk, Now: time.Now})
		if code != int(exitFailure) || !strings.Contains(talk.String(), "no space left") {
			t.Errorf("%v ended with %d: %s", args, code, talk.String())
		}
	}
}
