package s3

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
)

// locking tells whether objects are to be locked.
func (s *Store) locking() bool { return s.config.LockMode != "" }

// checkLocking finds out early that a bucket locks nothing, if it is to lock and says
// so. Who writes need not have the right to ask.
func (s *Store) checkLocking(ctx context.Context) error {
	if !s.locking() {
		return nil
	}
	err := s.try(ctx, "look for the object lock", func(ctx context.Context) error {
		_, _, _, _, err := s.core.GetObjectLockConfig(ctx, s.at.Bucket)
		return err
	})
	if errors.Is(meaning(err), ErrNoLock) {
		return s.noLock("it says so")
	}
	return ctx.Err()
}

// noLock is an ErrNoLock of the bucket.
func (s *Store) noLock(why string) error {
	return fmt.Errorf("bucket %s: %w: %s", s.at.Bucket, ErrNoLock, why)
}

// checkLocked looks whether an object that was to be locked is: there are stores that
// pass over what they do not know.
func (u *upload) checkLocked() error {
	s := u.s
	if !s.locking() {
		return nil
	}
	until, err := s.RetainedUntil(u.ctx, u.name)
	switch {
	case errors.Is(err, fs.ErrPermission):
		s.mu.Lock()
		defer s.mu.Unlock()
		s.notes.LockUnseen++
		return nil
	case err != nil:
		return err
	case until.Before(s.config.RetainUntil.Truncate(time.Second)):
		return s.noLock("it has taken " + s.url(u.name) + " without locking it as asked")
	}
	return nil
}

// Locked is an [ErrLocked] if the object is known to be under retention or a legal
// hold. What these credentials may not see does not count.
func (s *Store) Locked(ctx context.Context, name string) error {
	if err := s.check(ctx, "look at", name); err != nil {
		return err
	}
	info, err := s.find(ctx, name)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return nil
	case err != nil:
		return err
	}
	return s.unlocked("look at", name, info)
}

// noRetention are S3's answers that there is none: of the object, in the bucket, or
// in the store at all.
var noRetention = []string{
	"NoSuchObjectLockConfiguration", "ObjectLockConfigurationNotFoundError", "InvalidRequest", "NotImplemented", "MethodNotAllowed",
}

// RetainedUntil is until when the store keeps an object under retention; zero if it
// does not. Who may not see it gets an fs.ErrPermission.
func (s *Store) RetainedUntil(ctx context.Context, name string) (time.Time, error) {
	info, err := s.find(ctx, name)
	if err != nil {
		return time.Time{}, err
	}
	if until, err := time.Parse(time.RFC3339, info.Headers.Get("X-Amz-Object-Lock-Retain-Until-Date")); err == nil {
		return until.UTC(), nil
	}
	// What a bucket does by default some stores tell of only here.
	var until *time.Time
	err = s.try(ctx, "look at the retention of "+name, func(ctx context.Context) (err error) {
		_, until, err = s.core.GetObjectRetention(ctx, s.at.Bucket, s.key(name), "")
		return err
	})
	switch {
	case err == nil && until != nil:
		return until.UTC(), nil
	case err == nil, slices.Contains(noRetention, response(err).Code):
		return time.Time{}, nil
	}
	return time.Time{}, s.explain("look at", "s3:GetObjectRetention", name, err)
}

// unlocked is an ErrLocked if that is told of an object.
func (s *Store) unlocked(op, name string, info minio.ObjectInfo) error {
	if until := lockedUntil(info, time.Now()); until != "" {
		return fmt.Errorf("%s %s: %w %s", op, s.url(name), ErrLocked, until)
	}
	return nil
}

// lockedUntil tells what holds an object; empty: nothing.
func lockedUntil(info minio.ObjectInfo, now time.Time) string {
	if info.Headers.Get("X-Amz-Object-Lock-Legal-Hold") == "ON" {
		return "by a legal hold"
	}
	until, err := time.Parse(time.RFC3339, info.Headers.Get("X-Amz-Object-Lock-Retain-Until-Date"))
	if err != nil || !until.After(now) {
		return ""
	}
	return "until " + until.UTC().Format(time.RFC3339)
}

func saysLocked(message string) bool {
	message = strings.ToLower(message)
	return strings.Contains(message, "lock") || strings.Contains(message, "worm") || strings.Contains(message, "retention")
}

// saysNoLock knows "Bucket is missing Object Lock Configuration", which others write
// without spaces.
func saysNoLock(message string) bool {
	return strings.Contains(strings.ToLower(strings.ReplaceAll(message, " ", "")), "missingobjectlock")
}
