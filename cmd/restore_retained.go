package cmd

import (
	"github.com/kubeferry/kubeferry/cmd/console"
	"github.com/kubeferry/kubeferry/cmd/ferry"
)

// mostRetained is how many volumes are named; --json names all.
const mostRetained = 50

// tellRetained names the volumes that would not come back as they were.
func tellRetained(say func(format string, args ...any), planned *ferry.Planned) {
	for _, key := range planned.Retained[:min(len(planned.Retained), mostRetained)] {
		say("  ! retained  %s comes back with reclaim policy Retain, not Delete: its disk would be deleted", console.Printable(planned.Name(key)))
	}
	if more := len(planned.Retained) - mostRetained; more > 0 {
		say("  ! retained  … and %d more; --json names them all", more)
	}
}

// keyTexts are keys for scripts.
func keyTexts(keys [][]byte) (texts []string) {
	for _, key := range keys {
		texts = append(texts, string(key))
	}
	return texts
}
