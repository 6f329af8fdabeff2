package cmd

import (
	"encoding/json"
	"maps"
	"strings"
	"testing"

	"github.com/kubeferry/kubeferry/archive"
	"github.com/kubeferry/kubeferry/etcdwalk/kube/object"
	"github.com/kubeferry/kubeferry/scripts/servers/etcdproc"
)

// TestSealedValuesAreToldOf: what the API server encrypted at rest is counted by kind and
// key, by backup and describe, whether or not the archive is encrypted; verify opens every
// value with the right configuration, and names the keys that it lacks.
func TestSealedValuesAreToldOf(t *testing.T) {
	t.Parallel()
	keys := newPair(t)
	server := etcdproc.Start(t, etcdproc.Options{Version: etcdproc.V36, Snapshot: unpack(t, sealedFixture+".db.zst")})
	want := map[string]int64{}
	for _, e := range holdings(t, server.Client(t), 0) {
		if encoding := object.EncodingOf(e.Value); encoding.Encrypted() {
			want[string(encoding)]++
		}
	}
	to := t.TempDir()
	r := must(t, exitDone, "backup", "-v", "--endpoints", server.Endpoint, "--to", to, "-r", keys.recipient)
	r.says(t, "Sealed at rest by the API server: 341 values (", " by aescbc key cbc32, ", "; a restore needs the cluster's EncryptionConfiguration, which is not in the archive.")
	path := strings.TrimSpace(r.stdout)

	must(t, exitDone, "describe", path, "-i", keys.identity).says(t, "Archive encrypted:", "Values sealed at rest:", "341 values (")
	var told struct {
		Result struct{ Sealed []archive.SealedTotal }
	}
	check(t, json.Unmarshal([]byte(must(t, exitDone, "describe", path, "--json", "-i", keys.identity).stdout), &told))
	got := map[string]int64{}
	for _, s := range told.Result.Sealed {
		got[s.Encoding] += s.Keys
	}
	if !maps.Equal(got, want) {
		t.Errorf("sealed are %v, the archive counts %v", want, got)
	}
	must(t, exitDone, "describe", path, "--details", "-i", keys.identity).says(t, "SEALED AT REST BY", "secretbox key")

	config := string(readFile(t, sealedFixture+".config.yaml"))
	must(t, exitDone, "verify", path, "-i", keys.identity, "--encryption-config", secretFile(t, "config", config)).says(t, "341 values sealed at rest opened")
	wrong := secretFile(t, "wrong", strings.ReplaceAll(config, "gXv1", "gXv2"))
	must(t, exitKey, "verify", path, "-i", keys.identity, "--encryption-config", wrong).says(t, "the EncryptionConfiguration does not open what is sealed at rest: ", " by aescbc key cbc32")
	if plain := must(t, exitDone, "verify", path, "-i", keys.identity).stdout; strings.Contains(plain, "opened") {
		t.Errorf("nothing was opened, and it says %s", plain)
	}
}
