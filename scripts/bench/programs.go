package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// Programs are the paths of all that is run; an empty one is missing. Those of
// etcd go by version.
type programs struct {
	kubeferry string
	etcd      map[string]string
	etcdctl   map[string]string
	zstd, age string
	curl      string
	versitygw string
}

// findRoot is the folder of the repository, looked for from here upwards.
func findRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for ; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "scripts", "servers", "build.sh")); err == nil {
			return dir, nil
		}
	}
	return "", errors.New("run it inside the repository: there is no scripts/servers/build.sh in any folder above this one")
}

// findPrograms builds what is pinned, and looks for the rest on the PATH. Peers
// that can be neither built nor found are missing; servers must not be.
func findPrograms(ctx context.Context, root, kubeferry string) (programs, error) {
	p := programs{kubeferry: kubeferry, etcd: map[string]string{}, etcdctl: map[string]string{}}
	if _, err := exec.LookPath(kubeferry); err != nil {
		return p, fmt.Errorf("kubeferry: %w; make build makes it", err)
	}
	servers, err := build(ctx, filepath.Join(root, "scripts/servers/build.sh"))
	if err != nil {
		return p, err
	}
	for line := range strings.Lines(servers) {
		name, path, _ := strings.Cut(strings.TrimSpace(line), "=")
		switch name {
		case "KUBEFERRY_TEST_VERSITYGW":
			p.versitygw = path
		case "KUBEFERRY_TEST_ETCD_35":
			p.etcd["3.5"] = path
		case "KUBEFERRY_TEST_ETCD_36":
			p.etcd["3.6"] = path
		case "KUBEFERRY_TEST_ETCD_37":
			p.etcd["3.7"] = path
		}
	}
	peers := filepath.Join(root, "scripts/bench/peers/build.sh")
	for _, version := range []string{"3.6", "3.7"} {
		p.etcdctl[version] = orMissing(build(ctx, peers, "etcdctl-"+version, "etcdctl", "go.etcd.io/etcd/etcdctl/v3"))
	}
	p.zstd = orMissing(exec.LookPath("zstd"))
	p.curl = orMissing(exec.LookPath("curl"))
	if p.age, err = exec.LookPath("age"); err != nil {
		p.age = orMissing(build(ctx, peers, "age", "age", "filippo.io/age/cmd/age"))
	}
	return p, nil
}

// build runs a build script and returns what it prints.
func build(ctx context.Context, script string, args ...string) (string, error) {
	c := exec.CommandContext(ctx, script, args...)
	var stdout, stderr bytes.Buffer
	c.Stdout, c.Stderr = &stdout, &stderr
	if err := c.Run(); err != nil {
		return "", fmt.Errorf("%s %s: %w\n%s", script, strings.Join(args, " "), err, stderr.Bytes())
	}
	return strings.TrimSpace(stdout.String()), nil
}

// orMissing turns a program that is not to be had into the empty path.
func orMissing(path string, err error) string {
	if err != nil {
		say("%v", err)
		return ""
	}
	return path
}

// missing are those of the named peers that could be neither found nor built.
func (p programs) missing(version string, names ...string) []string {
	paths := map[string]string{"etcdctl": p.etcdctl[version], "zstd": p.zstd, "age": p.age, "curl": p.curl}
	return slices.DeleteFunc(names, func(name string) bool { return paths[name] != "" })
}

// versions are what the programs say of themselves, one line each.
func (p programs) versions(ctx context.Context) map[string]string {
	all := map[string]string{}
	for name, words := range map[string]command{
		"kubeferry":   {p.kubeferry, "version"},
		"etcd 3.5":    {p.etcd["3.5"], "--version"},
		"etcd 3.6":    {p.etcd["3.6"], "--version"},
		"etcd 3.7":    {p.etcd["3.7"], "--version"},
		"etcdctl 3.6": {p.etcdctl["3.6"], "version"},
		"etcdctl 3.7": {p.etcdctl["3.7"], "version"},
		"zstd":        {p.zstd, "--version"},
		"age":         {p.age, "--version"},
		"curl":        {p.curl, "--version"},
	} {
		if words[0] == "" {
			all[name] = "missing"
			continue
		}
		out, err := exec.CommandContext(ctx, words[0], words[1:]...).Output()
		if err != nil {
			out = []byte("does not tell its version: " + err.Error())
		}
		first, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
		all[name] = strings.Trim(first, "* ")
	}
	return all
}
