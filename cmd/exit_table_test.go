package cmd

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	client "go.etcd.io/etcd/client/v2"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/kubeferry/kubeferry/cmd/console"
	"github.com/kubeferry/kubeferry/scripts/servers/etcdproc"
	"github.com/kubeferry/kubeferry/scripts/servers/s3proc"
)

// exitTable is the golden table of failures: each is provoked against real servers,
// and the code that the run ends with must stay. A code that changes, here or in
// wrongUsage, is a line in the table and one in CHANGELOG.md.
const exitTable = "testdata/exits.golden"

// provoked are failures, each with the command line that meets it. The names in
// capitals are those of a scene.
var provoked = [][2]string{
	// the connection to etcd
	{"etcd: no answer", "backup --dry-run --endpoints DEAF --dial-timeout 300ms"},
	{"etcd: another server answers, a read", "backup --dry-run --endpoints HTML --dial-timeout 1s"},
	{"etcd: another server answers, a restore", "restore --from GOOD -i ID --yes --endpoints HTML --dial-timeout 1s"},
	{"etcd: no API v2", "backup --dry-run --api v2 --endpoints LIVE"},
	{"etcd: a CA that nobody knows", "backup --dry-run --endpoints TLS"},
	{"etcd: another CA", "backup --dry-run --endpoints TLS --cacert OTHERCA"},
	{"etcd: no client certificate", "backup --dry-run --endpoints TLS --cacert CA"},
	{"etcd: TLS where it speaks none", "backup --dry-run --endpoints TLSTOPLAIN --cacert CA"},
	{"etcd: it wants a user", "backup --dry-run --endpoints USERS"},
	{"etcd: a wrong password", "backup --dry-run --endpoints USERS --user reader --password-file WRONG"},
	{"etcd: the rights do not reach", "backup --dry-run --endpoints USERS --user narrow --password-file PASSWORD"},
	{"etcd: the rights do not suffice for a write", "restore --from GOOD -i ID --yes --scenario=new --endpoints USERS --user reader --password-file PASSWORD"},
	{"etcd: endpoints of two clusters", "backup --dry-run --endpoints LIVE,EMPTYETCD"},
	{"etcd: nothing discovered", "backup --dry-run --discovery-srv absent.test"},
	{"etcd: only plain text discovered", "backup --dry-run --discovery-srv plain.test"},
	{"etcd: corrupt, a backup", "backup --to NEW -r AGE --endpoints CORRUPT"},
	{"etcd: corrupt, its dry run", "backup --dry-run --endpoints CORRUPT"},
	{"etcd: corrupt, a restore", "restore --from GOOD -i ID --yes --endpoints CORRUPT"},
	{"etcd: no space, a restore", "restore --from GOOD -i ID --yes --endpoints FULL"},
	{"etcd: no space, its dry run", "restore --from GOOD -i ID --dry-run --endpoints FULL"},
	{"etcd: corrupt, a look", "doctor --endpoints CORRUPT"},
	{"etcd: no space, a look", "doctor --endpoints FULL"},
	{"etcd: the rights do not reach, a look", "doctor --endpoints USERS --user narrow --password-file PASSWORD"},
	{"etcd v2: the answer is too large", "backup --dry-run --api v2 --max-v2-answer 4000 --endpoints BOTH"},
	{"etcd v2: nobody knows which API is meant", "backup --dry-run --endpoints BOTH"},
	{"etcd v2: a value that is no text", "restore --from BINARY -i ID --scenario=new --raw --api v2 --yes --endpoints V2EMPTY"},

	// the selection
	{"selection: an unknown kind, a backup", "backup confgmaps --to NEW -r AGE --endpoints LIVE"},
	{"selection: an unknown kind, a restore", "restore confgmaps --from GOOD -i ID --endpoints LIVE --yes"},
	{"selection: a word that is none", "backup cm/ --to NEW -r AGE --endpoints LIVE"},
	{"selection: a namespace that is not there", "backup -n shp --to NEW -r AGE --endpoints LIVE"},
	{"selection: an object that is not there", "backup cm/three -n shop --to NEW -r AGE --endpoints LIVE"},
	{"selection: a kind without keys", "backup pods --to NEW -r AGE --endpoints LIVE"},
	{"selection: an empty etcd", "backup --to NEW -r AGE --endpoints EMPTYETCD"},
	{"selection: nothing in the archive", "restore pods --from GOOD -i ID --endpoints LIVE --yes"},
	{"selection: no such namespace in the archive", "restore -n shp --from GOOD -i ID --endpoints LIVE --yes"},
	{"selection: a name that is in several namespaces of the archive", "restore cm/one --from SEVERAL -i ID --endpoints LIVE --yes"},
	{"selection: nothing to describe", "describe GOOD -i ID --keys pods"},
	{"selection: more than the header of an archive holds", "backup --to NEW -r AGE --endpoints LIVE MANYPREFIXES"},

	// writing an archive
	{"archive: it is there already", "backup --to GOOD -r AGE --endpoints LIVE"},
	{"archive: the folder is open to others", "backup --to OPEN -r AGE --endpoints LIVE"},
	{"archive: the folder cannot be made", "backup --to /proc/nowhere -r AGE --endpoints LIVE"},
	{"archive: the folder is a file", "backup --to SHOWN/new.zip.age -r AGE --endpoints LIVE"},
	{"archive: the place is full", "backup --to - -r AGE --endpoints LIVE"},
	{"archive: a passphrase, read back", "backup --to NEW --passphrase-file PASSWORD --verify=full --endpoints LIVE"},

	// reading an archive
	{"archive: not there", "verify HERE/nothing.zip.age -i ID"},
	{"archive: the identity is not there", "verify GOOD -i HERE/nothing"},
	{"archive: no key", "verify GOOD"},
	{"archive: another key", "verify GOOD -i OTHERID"},
	{"archive: another key, a restore", "restore --from GOOD -i OTHERID --endpoints LIVE --yes"},
	{"archive: a bit flipped, a look", "doctor --from FLIPPED -i ID"},
	{"archive: another passphrase", "verify GOOD --passphrase-file PASSWORD"},
	{"archive: a bit flipped", "verify FLIPPED -i ID"},
	{"archive: a bit flipped, a restore", "restore --from FLIPPED -i ID --endpoints LIVE --yes"},
	{"archive: cut", "verify CUT -i ID"},
	{"archive: empty", "verify NOTHING -i ID"},
	{"archive: none at all", "verify JUNK -i ID"},
	{"archive: none at all, described", "describe JUNK -i ID"},
	{"archive: of a later format", "verify LATER"},
	{"archive: in the clear where it should not be", "restore --from UNSEALED -i ID --endpoints LIVE --yes"},
	{"archive: encrypted where it should not be", "verify SEALED -i ID"},
	{"receipt: of another archive", "verify SWAPPED -i ID"},
	{"receipt: cannot be read", "verify UNREADABLE -i ID"},

	// restoring
	{"restore: a conflict", "restore --from GOOD -i ID --endpoints CHANGED --yes"},
	{"restore: a conflict, its dry run", "restore --from GOOD -i ID --endpoints CHANGED --dry-run"},
	{"restore: another cluster", "restore --from GOOD -i ID --endpoints STRANGER --yes"},
	{"restore: another cluster than the user says", "restore --from GOOD -i ID --endpoints LIVE --cluster-is 99999999-0000-0000-0000-000000000000 --yes"},
	{"restore: the target is not new", "restore --from GOOD -i ID --endpoints STRANGER --scenario=new --yes"},
	{"restore: an API server uses the target", "restore --from GOOD -i ID --endpoints USED --scenario=new --yes"},
	{"restore: revisions that do not compare", "restore --from GOOD -i ID --endpoints STRANGER --on-conflict=newer --yes"},
	{"restore: a value that would break its resource", "restore --from BROKEN -i ID --endpoints LIVE --yes"},
	{"restore: keys under leases only", "restore events --from LEASED -i ID --endpoints LIVE --yes"},
	{"restore: nobody says yes", "restore --from GOOD -i ID --endpoints CHANGED --on-conflict=overwrite"},
	{"restore: a key is larger than the target takes", "restore --from LARGE -i ID --endpoints SMALL --scenario=new --yes"},
	{"restore: the report is there already", "restore --from GOOD -i ID --endpoints LIVE --yes --report WRONG"},

	// a place of archives
	{"place: latest of nothing", "verify latest --store EMPTY -i ID"},
	{"place: latest of two clusters", "verify latest --store TWO -i ID"},
	{"place: not so many", "verify latest~9 --store PLACE -i ID"},
	{"place: no such id", "verify 00000000 --store PLACE -i ID"},
	{"place: it is not there", "list HERE/nothing"},
	{"place: checked, too old", "check PLACE --max-age 1ns"},
	{"place: checked, too few", "check PLACE --min-count 9"},
	{"place: checked, empty", "check EMPTY"},
	{"place: checked, damaged", "check DAMAGED --verify"},
	{"place: checked with another key", "check PLACE --verify -i OTHERID"},
	{"place: pruned without a rule", "prune PLACE"},
	{"place: pruned of too much", "prune MANY --keep-last 1"},
	{"place: pruned, and not there", "prune HERE/nothing --keep-last 1"},
	{"receipt: it is there", "receipt GOOD -i ID"},
	{"receipt: it disagrees", "receipt SWAPPED -i ID"},
	{"receipt: of nothing", "receipt HERE/nothing.zip.age -i ID"},
	{"receipt: of what no listing shows", "receipt HIDDEN -i ID"},

	// S3
	{"s3: no such bucket", "list s3://nowhere"},
	{"s3: no such bucket, a backup", "backup --to s3://nowhere -r AGE --endpoints LIVE"},
	{"s3: no such archive", "verify s3://backups/prod/nothing.zip.age -i ID"},
	{"s3: nobody answers", "list s3://backups?endpoint=http://127.0.0.1:1"},
	{"s3: plain http to another machine", "list s3://backups?endpoint=http://192.0.2.1:9000"},
	{"s3: an unknown profile", "list s3://backups --s3-profile nobody"},
	{"s3: no object lock", "backup --to s3://backups/prod --retain-for 1h -r AGE --endpoints LIVE"},
	{"s3: latest of nothing", "verify latest --store s3://backups/empty -i ID"},
	{"s3: pruned without a rule", "prune s3://backups/empty"},
	{"s3: checked, empty", "check s3://backups/empty"},

	// settings
	{"settings: a misspelt key", "backup --dry-run --config MISSPELT"},
	{"settings: no YAML", "backup --dry-run --config JUNK"},
	{"settings: a key open to others", "verify GOOD -i SHOWN"},
	{"demo: it takes no words", "demo now"},
}

// A scene is what the failures need: servers, archives, and files, by their names in
// the command lines.
type scene struct {
	t     *testing.T
	dir   string
	keys  pair
	names map[string]string
}

func (s *scene) at(name string) string { return filepath.Join(s.dir, name) }

// file writes a file and gives it a name.
func (s *scene) file(name, file string, data []byte) {
	s.t.Helper()
	check(s.t, os.MkdirAll(filepath.Dir(s.at(file)), 0o700))
	check(s.t, os.WriteFile(s.at(file), data, 0o600))
	s.names[name] = s.at(file)
}

// etcd starts a server with keys, and gives its endpoint a name.
func (s *scene) etcd(name string, o etcdproc.Options, entries map[string]string) *etcdproc.Server {
	s.t.Helper()
	server := etcdproc.Start(s.t, o)
	s.names[name] = server.Endpoint
	for key, value := range entries {
		_, err := server.Client(s.t).Put(s.t.Context(), key, value)
		check(s.t, err)
	}
	return server
}

// backUp makes an archive of a server, and gives it a name.
func (s *scene) backUp(name, file, server string, more ...string) []byte {
	s.t.Helper()
	check(s.t, os.MkdirAll(filepath.Dir(s.at(file)), 0o700))
	must(s.t, exitDone, append([]string{"backup", "--endpoints", s.names[server], "--to", s.at(file)}, more...)...)
	s.names[name] = s.at(file)
	return readFile(s.t, s.at(file))
}

// shop is a small cluster whose kube-system has a UID.
func shop(uid string) map[string]string {
	return map[string]string{
		"/registry/namespaces/kube-system": withUID(uid),
		"/registry/namespaces/shop":        `{"kind":"Namespace","apiVersion":"v1","metadata":{"name":"shop"}}`,
		"/registry/configmaps/shop/one":    configMapJSON("one"),
	}
}

const (
	ourUID   = "11111111-2222-3333-4444-555555555555"
	theirUID = "66666666-7777-8888-9999-000000000000"
)

func with(entries map[string]string, key, value string) map[string]string {
	entries[key] = value
	return entries
}

func newScene(t *testing.T) *scene {
	t.Helper()
	s := &scene{t: t, dir: t.TempDir(), keys: newPair(t), names: map[string]string{}}
	s.names["HERE"], s.names["ID"], s.names["AGE"], s.names["NEW"] = s.dir, s.keys.identity, s.keys.recipient, s.at("new.zip.age")
	s.names["OTHERID"] = newPair(t).identity
	s.file("PASSWORD", "password", []byte("hunter2"))
	s.file("WRONG", "wrong", []byte("hunter3"))
	s.file("JUNK", "junk.zip.age", []byte("neither: an\narchive\n\tnor YAML"))
	s.file("NOTHING", "nothing-in-it.zip.age", nil)
	s.file("MISSPELT", "misspelt.yaml", []byte("default_profile: p\nprofiles: [{name: p, endpoint: x}]\n"))
	s.file("SHOWN", "shown", readFile(t, s.keys.identity))
	check(t, os.Chmod(s.at("shown"), 0o644))
	for name, mode := range map[string]os.FileMode{"OPEN": 0o777, "EMPTY": 0o700} {
		s.names[name] = s.at(strings.ToLower(name))
		check(t, os.Mkdir(s.names[name], 0o700))
		check(t, os.Chmod(s.names[name], mode))
	}
	s.names["MANYPREFIXES"] = strings.Repeat("--prefix /p/"+strings.Repeat("x", 120)+"/ ", 600)
	s.clusters()
	s.guarded()
	s.older()
	s.archives()
	startS3(t, s3proc.Options{})
	serveDNS(t, &records{srv: map[string][]string{"_etcd-client._tcp.plain.test": {"m1.plain.test:1"}}})
	return s
}

// clusters are those without a lock on their door.
func (s *scene) clusters() {
	s.etcd("LIVE", etcdproc.Options{}, shop(ourUID))
	s.etcd("EMPTYETCD", etcdproc.Options{}, nil)
	s.etcd("CHANGED", etcdproc.Options{}, with(shop(ourUID), "/registry/configmaps/shop/one", configMapJSON("uno")))
	s.etcd("STRANGER", etcdproc.Options{}, with(shop(theirUID), "/registry/configmaps/shop/two", configMapJSON("two")))
	s.etcd("SMALL", etcdproc.Options{Flags: []string{"--max-request-bytes=4096"}}, nil)
	used := s.etcd("USED", etcdproc.Options{}, nil).Client(s.t)
	lease, err := used.Grant(s.t.Context(), 600)
	check(s.t, err)
	_, err = used.Put(s.t.Context(), "/registry/masterleases/10.0.0.1", "x", clientv3.WithLease(lease.ID))
	check(s.t, err)
	for name, alarm := range map[string]string{"CORRUPT": "CORRUPT", "FULL": "NOSPACE"} {
		server := s.etcd(name, etcdproc.Options{}, shop(ourUID))
		check(s.t, server.Raise(server.Client(s.t), alarm))
	}
	html := httptest.NewServer(http.NotFoundHandler())
	s.t.Cleanup(html.Close)
	s.names["HTML"] = html.URL
	s.names["DEAF"] = hole(s.t, stage{}).endpoint
}

// guarded are clusters with TLS, or with users.
func (s *scene) guarded() {
	ca := newAuthority(s.t)
	cert, key := ca.sign(s.t, "server", time.Hour)
	s.names["CA"], s.names["OTHERCA"] = ca.file, newAuthority(s.t).file
	secure := etcdproc.Start(s.t, etcdproc.Options{TLS: &etcdproc.TLS{Cert: cert, Key: key, ClientCA: ca.file}})
	s.names["TLS"], s.names["TLSTOPLAIN"] = secure.Endpoint, strings.Replace(s.names["LIVE"], "http:", "https:", 1)
	c := s.etcd("USERS", etcdproc.Options{}, shop(ourUID)).Client(s.t)
	ctx := context.Background()
	for _, err := range []error{
		second(c.UserAdd(ctx, "root", "hunter2")), second(c.RoleAdd(ctx, "root")), second(c.UserGrantRole(ctx, "root", "root")),
		second(c.RoleAdd(ctx, "reads")), second(c.RoleGrantPermission(ctx, "reads", "\x00", "\x00", clientv3.PermissionType(clientv3.PermRead))),
		second(c.UserAdd(ctx, "reader", "hunter2")), second(c.UserGrantRole(ctx, "reader", "reads")),
		second(c.RoleAdd(ctx, "little")), second(c.RoleGrantPermission(ctx, "little", "/x/", "/x0", clientv3.PermissionType(clientv3.PermRead))),
		second(c.UserAdd(ctx, "narrow", "hunter2")), second(c.UserGrantRole(ctx, "narrow", "little")),
		second(c.Delete(ctx, "/registry/configmaps/shop/one")), second(c.AuthEnable(ctx)),
	} {
		check(s.t, err)
	}
}

// older are clusters that serve API v2: one holds Kubernetes' keys in both.
func (s *scene) older() {
	server, tree := startV2(s.t)
	s.names["BOTH"] = server.Endpoint
	setV2(s.t, tree, "/registry/configmaps/shop/one", strings.Replace(configMapJSON("one"), `"v"`, `"`+strings.Repeat("v", 20000)+`"`, 1), client.SetOptions{})
	for key, value := range shop(ourUID) {
		check(s.t, second(server.Client(s.t).Put(s.t.Context(), key, value)))
	}
	empty, _ := startV2(s.t)
	s.names["V2EMPTY"] = empty.Endpoint
}

// archives are good ones, and ones that something has happened to.
func (s *scene) archives() {
	sealed := []string{"-r", s.keys.recipient}
	good := s.backUp("GOOD", "place/good.zip.age", "LIVE", sealed...)
	s.names["PLACE"] = s.at("place")
	flipped := bytes.Clone(good)
	flipped[len(good)/2] ^= 1
	s.file("FLIPPED", "flipped.zip.age", flipped)
	s.file("CUT", "cut.zip.age", good[:len(good)/2])
	s.file("SEALED", "sealed.zip", good)
	plain := s.backUp("PLAIN", "plain.zip", "LIVE", "--no-encrypt")
	s.file("UNSEALED", "unsealed.zip.age", plain)
	s.file("LATER", "later.zip", laterFormat(s.t, plain))

	s.file("HIDDEN", "target/real.zip.age", good)
	check(s.t, os.MkdirAll(s.at("links"), 0o700))
	s.names["HIDDEN"] = s.at("links/link.zip.age")
	check(s.t, os.Symlink(s.at("target/real.zip.age"), s.names["HIDDEN"]))
	s.backUp("TWO", "two/a.zip.age", "LIVE", sealed...)
	s.backUp("TWO", "two/b.zip.age", "STRANGER", sealed...)
	s.names["TWO"] = s.at("two")
	s.backUp("SWAPPED", "swapped/a.zip.age", "LIVE", sealed...)
	s.backUp("OTHER", "swapped/b.zip.age", "LIVE", sealed...)
	s.file("OTHER", "swapped/b.zip.age.receipt.json", bytes.ReplaceAll(readFile(s.t, s.at("swapped/b.zip.age.receipt.json")), []byte(`b.zip`), []byte(`a.zip`)))
	check(s.t, os.Rename(s.at("swapped/b.zip.age.receipt.json"), s.at("swapped/a.zip.age.receipt.json")))
	s.backUp("UNREADABLE", "unreadable/a.zip.age", "LIVE", sealed...)
	s.file("OTHER", "unreadable/a.zip.age.receipt.json", []byte("{"))
	s.backUp("DAMAGED", "damaged/a.zip.age", "LIVE", sealed...)
	damaged := bytes.Clone(readFile(s.t, s.at("damaged/a.zip.age")))
	damaged[len(damaged)/2] ^= 1
	s.file("OTHER", "damaged/a.zip.age", damaged)
	s.names["DAMAGED"] = s.at("damaged")
	for i := range 4 {
		s.backUp("MANY", fmt.Sprintf("many/%d.zip.age", i), "LIVE", sealed...)
	}
	s.names["MANY"] = s.at("many")

	s.etcd("SOURCE1", etcdproc.Options{}, with(shop(ourUID), "/registry/configmaps/shop/binary", "k8s\x00\n\x0d\n\x02v1\x12\x09ConfigMap\x12\x02\xff\xfe"))
	s.backUp("BINARY", "binary.zip.age", "SOURCE1", sealed...)
	s.etcd("SOURCE2", etcdproc.Options{}, with(shop(ourUID), "/registry/configmaps/shop/broken", "not an object"))
	s.backUp("BROKEN", "broken.zip.age", "SOURCE2", sealed...)
	s.etcd("SOURCE3", etcdproc.Options{}, with(shop(ourUID), "/registry/configmaps/shop/large", strings.Replace(configMapJSON("large"), `"v"`, `"`+strings.Repeat("v", 20000)+`"`, 1)))
	s.backUp("LARGE", "large.zip.age", "SOURCE3", sealed...)
	s.etcd("SOURCE5", etcdproc.Options{}, with(shop(ourUID), "/registry/configmaps/dev/one", configMapJSON("one")))
	s.backUp("SEVERAL", "several.zip.age", "SOURCE5", sealed...)
	leased := s.etcd("SOURCE4", etcdproc.Options{}, shop(ourUID)).Client(s.t)
	lease, err := leased.Grant(s.t.Context(), 600)
	check(s.t, err)
	check(s.t, second(leased.Put(s.t.Context(), "/registry/events/shop/one", objectJSON("Event", "one"), clientv3.WithLease(lease.ID))))
	s.backUp("LEASED", "leased.zip.age", "SOURCE4", sealed...)
}

// run runs a command line of the table. What goes into a pipe meets a full disk.
func (s *scene) run(line string) ran {
	s.t.Helper()
	words := strings.Fields(line)
	for i, word := range words {
		for _, name := range slices.SortedFunc(maps.Keys(s.names), func(a, b string) int { return len(b) - len(a) }) {
			word = strings.ReplaceAll(word, name, s.names[name])
		}
		words[i] = word
	}
	words = strings.Fields(strings.Join(words, " "))
	var out, talk bytes.Buffer
	sh := &console.Shell{
		Stdin: strings.NewReader(""), Stdout: &out, Stderr: &talk, Environ: append(surroundings(), "TERM=dumb"),
		Unset: func(string) error { return nil }, Now: time.Now, Hostname: func() (string, error) { return "tester", nil },
	}
	if strings.Contains(line, "--to - ") {
		sh.Stdout = fullDisk{}
	}
	code := run(s.t.Context(), words, sh)
	return ran{words, exitCode(code), out.String(), talk.String()}
}

// fullDisk is a device without space.
type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, syscall.ENOSPC }

// TestExitCodesOfFailures provokes each failure of the table, and holds the code
// that it ends with against the golden file.
func TestExitCodesOfFailures(t *testing.T) {
	s := newScene(t)
	var b strings.Builder
	for _, row := range provoked {
		r := s.run(row[1])
		if r.code == exitDone || r.stderr == "" {
			t.Errorf("%s: no failure: kubeferry %s ended with %d: %s", row[0], row[1], r.code, r.stderr)
		}
		fmt.Fprintf(&b, "%4d  %s\n", r.code, row[0])
	}
	for _, row := range wrongUsage {
		fmt.Fprintf(&b, "%4d  kubeferry %s\n", row.code, row.line)
	}
	if *update {
		check(t, os.WriteFile(exitTable, []byte(b.String()), 0o644))
	}
	if diff := cmp.Diff(string(readFile(t, exitTable)), b.String()); diff != "" {
		t.Errorf("codes have changed; if they are meant to, name it in CHANGELOG.md and run with -update (-golden +now):\n%s", diff)
	}
}
