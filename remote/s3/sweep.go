package s3

import (
	"context"
	"errors"
	"io/fs"
	"time"
)

// Sweep drops the uploads below the prefix that were begun before then and never
// ended, if ours says so of their names; or only names them if it is dry. One that
// still goes on looks the same, so then should be long ago.
func (s *Store) Sweep(ctx context.Context, before time.Time, ours func(name string) bool, dry bool) (swept []string, err error) {
	for u, err := range s.Incomplete(ctx) {
		if err != nil {
			return swept, err
		}
		if !u.Begun.Before(before) || !ours(u.Name) {
			continue
		}
		if !dry {
			if err := s.AbortIncomplete(ctx, u); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return swept, err
			}
		}
		swept = append(swept, u.Name)
	}
	return swept, nil
}
