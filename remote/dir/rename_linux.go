package dir

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// renameNoReplace renames within the folder that root and fd are. Where the
// file system or the kernel cannot do that without replacing, NFS for one, it
// links and unlinks.
func renameNoReplace(root *os.Root, fd int, from, to string) error {
	err := unix.Renameat2(fd, from, fd, to, unix.RENAME_NOREPLACE)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.ENOTSUP) {
		return linkNoReplace(root, from, to)
	}
	return os.NewSyscallError("renameat2", err)
}
