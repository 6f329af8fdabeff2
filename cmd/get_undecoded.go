package cmd

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/kubeferry/kubeferry/cmd/console"
	"github.com/kubeferry/kubeferry/cmd/ferry"
	"github.com/kubeferry/kubeferry/etcdwalk/kube/object"
)

// undecoded counts the values that could not be decoded, by what stands in the way.
type undecoded struct {
	sealed map[string]int64 // by the key that they are sealed with
	broken int64
	first  string // of the broken ones
}

func (u *undecoded) add(seen ferry.Seen) {
	switch {
	case seen.Err == nil:
	case errors.Is(seen.Err, object.ErrSealed):
		if u.sealed == nil {
			u.sealed = map[string]int64{}
		}
		u.sealed[seen.Encoding.Seal()]++
	default:
		if u.broken++; u.broken == 1 {
			u.first = fmt.Sprintf("%s (%s, %s): %v", console.Printable(string(seen.Key)), seen.Encoding, console.Bytes(int64(len(seen.Value))), seen.Err)
		}
	}
}

// text says what is not shown; empty if all is.
func (u *undecoded) text() string {
	var parts []string
	for _, seal := range slices.Sorted(maps.Keys(u.sealed)) {
		parts = append(parts, fmt.Sprintf("%s sealed at rest by %s, which no key given opens", console.Count(u.sealed[seal], "value"), seal))
	}
	if u.broken > 0 {
		parts = append(parts, fmt.Sprintf("%s that cannot be decoded, the first: %s", console.Count(u.broken, "value"), u.first))
	}
	return strings.Join(parts, "; ")
}

// warn tells of values of which only the name was shown. That some are sealed is as it
// should be; that some are damaged is not.
func (u *undecoded) warn(o *getOptions) error {
	if u.broken > 0 {
		return fmt.Errorf("shown by name only: %s%.0w", u.text(), ferry.ErrIncomplete)
	}
	if text := u.text(); text != "" {
		o.s.Warn("shown by name only: %s", text)
	}
	return nil
}

// err is the error of a run that could not show some values at all.
func (u *undecoded) err() error {
	class := ferry.ErrIncomplete
	if len(u.sealed) > 0 {
		class = object.ErrSealed
	}
	if text := u.text(); text != "" {
		return fmt.Errorf("not shown: %s%.0w", text, class)
	}
	return nil
}
