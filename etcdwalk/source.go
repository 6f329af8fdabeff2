package etcdwalk

import "context"

// A Source opens views: a cluster, an archive.
type Source interface {
	// Open opens the view of a moment. The ranges, of which there must be one, are
	// those that will be read: rights need not reach further. A moment that the
	// source does not hold any more is an [ErrCompacted], one that it never held an
	// fs.ErrNotExist.
	Open(ctx context.Context, at Moment, ranges Ranges) (View, error)
}

// A Moment is what a Source is opened at: a revision, or the newest. A cluster holds
// those that were not compacted away, an archive has its one.
type Moment int64

// Newest is the last moment that a source holds.
const Newest Moment = 0
