package cmd

import (
	"fmt"
	"maps"
	"slices"

	"github.com/kubeferry/kubeferry/cmd/console"
	"github.com/kubeferry/kubeferry/cmd/ferry"
)

// older counts the objects that are not stored in today's version, by what there is to say.
type older map[string]int64

func (c older) add(seen ferry.Seen) {
	if text := olderText(seen); text != "" {
		c[text]++
	}
}

// tell says so on a terminal: what is shown is what is stored, and API servers show it
// otherwise.
func (c older) tell(o *getOptions) {
	for _, text := range slices.Sorted(maps.Keys(c)) {
		o.s.Talk("%s %s", console.Count(c[text], "object"), text)
	}
}

// olderText says in which version an object is stored; empty if in today's.
func olderText(seen ferry.Seen) string {
	if seen.Newer == "" {
		return ""
	}
	return console.Printable(fmt.Sprintf("stored in the older version %s; today it is %s", seen.Object.Meta.APIVersion, seen.Newer))
}
