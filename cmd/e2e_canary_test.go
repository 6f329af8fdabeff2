package cmd

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/kubeferry/kubeferry/scripts/servers/etcdproc"
)

// canaries are secrets that must not be seen anywhere, by what they are.
type canaries map[string]string

// found names the canaries that are in a text, in whichever form.
func (c canaries) found(text string) []string {
	var found []string
	for what, secret := range c {
		for form, spelt := range forms(secret) {
			if strings.Contains(text, spelt) || strings.Contains(strings.ToLower(text), strings.ToLower(spelt)) && form == "hexadecimal" {
				found = append(found, what+", "+form)
			}
		}
	}
	return found
}

// forms are the ways to spell a secret. In base64 what stands in front shifts
// it, so there are three ways, each without its uncertain ends.
func forms(secret string) map[string]string {
	forms := map[string]string{
		"raw":         secret,
		"hexadecimal": hex.EncodeToString([]byte(secret)),
		"URL-encoded": url.QueryEscape(secret),
		"quoted":      strings.Trim(fmt.Sprintf("%q", secret), `"`),
		"decimal":     strings.Trim(fmt.Sprint([]byte(secret)), "[]"),
	}
	for shift := range 3 {
		spelt := base64.RawStdEncoding.EncodeToString([]byte(strings.Repeat("x", shift) + secret))
		forms[fmt.Sprintf("base64, shifted by %d", shift)] = spelt[4 : len(spelt)-4]
	}
	return forms
}

func TestTheCanaryScannerSeesEachForm(t *testing.T) {
	c := canaries{"a secret": "canary+" + rand.Text()}
	for form, spelt := range forms(c["a secret"]) {
		if len(c.found("before "+spelt+" behind")) == 0 {
			t.Errorf("it does not see the %s form", form)
		}
	}
	for _, prefix := range []string{"", "a", "ab", "abc"} {
		if len(c.found(base64.StdEncoding.EncodeToString([]byte(prefix+c["a secret"]+"tail")))) == 0 {
			t.Errorf("it does not see base64 behind %q", prefix)
		}
	}
	if found := c.found("nothing of the kind"); len(found) > 0 {
		t.Errorf("it sees %q where there is nothing", found)
	}
}

// aviary is a cluster with users and secrets, and the files that hold them.
type aviary struct {
	canaries
	server             *etcdproc.Server
	keys, other        pair
	password, wrong    string // files
	passphrase, folder string
}

func newAviary(t *testing.T) *aviary {
	t.Helper()
	a := &aviary{server: etcdproc.Start(t, etcdproc.Options{}), keys: newPair(t), other: newPair(t), folder: t.TempDir()}
	a.canaries = canaries{
		"the value of a Secret":           "canary-value-" + rand.Text(),
		"a value that cannot be restored": "canary-opaque-" + rand.Text(),
		"the password":                    "canary-password-" + rand.Text(),
		"a wrong password":                "canary-wrong-" + rand.Text(),
		"the passphrase":                  "canary-passphrase-" + rand.Text(),
	}
	for what, pair := range map[string]pair{"the identity": a.keys, "another identity": a.other} {
		text, err := os.ReadFile(pair.identity)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			if strings.HasPrefix(line, "AGE-SECRET-KEY-") {
				a.canaries[what] = strings.TrimSpace(line)
			}
		}
		if a.canaries[what] == "" {
			t.Fatalf("no identity in %s", pair.identity)
		}
	}
	secrets := t.TempDir()
	for what, path := range map[string]*string{"the password": &a.password, "a wrong password": &a.wrong, "the passphrase": &a.passphrase} {
		*path = filepath.Join(secrets, strings.ReplaceAll(what, " ", "-"))
		if err := os.WriteFile(*path, []byte(a.canaries[what]+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	a.furnish(t)
	return a
}

// furnish puts the secrets into the cluster, and switches authentication on.
func (a *aviary) furnish(t *testing.T) {
	t.Helper()
	client, ctx := a.server.Client(t), context.Background()
	value := a.canaries["the value of a Secret"]
	for key, text := range map[string]string{
		"/registry/secrets/shop/token": fmt.Sprintf(
			`{"kind":"Secret","apiVersion":"v1","metadata":{"name":"token","namespace":"shop"},"data":{"token":%q},"stringData":{"token":%q}}`,
			base64.StdEncoding.EncodeToString([]byte(value)), value),
		"/registry/secrets/shop/broken":  a.canaries["a value that cannot be restored"],
		"/registry/secrets/shop/misfit":  fmt.Sprintf(`{"kind":"Secret","apiVersion":"v1","metadata":{"name":%q}}`, "no name, but "+a.canaries["a value that cannot be restored"]),
		"/registry/opaque/token":         value,
		"/registry/namespaces/shop":      `{"kind":"Namespace","apiVersion":"v1","metadata":{"name":"shop"}}`,
		"/registry/configmaps/shop/some": `{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"some","namespace":"shop"}}`,
	} {
		_, err := client.Put(ctx, key, text)
		check(t, err)
	}
	_, err := client.UserAdd(ctx, "root", a.canaries["the password"])
	check(t, err)
	_, err = client.UserGrantRole(ctx, "root", "root")
	check(t, err)
	_, err = client.AuthEnable(ctx)
	check(t, err)
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// P9: whatever is done, and whatever goes wrong, no secret gets out.
func TestNoSecretGetsOut(t *testing.T) {
	t.Parallel()
	a := newAviary(t)
	sees := func(code exitCode, args ...string) ran {
		t.Helper()
		r := must(t, code, args...)
		if found := a.found(r.stdout + r.stderr); len(found) > 0 {
			t.Errorf("kubeferry %s shows %q\nstdout: %s\nstderr: %s", strings.Join(args, " "), found, r.stdout, r.stderr)
		}
		return r
	}
	login := []string{"--endpoints", a.server.Endpoint, "--user", "root", "--password-file", a.password, "-v"}
	with := func(args ...string) []string { return append(args, login...) }

	archive := strings.TrimSpace(sees(exitDone, with("backup", "--to", a.folder, "-r", a.keys.recipient)...).stdout)
	locked := strings.TrimSpace(sees(exitDone, with("backup", "--json", "--to", filepath.Join(a.folder, "locked.zip.age"), "--passphrase-file", a.passphrase)...).stdout)
	if !strings.Contains(locked, "locked.zip.age") {
		t.Errorf("the backup tells %q", locked)
	}
	sees(exitDone, with("backup", "--dry-run")...)
	sees(exitDenied, "backup", "-v", "--to", a.folder, "-r", a.keys.recipient, "--endpoints", a.server.Endpoint, "--user", "root", "--password-file", a.wrong)
	sees(exitDenied, "backup", "-v", "--to", a.folder, "-r", a.keys.recipient, "--endpoints", a.server.Endpoint)
	sees(exitIncomplete, "verify", "-v", archive, "-i", a.keys.identity)
	sees(exitIncomplete, "verify", "-v", "--json", archive, "-i", a.keys.identity)
	sees(exitKey, "verify", "-v", archive, "-i", a.other.identity)
	sees(exitKey, "verify", "-v", filepath.Join(a.folder, "locked.zip.age"), "--passphrase-file", a.wrong)
	sees(exitConfig, "verify", "-v", archive, "-i", a.passphrase)
	sees(exitConfig, "backup", "--to", a.folder, "-R", a.keys.identity, "--endpoints", a.server.Endpoint)
	sees(exitConfig, "backup", "--to", a.folder, "-r", a.canaries["the identity"], "--endpoints", a.server.Endpoint)
	sees(exitDone, "describe", archive, "-i", a.keys.identity, "--keys", "--json")
	sees(exitDone, "describe", archive, "-i", a.keys.identity, "--keys")
	sees(exitDone, "list", a.folder, "--json")
	sees(exitCheck, with("doctor", "--details")...).says(t, "unstorable")
	sees(exitCheck, with("doctor", "--json")...)
	sees(exitCheck, "doctor", "--from", archive, "-i", a.keys.identity, "--json").says(t, "unstorable")
	a.restores(t, archive, sees, with)
	a.folderIsClean(t)
}

// restores are refused, made, and run into conflicts.
func (a *aviary) restores(t *testing.T, archive string, sees func(exitCode, ...string) ran, with func(...string) []string) {
	t.Helper()
	client := etcdproc.NewClient(t, clientv3.Config{Endpoints: []string{a.server.Endpoint}, Username: "root", Password: a.canaries["the password"]})
	from := func(report string, more ...string) []string {
		return with(append([]string{"restore", "--from", archive, "-i", a.keys.identity, "--yes", "--report", filepath.Join(a.folder, report)}, more...)...)
	}
	sees(exitGuard, from("refused.jsonl")...).says(t, "2 refused")
	_, err := client.Put(context.Background(), "/registry/secrets/shop/token", `{"other":"value"}`)
	check(t, err)
	_, err = client.Delete(context.Background(), "/registry/opaque/token")
	check(t, err)
	sees(exitConflict, from("conflict.jsonl", "--raw")...).says(t, "1 conflict")
	sees(exitConflict, from("conflict-json.jsonl", "--raw", "--json")...)
	sees(exitDone, from("done.jsonl", "--raw", "--on-conflict=overwrite")...).says(t, "1 created, 1 replaced")
}

// folderIsClean looks into each file that was written.
func (a *aviary) folderIsClean(t *testing.T) {
	t.Helper()
	files := 0
	err := filepath.WalkDir(a.folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		files++
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if found := a.found(string(text)); len(found) > 0 {
			t.Errorf("%s holds %q", path, found)
		}
		info, err := entry.Info()
		if err == nil && info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		return err
	})
	if err != nil || files != 8 {
		t.Errorf("%d files were looked into, want 2 archives, 2 receipts and 4 reports: %v", files, err)
	}
}
