package cmd

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/pflag"

	"github.com/kubeferry/kubeferry/cmd/console"
	"github.com/kubeferry/kubeferry/cmd/ferry"
	"github.com/kubeferry/kubeferry/cmd/flags"
)

// watchOptions say whether and how it is looked again at what was written.
type watchOptions struct {
	during time.Duration
	never  bool
	back   bool // read back what was written
}

func (w *watchOptions) addFlags(set *pflag.FlagSet) {
	w.during = 15 * time.Second
	flags.Duration(set, &w.during, "watch-for", "how `LONG` to watch for API servers before a new etcd is filled, and to look again at what was written; that without a live one not at all, unless this flag is given")
	set.BoolVar(&w.back, "read-back", false, "read back what was written and compare it with the archive (default with --scenario=new)")
	set.BoolVar(&w.never, "no-watch", false, "look once only for API servers in a new etcd, and not again whether what was written stays")
}

// addWatch adds the flags for what only looks again.
func (w *watchOptions) addWatch(set *pflag.FlagSet) {
	w.during = 15 * time.Second
	flags.Duration(set, &w.during, "watch-for", "how `LONG` to look again at what was written; that without a live API server not at all, unless this flag is given")
	set.BoolVar(&w.never, "no-watch", false, "do not look again whether what was written stays")
}

func (w *watchOptions) check(s *flags.Settings) error {
	switch {
	case w.never && s.Typed("watch-for"):
		return console.Usagef("--watch-for and --no-watch contradict each other; use one of them")
	case w.during < time.Second:
		return console.Usagef("--watch-for=%s: it takes a second at least; --no-watch looks at nothing", w.during)
	}
	return nil
}

// watch looks again at what was written, if the cluster lives.
func (o *restoreOptions) watch(ctx context.Context, r ferry.Restore, planned *ferry.Planned, written int64) (*ferry.Aftermath, error) {
	if o.watching.never || written == 0 {
		return nil, nil
	}
	alive, err := planned.Alive(ctx)
	if err == nil && !alive && !o.s.Typed("watch-for") {
		o.s.Talk("No API server gives a sign of life there: what was written is not looked at again.")
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%s written; look for signs of API servers: %w", wereKeys(written), err)
	}
	o.s.Talk("Looking for %s whether what was written stays; Ctrl-C ends that.", o.watching.during)
	tell, stop := progress(o.s)
	defer stop()
	r.Progress = tell
	a, err := r.Watch(ctx, planned, o.watching.during)
	stop()
	for _, loss := range a.Expected {
		o.s.Talk("Gone as expected: %s: %s", loss.Key, loss.Reason)
	}
	o.losses(a, true)
	switch {
	case err == nil:
		o.s.Talk("%s written, and all stayed as they were for %s; what no controller looks after was looked at once.", wereKeys(written), o.watching.during)
	case errors.Is(err, ferry.ErrIncomplete):
		err = fmt.Errorf("%s written: %w", wereKeys(written), err)
	default:
		err = fmt.Errorf("%s written, and not watched to the end: %w", wereKeys(written), err)
	}
	return &a, err
}

// losses names what did not stay, with the reasons if they say more.
func (o *restoreOptions) losses(a ferry.Aftermath, reasons bool) {
	for i, loss := range a.Lost {
		if i == mostLosses {
			o.s.Data("  … and %d more", a.Count-mostLosses)
			return
		}
		reason := ": " + loss.Reason
		if !reasons || loss.Reason == "" {
			reason = ""
		}
		o.s.Data("  %s: %s%s", loss.Key, loss.What, reason)
	}
}

// mostLosses is how many losses are named; --json has up to 1,000.
const mostLosses = 50
