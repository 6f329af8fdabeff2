package etcd3

import (
	"context"
	"iter"
)

// ahead runs source in a goroutine and yields what it emits, so that the next
// item is being fetched while the last one is used; never more than that one.
// An error of source ends the sequence. Whichever way the loop over it ends,
// source's context is cancelled and its return waited for.
func ahead[T any](ctx context.Context, source func(ctx context.Context, emit func(T) error) error) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		items := make(chan T)
		var err error // of source; to be read once items is closed
		go func() {
			defer close(items)
			err = source(ctx, func(item T) error {
				select {
				case items <- item:
					return nil
				case <-ctx.Done():
					return ctx.Err()
				}
			})
		}()
		defer func() {
			cancel()
			for range items { // until source has returned
			}
		}()
		for item := range items {
			if !yield(item, nil) {
				return
			}
		}
		if err != nil {
			var none T
			yield(none, err)
		}
	}
}
