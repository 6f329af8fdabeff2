package undo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/kubeferry/kubeferry/etcdwalk/replay"
	"github.com/kubeferry/kubeferry/etcdwalk/replay/journal"
)

// endTime is how long it may take to note the end of a change, of one that was interrupted too.
const endTime = 10 * time.Second

// A Record is of one change, which is being made. Of one that has no end, all that was planned
// may have been done. The nil Record records nothing.
type Record struct {
	Name string // by which the change can be taken back

	keeper Keeper
	done   *journal.File
	writes int64
	rest   *Unended // that it goes on with; nil: none
}

// Add takes what became of a key.
func (r *Record) Add(line replay.Line) error {
	if r == nil || !line.Fate.Changes() && !r.rest.did(line) {
		return nil
	}
	r.writes++
	return r.done.Add(journal.Line{Key: line.Key, Fate: string(line.Fate), Revision: line.Revision})
}

// End notes the end of a change, and with it which keys it has touched, if none is left of what
// was planned. One that has touched none is forgotten. Then the oldest changes beyond ten are removed.
// It returns the name by which the change can be taken back.
func (r *Record) End(ctx context.Context, counts replay.Counts) (name string, err error) {
	if r == nil {
		return "", nil
	}
	ctx, done := context.WithTimeout(context.WithoutCancel(ctx), endTime)
	defer done()
	defer func() { err = errors.Join(err, r.done.Close()) }()
	if counts[replay.Unreached]+counts[replay.Unsure]+counts[replay.Failure] > 0 {
		return r.Name, nil
	}
	if r.writes == 0 {
		return "", r.keeper.forget(ctx, r.Name)
	}
	if err := r.done.End(); err != nil {
		return r.Name, fmt.Errorf("note what the change has touched: %w", err)
	}
	if err := r.keeper.put(ctx, r.Name+doneEnding, func(w io.Writer) error { return r.done.CopyTo(w) }); err != nil {
		return r.Name, fmt.Errorf("note what the change has touched: %w", err)
	}
	return r.Name, r.keeper.expire(ctx)
}
