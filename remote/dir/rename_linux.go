package dir

import (
	"os"

	"golang.org/x/sys/unix"
)

// renameNoReplace renames within the folder that fd is.
func renameNoReplace(fd int, from, to string) error {
	return os.NewSyscallError("renameat2", unix.Renameat2(fd, from, fd, to, unix.RENAME_NOREPLACE))
}
