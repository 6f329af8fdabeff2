//go:build !linux

package dir

import "os"

// renameNoReplace renames within the folder that root is.
func renameNoReplace(root *os.Root, _ int, from, to string) error {
	return linkNoReplace(root, from, to)
}
