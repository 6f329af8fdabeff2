package dir

import (
	"context"
	"os"
	"syscall"
	"testing"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"

	"github.com/kubeferry/kubeferry/remote"
	"github.com/kubeferry/kubeferry/remote/remotetest"
)

// quirky is the root of a mounted file system that does not know each call.
type quirky struct {
	fs.LoopbackNode

	l *mountLacks
}

// mountLacks are the ways that a mount does not know, and how often they were tried.
type mountLacks struct {
	best  Way
	fired [Copy]int
}

func (m *mountLacks) do(w Way) bool {
	if w >= m.best {
		return false
	}
	m.fired[w]++
	return true
}

func (q *quirky) Rename(ctx context.Context, name string, parent fs.InodeEmbedder, newName string, flags uint32) syscall.Errno {
	switch {
	case flags != 0 && q.l.do(Rename):
		return syscall.EINVAL
	case flags == 0 && q.l.do(Reserve):
		return syscall.ENOSYS
	}
	return q.LoopbackNode.Rename(ctx, name, parent, newName, flags)
}

func (q *quirky) Link(ctx context.Context, target fs.InodeEmbedder, name string, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	if q.l.do(Link) {
		return nil, syscall.EPERM
	}
	return q.LoopbackNode.Link(ctx, target, name, out)
}

// mount mounts a folder that knows this way as the best one.
func mount(t *testing.T, l *mountLacks) string {
	t.Helper()
	if _, err := os.Stat("/dev/fuse"); err != nil {
		t.Skipf("a real mount needs FUSE: %v", err)
	}
	behind, path := t.TempDir(), t.TempDir()
	root := &fs.LoopbackRoot{Path: behind}
	node := &quirky{fs.LoopbackNode{RootData: root}, l}
	root.RootNode = node
	server, err := fs.Mount(path, node, &fs.Options{MountOptions: fuse.MountOptions{DirectMount: true, FsName: "quirky"}})
	if err != nil {
		t.Skipf("FUSE cannot be mounted here: %v", err)
	}
	t.Cleanup(func() {
		if err := server.Unmount(); err != nil {
			t.Error(err)
		}
	})
	return path
}

// TestStoreOnARealMount: C04, on file systems that the kernel takes for such.
func TestStoreOnARealMount(t *testing.T) {
	for _, w := range ways {
		t.Run(w.String(), func(t *testing.T) {
			remotetest.Run(t, func(t *testing.T) remote.Store {
				l := &mountLacks{best: w}
				s := New(mount(t, l), Options{})
				notes, err := s.Probe(t.Context())
				if err != nil || notes.Naming != w {
					t.Fatalf("got %+v, %v, want the way %s", notes, err, w)
				}
				for lacked := range w {
					if l.fired[lacked] != 1 {
						t.Errorf("%s was refused %d times, want once", lacked, l.fired[lacked])
					}
				}
				return s
			})
		})
	}
}
