package cmd

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// P9, X05: neither a log in JSON nor the libraries' own debugging shows a
// secret; the libraries show nothing at all.
func TestNoSecretGetsIntoALog(t *testing.T) {
	t.Parallel()
	a := newAviary(t)
	for name, c := range map[string]struct {
		args   []string
		code   exitCode
		silent bool
	}{
		"a backup, with a log":         {[]string{"-v", "--log-format=json", "--passphrase-file", a.passphrase, "--password-file", a.password}, exitDone, false},
		"a refusal, with a log":        {[]string{"-v", "--log-format=json", "--passphrase-file", a.passphrase, "--password-file", a.wrong}, exitDenied, false},
		"a backup, without":            {[]string{"--passphrase-file", a.passphrase, "--password-file", a.password}, exitDone, true},
		"a backup, with a JSON answer": {[]string{"--json", "--passphrase-file", a.passphrase, "--password-file", a.password}, exitDone, true},
	} {
		t.Run(name, func(t *testing.T) {
			to := filepath.Join(t.TempDir(), "a.zip.age")
			p := &process{Cmd: exec.Command("kubeferry", append([]string{"backup", "--to", to, "--endpoints", a.server.Endpoint, "--user", "root"}, c.args...)...)}
			p.Env = append(os.Environ(), "GRPC_GO_LOG_SEVERITY_LEVEL=info", "GRPC_GO_LOG_VERBOSITY_LEVEL=99", "ETCD_CLIENT_DEBUG=debug")
			p.Stdout, p.Stderr = &p.stdout, &p.stderr
			check(t, p.Start())
			for line := range strings.Lines(commandLine(p)) {
				if found := a.found(line); len(found) > 0 {
					t.Errorf("its command line shows %q", found)
				}
			}
			r := p.end(t)
			if r.code != c.code {
				t.Errorf("%+v", r)
			}
			if found := a.found(r.stdout + r.stderr); len(found) > 0 {
				t.Errorf("it shows %q: %+v", found, r)
			}
			if c.silent != (r.stderr == "") {
				t.Errorf("it says on stderr: %s", r.stderr)
			}
		})
	}
}

// commandLine is what everybody can see of a process; empty where the system
// does not tell, or if it has come to its end.
func commandLine(p *process) string {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(p.Process.Pid), "cmdline"))
	if err != nil {
		return ""
	}
	return string(text)
}

// O01: a command that was asked for a passphrase does not hold up an interrupt.
func TestAPassphraseCommandIsInterrupted(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	running := filepath.Join(folder, "running")
	script := filepath.Join(folder, "slow.sh")
	check(t, os.WriteFile(script, []byte("#!/bin/sh\n: > "+running+"\nexec sleep 20\n"), 0o700))
	p := start(t, "backup", "--to", filepath.Join(folder, "never.zip.age"), "--passphrase-command", script, "--endpoints", "http://127.0.0.1:1")
	p.await(t, "the command", func() bool { _, err := os.Stat(running); return err == nil })
	begun := time.Now()
	check(t, p.Process.Signal(syscall.SIGTERM))
	if r := p.end(t); r.code != exitInterrupted {
		t.Errorf("%+v", r)
	}
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("it took %s", took)
	}
}
