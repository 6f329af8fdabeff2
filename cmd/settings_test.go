package cmd

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kubeferry/kubeferry/scripts/servers/etcdproc"
)

// runIn runs a command line with these variables, without a terminal.
func runIn(t *testing.T, environ []string, args ...string) ran {
	t.Helper()
	return runWith(t, environ, time.Now, args...)
}

func (r ran) ends(t *testing.T, code exitCode) ran {
	t.Helper()
	if r.code != code {
		t.Errorf("kubeferry %s ended with %d, want %d\nstdout: %s\nstderr: %s", strings.Join(r.args, " "), r.code, code, r.stdout, r.stderr)
	}
	return r
}

// A flag goes before KUBEFERRY_*, that before ETCDCTL_*, that before the
// profile; and a restore tells where the name of its target is from.
func TestPrecedenceOfSettings(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	at := func(name string) string { return filepath.Join(w.dir, name) }
	other := "http://127.0.0.1:1"
	profiles := func(endpoint string) string {
		path := filepath.Join(t.TempDir(), "config.yaml")
		check(t, os.WriteFile(path, fmt.Appendf(nil, "default_profile: Prod\nprofiles:\n  - name: Prod\n    endpoints: [%q]\n", endpoint), 0o600))
		return path
	}
	right, wrong := profiles(w.endpoint), profiles(other)
	for _, c := range []struct {
		origin  string
		environ []string
		args    []string
	}{
		{"--endpoints", []string{"KUBEFERRY_ENDPOINTS=" + other, "ETCDCTL_ENDPOINTS=" + other}, []string{"--config", wrong, "--profile=Prod", "--endpoints", w.endpoint}},
		{"KUBEFERRY_ENDPOINTS", []string{"ETCDCTL_ENDPOINTS=" + other, "KUBEFERRY_ENDPOINTS=" + w.endpoint}, []string{"--config", wrong, "--profile=Prod"}},
		{"ETCDCTL_ENDPOINTS", []string{"ETCDCTL_ENDPOINTS=" + w.endpoint, "KUBEFERRY_ENDPOINTS="}, []string{"--config", wrong}},
		{"profile Prod of " + right, nil, []string{"--config", right, "--profile=Prod"}},
		{"profile Prod of " + right, []string{"KUBEFERRY_CONFIG=" + right, "KUBEFERRY_PROFILE=Prod"}, nil},
	} {
		args := append([]string{"restore", "--from", at("prod.zip.age"), "-i", at("kubeferry.identity"), "--dry-run"}, c.args...)
		runIn(t, c.environ, args...).ends(t, exitDone).says(t, fmt.Sprintf("Target: %s (from %s), etcd cluster ", w.endpoint, c.origin))
	}
}

func TestUsualConfigurationFiles(t *testing.T) {
	home := t.TempDir()
	check(t, os.MkdirAll(filepath.Join(home, ".config", "kubeferry"), 0o700))
	check(t, os.WriteFile(filepath.Join(home, ".config", "kubeferry", "config.yaml"), []byte("default_profile: here\nprofiles: []\n"), 0o600))
	if _, err := os.Stat("/etc/kubeferry/config.yaml"); err == nil {
		t.Skip("this machine has a configuration of its own")
	}
	runIn(t, []string{"HOME=" + home}, "backup", "--dry-run").ends(t, exitConfig).says(t, `profile "here" is not in `+home)
	runIn(t, []string{"HOME=/", "XDG_CONFIG_HOME=" + filepath.Join(home, ".config")}, "backup", "--dry-run").ends(t, exitConfig).says(t, home)
}

// Every value of a profile reaches the flag that it stands for.
func TestProfileGivesValues(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	at := func(name string) string { return filepath.Join(w.dir, name) }
	check(t, os.WriteFile(at("full.yaml"), fmt.Appendf(nil, `default_profile: p
profiles:
  - name: p
    cluster: named-so
    endpoints: [%q]
    to: %s
    recipients_file: %s
    identity_file: %s
  - name: tls
    endpoints: ["https://127.0.0.1:1"]
    cacert: /nowhere/ca
`, w.endpoint, at("to"), at("recipients.txt"), at("kubeferry.identity")), 0o600))
	path := strings.TrimSpace(runIn(t, nil, "backup", "--config", at("full.yaml")).ends(t, exitDone).stdout)
	if filepath.Dir(path) != at("to") || !strings.HasPrefix(filepath.Base(path), "named-so-") {
		t.Errorf("the archive is %s", path)
	}
	runIn(t, nil, "verify", path, "--config", at("full.yaml")).ends(t, exitDone)
	runIn(t, nil, "backup", "--dry-run", "--config", at("full.yaml"), "--profile", "tls").ends(t, exitConfig).says(t, "/nowhere/ca")
	runIn(t, nil, "backup", "--config", at("full.yaml"), "--to", at("clear"), "--no-encrypt").ends(t, exitDone).says(t, "warning: --no-encrypt")
}

func TestWrongSettings(t *testing.T) {
	dir := t.TempDir()
	write := func(content string) string {
		f, err := os.CreateTemp(dir, "*.yaml")
		check(t, err)
		_, err = f.WriteString(content)
		check(t, err)
		check(t, f.Close())
		return f.Name()
	}
	for _, c := range []struct {
		environ []string
		config  string
		says    []string
	}{
		{[]string{"KUBEFERRY_ENPOINTS=x"}, "", []string{"KUBEFERRY_ENPOINTS", "did you mean KUBEFERRY_ENDPOINTS?"}},
		{[]string{"KUBEFERRY_QQQQQQQQQQ=x"}, "", []string{"unknown environment variable KUBEFERRY_QQQQQQQQQQ"}},
		{[]string{"KUBEFERRY_HELP=1"}, "", []string{"unknown environment variable KUBEFERRY_HELP"}},
		{[]string{"KUBEFERRY_ALLOW_EMPTY=maybe"}, "", []string{"KUBEFERRY_ALLOW_EMPTY", "--allow-empty", "true or false"}},
		{[]string{"ETCDCTL_DIAL_TIMEOUT=soon"}, "", []string{"ETCDCTL_DIAL_TIMEOUT", "soon"}},
		{nil, "profile: []", []string{`unknown key "profile"`, "did you mean profiles?"}},
		{nil, "profiles: [{name: a, pasword_file: x}]", []string{"profile number 1", "did you mean password_file?"}},
		{nil, "profiles: [{name: a, password: hunter2}]", []string{`"password"`, "holds no secrets", "password_file"}},
		{nil, "profiles: [{name: a}, {name: b, identity: AGE-SECRET-KEY-1QQ}]", []string{"profile number 2", "holds no secrets"}},
		{nil, "default_profile: a\nprofiles: [{name: a, endpoints: ['http://127.0.0.1:1'], user: 'root:hunter2'}]", []string{"takes the name alone", "password_file"}},
		{nil, "default_profile: c\nprofiles: [{name: a}, {name: b}]", []string{`profile "c"`, "a, b"}},
		{nil, "profiles: [{name: a}, {name: b}]", []string{"no default_profile", "--profile", "a, b"}},
		{nil, "default_profile: a\nprofiles: [{name: a}, {name: a}]", []string{`"a" stands twice`}},
		{[]string{"KUBEFERRY_PROFILE=a", "ETCDCTL_ENDPOINTS=http://127.0.0.1:2"}, "profiles: [{name: a, endpoints: ['http://127.0.0.1:1']}]",
			[]string{"profile a and ETCDCTL_ENDPOINTS say different things of --endpoints"}},
		{nil, "profiles: {", []string{"read configuration file"}},
		{nil, "profiles: 7", []string{"read configuration file"}},
	} {
		args := []string{"backup", "--dry-run"}
		if c.config != "" {
			args = append(args, "--config", write(c.config))
		}
		r := runIn(t, c.environ, args...).ends(t, exitConfig)
		r.says(t, c.says...)
		for _, secret := range []string{"hunter2", "AGE-SECRET"} {
			if strings.Contains(r.stderr, secret) {
				t.Errorf("shows a secret: %s", r.stderr)
			}
		}
		lastObject(t, runIn(t, append(c.environ, "KUBEFERRY_JSON=1"), append(args, "--json")...).ends(t, exitConfig).stdout)
	}
}

// E15: etcd's users.
func TestEtcdUsers(t *testing.T) {
	t.Parallel()
	server := etcdproc.Start(t, etcdproc.Options{})
	client := server.Client(t)
	for _, step := range []func() error{
		func() error { _, err := client.Put(t.Context(), "/registry/configmaps/shop/one", "x"); return err },
		func() error { _, err := client.UserAdd(t.Context(), "root", "hunter2"); return err },
		func() error { _, err := client.UserGrantRole(t.Context(), "root", "root"); return err },
		func() error { _, err := client.AuthEnable(t.Context()); return err },
	} {
		check(t, step())
	}
	file := filepath.Join(t.TempDir(), "password")
	check(t, os.WriteFile(file, []byte("hunter2\n"), 0o600))
	look := []string{"backup", "--dry-run", "--endpoints", server.Endpoint}
	as := append(look, "--user", "root")
	runIn(t, []string{"ETCDCTL_USER=root:hunter2"}, look...).ends(t, exitDone).says(t, "configmaps")
	runIn(t, []string{"KUBEFERRY_USER=root:hunter2", "ETCDCTL_USER=root:wrong"}, look...).ends(t, exitDone)
	runIn(t, []string{"ETCDCTL_USER=root", "ETCDCTL_PASSWORD=hunter2"}, look...).ends(t, exitDone)
	runIn(t, []string{"KUBEFERRY_PASSWORD=hunter2", "ETCDCTL_PASSWORD=wrong"}, as...).ends(t, exitDone)
	runIn(t, []string{"KUBEFERRY_PASSWORD=wrong"}, append(as, "--password-file", file)...).ends(t, exitDone)
	for _, c := range [][]string{{"ETCDCTL_USER=root:secret7"}, {"ETCDCTL_USER=nobody:secret7"}, {"KUBEFERRY_USER=root", "KUBEFERRY_PASSWORD=secret7"}} {
		r := runIn(t, c, look...).ends(t, exitDenied)
		r.says(t, "refuses user", "hint: ")
		if strings.Contains(r.stderr, "secret7") || strings.Contains(r.stderr, "rpc error") {
			t.Errorf("says: %s", r.stderr)
		}
	}
	runIn(t, nil, look...).ends(t, exitDenied).says(t, "wants a user, and none is given")
}

// A number out of bounds is refused wherever it came from.
func TestMaxInFlightIsCheckedFromTheEnvironmentToo(t *testing.T) {
	for _, n := range []string{"0", "-1", "33"} {
		runIn(t, []string{"KUBEFERRY_MAX_IN_FLIGHT=" + n}, "restore", "--from", "x").ends(t, exitUsage).says(t, "--max-in-flight="+n, "1 to 32")
	}
}
