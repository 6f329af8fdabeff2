package cmd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/kubeferry/kubeferry/scripts/servers/etcdproc"
)

// TestMain lets the scripts run the program itself: this test binary, called
// by the program's name.
func TestMain(m *testing.M) {
	heedSignals()
	testscript.Main(surrounded{m}, map[string]func(){
		"kubeferry": func() { os.Exit(Main()) },
	})
}

// surroundings are what the program finds in its environment in tests: a restore watches its
// target for a second only, so that tests do not each wait for the fifteen that it takes, and
// what restores take away and what is known of stores lie in folders of this run. runOn and the scripts have them from
// here, what runs as a process of its own from the environment.
func surroundings() []string {
	return []string{"KUBEFERRY_WATCH_FOR=1s", undoDir + "=" + os.Getenv(undoDir), stateDir + "=" + os.Getenv(stateDir)}
}

const (
	undoDir  = "KUBEFERRY_UNDO_DIR"
	stateDir = "KUBEFERRY_STATE_DIR"
)

// surrounded are the tests, in their surroundings.
type surrounded struct{ *testing.M }

// Run implements [testscript.TestingM].
func (s surrounded) Run() int {
	folder, err := os.MkdirTemp("", "kubeferry-undo-")
	if err == nil {
		defer func() { _ = os.RemoveAll(folder) }() // what stays is encrypted
		err = errors.Join(os.Setenv(undoDir, folder), os.Setenv(stateDir, filepath.Join(folder, "state")))
	}
	for _, set := range surroundings() {
		name, value, _ := strings.Cut(set, "=")
		if err == nil && os.Getenv(name) == "" {
			err = os.Setenv(name, value)
		}
	}
	if err != nil {
		panic(err)
	}
	return s.M.Run()
}

// heedSignals makes sure that no child inherits that a signal is ignored, as
// under nohup or in the background of a shell: tests send it these signals.
func heedSignals() {
	if filepath.Base(os.Args[0]) == "kubeferry" {
		return // this is a child
	}
	for _, s := range []os.Signal{os.Interrupt, syscall.SIGHUP} {
		if signal.Ignored(s) {
			signal.Notify(make(chan os.Signal, 1), s)
		}
	}
}

// TestScripts runs the command lines in testdata/scripts against real etcd
// servers. Beside testscript's own commands there are:
//
//	etcd NAME [VERSION [FLAG...]]   start a server; $NAME is its endpoint
//	template NAME [VERSION ...]     the same, with the cluster id that all of these have
//	load NAME FILE                  put the lines KEY=VALUE of a file
//	put NAME KEY VALUE              put one key
//	leased NAME KEY VALUE           put one key under a lease of an hour
//	del NAME PREFIX                 delete the keys under a prefix
//	get NAME KEY                    print a value on stdout, for stdout and cmp
//	dump NAME FILE [-PREFIX...]     write all keys and values, without those prefixes
//	alarm NAME KIND                 raise an alarm: CORRUPT or NOSPACE
//	exits CODE kubeferry ARG...     run the program, which must end with that code
//
// $TESTDATA is the folder of test data.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("../testdata/scripts/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	testdata, err := filepath.Abs("../testdata")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			t.Parallel()
			s := &scripted{t: t, servers: map[string]*etcdproc.Server{}}
			testscript.Run(t, testscript.Params{
				Files:               []string{file},
				RequireExplicitExec: true,
				Setup: func(e *testscript.Env) error {
					e.Setenv("TESTDATA", testdata)
					e.Vars = append(e.Vars, surroundings()[0], undoDir+"="+filepath.Join(e.WorkDir, "undo"), stateDir+"="+filepath.Join(e.WorkDir, "state"))
					return nil
				},
				Cmds: map[string]func(*testscript.TestScript, bool, []string){
					"etcd": s.etcd, "template": s.template, "load": s.load, "put": s.put, "leased": s.leased, "del": s.del, "get": s.get, "dump": s.dump, "alarm": s.alarm, "exits": runExits,
					"edit": edit,
				},
			})
		})
	}
}

// scripted is the world of one script.
type scripted struct {
	t       *testing.T
	servers map[string]*etcdproc.Server
}

func (s *scripted) client(ts *testscript.TestScript, name string) *clientv3.Client {
	server, ok := s.servers[name]
	if !ok {
		ts.Fatalf("no server is called %s", name)
	}
	return server.Client(s.t)
}

func (s *scripted) etcd(ts *testscript.TestScript, neg bool, args []string) {
	s.start(ts, neg, args, etcdproc.Options{})
}

func (s *scripted) template(ts *testscript.TestScript, neg bool, args []string) {
	s.start(ts, neg, args, etcdproc.Options{Template: true})
}

func (s *scripted) start(ts *testscript.TestScript, neg bool, args []string, o etcdproc.Options) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: etcd NAME [VERSION [FLAG...]]")
	}
	if len(args) > 1 {
		o.Version, o.Flags = args[1], args[2:]
	}
	server := etcdproc.Start(s.t, o)
	s.servers[args[0]] = server
	ts.Setenv(args[0], server.Endpoint)
}

func (s *scripted) load(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: load NAME FILE")
	}
	client := s.client(ts, args[0])
	for line := range strings.Lines(ts.ReadFile(args[1])) {
		key, value, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		if !ok {
			continue
		}
		_, err := client.Put(context.Background(), key, value)
		ts.Check(err)
	}
}

func (s *scripted) put(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: put NAME KEY VALUE")
	}
	_, err := s.client(ts, args[0]).Put(context.Background(), args[1], args[2])
	ts.Check(err)
}

func (s *scripted) leased(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: leased NAME KEY VALUE")
	}
	client := s.client(ts, args[0])
	lease, err := client.Grant(context.Background(), 3600)
	ts.Check(err)
	_, err = client.Put(context.Background(), args[1], args[2], clientv3.WithLease(lease.ID))
	ts.Check(err)
}

func (s *scripted) del(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: del NAME PREFIX")
	}
	answer, err := s.client(ts, args[0]).Delete(context.Background(), args[1], clientv3.WithPrefix())
	ts.Check(err)
	if answer.Deleted == 0 {
		ts.Fatalf("there was nothing under %s to delete", args[1])
	}
}

func (s *scripted) get(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: get NAME KEY")
	}
	answer, err := s.client(ts, args[0]).Get(context.Background(), args[1])
	ts.Check(err)
	if found := len(answer.Kvs) == 1; found == neg {
		ts.Fatalf("key %s: found: %v", args[1], found)
	}
	if !neg {
		_, err = fmt.Fprintln(ts.Stdout(), string(answer.Kvs[0].Value))
		ts.Check(err)
	}
}

func (s *scripted) alarm(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: alarm NAME KIND")
	}
	ts.Check(s.servers[args[0]].Raise(s.client(ts, args[0]), args[1]))
}

func (s *scripted) dump(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: dump NAME FILE [-PREFIX...]")
	}
	answer, err := s.client(ts, args[0]).Get(context.Background(), "", clientv3.WithPrefix())
	ts.Check(err)
	var b bytes.Buffer
next:
	for _, kv := range answer.Kvs {
		for _, without := range args[2:] {
			if strings.HasPrefix(string(kv.Key), strings.TrimPrefix(without, "-")) {
				continue next
			}
		}
		fmt.Fprintf(&b, "%q %q leased=%v\n", kv.Key, kv.Value, kv.Lease != 0)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), b.Bytes(), 0o600))
}

// edit makes of a file another one, by a regular expression.
func edit(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 4 {
		ts.Fatalf("usage: edit FILE NEW REGEXP REPLACEMENT")
	}
	before := ts.ReadFile(args[0])
	after := regexp.MustCompile(args[2]).ReplaceAllString(before, args[3])
	if after == before {
		ts.Fatalf("%s has nothing that matches %s", args[0], args[2])
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(after), 0o600))
}

// runExits runs a program and compares its exit code, which testscript's exec
// cannot.
func runExits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM ARG...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	var exit *exec.ExitError
	if err := ts.Exec(args[1], args[2:]...); errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("%s ended with %d, want %d", strings.Join(args[1:], " "), got, want)
	}
}
