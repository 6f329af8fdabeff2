package dir

import (
	"crypto/rand"
	"os"
	"regexp"
	"strings"
	"time"
)

// partialLife is how long a partial that nobody holds is left alone, in case
// it is wanted for a look.
const partialLife = 24 * time.Hour

var partialName = regexp.MustCompile(`^\.kubeferry-[a-z0-9]{16}\.partial$`)

func newPartial() string {
	return ".kubeferry-" + strings.ToLower(rand.Text()[:16]) + ".partial"
}

// sweep removes the partials of dead processes: a day old, and their lock is
// free. It is a courtesy, so what cannot be removed stays without a word.
func sweep(d folder, now time.Time) {
	names, err := d.names()
	if err != nil {
		return
	}
	for _, name := range names {
		if partialName.MatchString(name) {
			sweepOne(d, name, now)
		}
	}
}

func sweepOne(d folder, name string, now time.Time) {
	found, err := d.lstat(name)
	if err != nil || !found.Mode().IsRegular() || now.Sub(found.ModTime()) < partialLife {
		return
	}
	f, err := d.lock(name)
	if err != nil {
		return
	}
	// Removed while it is locked, and only if it is the file that was found.
	if held, err := f.Stat(); err == nil && os.SameFile(found, held) {
		_ = d.remove(name) // as said above
	}
	_ = f.Close() // nothing was written
}
