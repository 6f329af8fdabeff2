package dir

import (
	"bufio"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/kubeferry/kubeferry/remote/catalog"
	"github.com/kubeferry/kubeferry/remote/remotetest"
)

const (
	killStep = "KUBEFERRY_TEST_KILL_STEP" // where a child waits to be killed
	killPath = "KUBEFERRY_TEST_KILL_PATH"
)

// stalling says that a step has come, and waits there for ever.
type stalling struct {
	*lackingFolder
	step string
	name string // of the object
}

func (d *stalling) stall(step, name string) {
	if step == d.step && (name == d.name || name == "") {
		_, _ = os.Stdout.WriteString("stalled\n")
		select {}
	}
}

func (d *stalling) rename(from, to string) error {
	d.stall("before rename", to)
	err := d.lackingFolder.rename(from, to)
	d.stall("after rename", to)
	return err
}

func (d *stalling) link(from, to string) error {
	err := d.lackingFolder.link(from, to)
	d.stall("after link", to)
	return err
}

func (d *stalling) replace(from, to string) error {
	d.stall("before replace", to)
	err := d.lackingFolder.replace(from, to)
	d.stall("after replace", to)
	return err
}

func (d *stalling) create(name string) (file, error) {
	f, err := d.lackingFolder.create(name)
	if err != nil {
		return nil, err
	}
	d.stall("empty copy", name)
	return &stallingFile{f, d, name}, nil
}

type stallingFile struct {
	file
	d    *stalling
	name string
}

func (f *stallingFile) Write(p []byte) (int, error) {
	n, err := f.file.Write(p)
	f.d.stall("half a copy", f.name)
	return n, err
}

func (f *stallingFile) Close() error {
	err := f.file.Close()
	f.d.stall("whole copy", f.name)
	return err
}

var kills = []struct {
	way  Way
	step string
	left int64 // bytes under the name; below 0: nothing
}{
	{Rename, "before rename", -1},
	{Rename, "after rename", int64(len(content))},
	{Link, "after link", int64(len(content))},
	{Reserve, "before replace", 0},
	{Reserve, "after replace", int64(len(content))},
	{Copy, "empty copy", 0},
	{Copy, "half a copy", 32 << 10},
	{Copy, "whole copy", int64(len(content))},
}

const killed = "shop-20260101T000000Z-r1-abcdef" + catalog.EncryptedSuffix

// TestKilledChild is the process that TestKilledInEachWay kills.
func TestKilledChild(t *testing.T) {
	step, path := os.Getenv(killStep), os.Getenv(killPath)
	if step == "" {
		t.Skip("it is a part of TestKilledInEachWay")
	}
	for _, k := range kills {
		if k.step == step {
			l := lackingFor(k.way)
			s := New(path, Options{})
			s.disk = wrapped(func(d *osFolder) folder { return &stalling{&lackingFolder{d, l}, step, killed} })
			t.Fatalf("not killed: %v", publish(t.Context(), s, killed))
		}
	}
}

// TestKilledInEachWay: what a process leaves that is killed while it publishes is taken
// for no archive, whatever the way, and keeps nobody from making another.
func TestKilledInEachWay(t *testing.T) {
	for _, k := range kills {
		t.Run(k.way.String()+", "+k.step, func(t *testing.T) {
			path := t.TempDir()
			killAt(t, path, k.step)
			s := New(path, Options{})
			listing, err := catalog.List(t.Context(), s)
			if err != nil || len(listing.Items) != 0 {
				t.Errorf("got %+v, %v, want no archive", listing.Items, err)
			}
			size := int64(-1)
			for _, f := range listing.Unfinished {
				size = f.Size
			}
			if size != k.left {
				t.Errorf("got %+v unfinished, want one of %d bytes", listing.Unfinished, k.left)
			}
			lackingFor(k.way).wrap(s)
			other := strings.Replace(killed, "abcdef", "ghijkl", 1)
			remotetest.Publish(t, s, other, content)
			if err := catalog.RemoveUnfinished(t.Context(), s, killed); err != nil {
				t.Errorf("remove what is left: %v", err)
			}
			remotetest.Publish(t, s, killed, content)
		})
	}
}

// killAt lets a child publish, and kills it at that step.
func killAt(t *testing.T, path, step string) {
	t.Helper()
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestKilledChild$")
	child.Env = append(os.Environ(), killStep+"="+step, killPath+"="+path)
	out, err := child.StdoutPipe()
	if err == nil {
		err = child.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if gone := child.Process.Kill(); line != "stalled\n" || err != nil || gone != nil {
		t.Errorf("the child says %q, %v; killed: %v", line, err, gone)
	}
	_ = child.Wait() // it was killed
}
