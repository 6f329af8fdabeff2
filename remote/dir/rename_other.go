//go:build !linux

package dir

import (
	"os"

	"golang.org/x/sys/unix"
)

// renameNoReplace is a call that this system does not have.
func renameNoReplace(int, string, string) error {
	return os.NewSyscallError("renameat2", unix.ENOSYS)
}
