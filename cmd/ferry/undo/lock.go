package undo

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/remote"
)

// ErrLocked: another run of this machine is changing the cluster.
var ErrLocked = errors.New("another run is changing this cluster")

// Lock keeps other runs of this machine from changing a cluster until it is released, or the
// process ends: what two at once took away could not be put back one by one. With "" as the
// folder nobody is kept out.
func Lock(folder string, target etcdwalk.Info) (release func() error, err error) {
	if folder == "" {
		return func() error { return nil }, nil
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, fmt.Errorf("make the folder of what is taken away (--undo-dir names another, --no-undo keeps nothing): %w", remote.System(err))
	}
	which := target.ClusterID.String() // which a change does not alter, as it does what tells the cluster
	if target.ClusterID == 0 {
		which = target.Identity().String()
	}
	sum := sha256.Sum256([]byte(which))
	path := filepath.Join(folder, ".lock-"+hex.EncodeToString(sum[:8]))
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the cluster for other runs (--undo-dir names another folder, --no-undo keeps nothing): %w", remote.System(err))
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		if errors.Is(err, unix.EWOULDBLOCK) {
			err = ErrLocked
		}
		return nil, errors.Join(fmt.Errorf("lock the cluster for other runs (%s): %w", path, remote.System(err)), f.Close())
	}
	return func() error {
		// A process that was just forked may have the file too, until it has run its program.
		return errors.Join(unix.Flock(int(f.Fd()), unix.LOCK_UN), f.Close())
	}, nil
}
