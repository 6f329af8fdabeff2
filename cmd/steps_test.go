package cmd

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/kubeferry/kubeferry/scripts/servers/etcdproc"
)

// For scripts a restore tells what each of its steps has cost, and of no step
// that was not taken.
func TestRestoreTellsOfItsSteps(t *testing.T) {
	archive := filepath.Join(t.TempDir(), "sample.zip")
	if err := os.WriteFile(archive, []byte(sample), 0o600); err != nil {
		t.Fatal(err)
	}
	server := etcdproc.Start(t, etcdproc.Options{})
	restore := []string{"restore", "--json", "--from", archive, "--scenario=new", "--leases=regrant", "--max-in-flight=16", "--endpoints", server.Endpoint}
	size := float64(len(sample))

	planned := stepsOf(t, must(t, exitDone, append(restore, "--dry-run")...))
	if planned["verify"] < size || planned["plan"] == 0 || planned["apply"] != 0 {
		t.Errorf("a dry run: bytes %v of %v by step, want all for verify, some for plan, and no apply", planned, size)
	}
	done := stepsOf(t, must(t, exitDone, append(restore, "--yes")...))
	if done["verify"] < size || done["plan"] == 0 || done["apply"] == 0 {
		t.Errorf("a restore: bytes %v of %v by step, want all for verify, and some for the others", done, size)
	}
	if read, back := done["read_back"]; !back || read != 0 {
		t.Errorf("a restore: bytes %v by step, want none for read_back, for which apply has read them", done)
	}
	if _, watched := done["watch"]; watched {
		t.Errorf("a restore where no API server lives: %v, want no watch", done)
	}
	if _, err := server.Client(t).Put(t.Context(), "/registry/configmaps/shop/foreign", "{}"); err != nil {
		t.Fatal(err)
	}
	refused := stepsOf(t, must(t, exitGuard, append(restore, "--yes")...))
	if refused["verify"] < size || refused["apply"] != 0 {
		t.Errorf("a refused restore: bytes %v of %v by step, want all for verify, and no apply", refused, size)
	}
}

// The time that a restore looks again is told apart from what it took.
func TestWatchingIsAStepOfItsOwn(t *testing.T) {
	archive := filepath.Join(t.TempDir(), "sample.zip")
	if err := os.WriteFile(archive, []byte(sample), 0o600); err != nil {
		t.Fatal(err)
	}
	server := etcdproc.Start(t, etcdproc.Options{})
	r := must(t, exitDone, "restore", "--json", "--from", archive, "--scenario=new", "--leases=regrant", "--yes", "--watch-for=2s", "--endpoints", server.Endpoint)
	result, _ := lastObject(t, r.stdout)["result"].(map[string]any)
	steps, _ := result["steps"].(map[string]any)
	took := func(name string) float64 {
		step, _ := steps[name].(map[string]any)
		seconds, _ := step["seconds"].(float64)
		return seconds
	}
	if took("watch") < 2 || took("apply") == 0 || took("apply") >= 2 || took("read_back") == 0 || took("read_back") >= 2 {
		t.Errorf("the steps are %v: want two seconds for watch, and none of it for the others", steps)
	}
}

// stepsOf are the bytes of the archive that each step read.
func stepsOf(t *testing.T, r ran) map[string]float64 {
	t.Helper()
	result, _ := lastObject(t, r.stdout)["result"].(map[string]any)
	steps, _ := result["steps"].(map[string]any)
	read := map[string]float64{}
	for name, told := range steps {
		step, _ := told.(map[string]any)
		seconds, timed := step["seconds"].(float64)
		bytes, counted := step["archive_bytes"].(float64)
		if !timed || !counted || seconds <= 0 || seconds > 60 {
			t.Errorf("step %s is told of as %v", name, told)
		}
		read[name] = bytes
	}
	return read
}
