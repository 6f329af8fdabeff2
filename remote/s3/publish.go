package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"slices"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/kubeferry/kubeferry/remote"
)

// maxProbe is the size of an object that may be sent twice to learn whether the
// store keeps conditions.
const maxProbe = 64 << 10

// An object of our own may be absent for ownDelay after it was written; it is asked
// for again after slowness.
const (
	ownDelay = 5 * time.Second
	slowness = 200 * time.Millisecond
)

// errAgain: the parts must be sent once more.
var errAgain = errors.New("the store has lost the parts")

// publish gives the object its name, and returns its version. What the store refuses to
// take is tried in other ways.
func (u *upload) publish(whole sums) (version, error) {
	ways := u.s.ways()
	best, refusal := ways[0], error(nil)
	for again := 0; ; {
		if u.s.condition() != kept {
			if err := u.s.checkFree(u.ctx, u.name); err != nil {
				return version{}, err
			}
		}
		if u.parts != nil && u.parts.checksums && !ways[0].checksums {
			if err := u.restart(false); err != nil {
				return version{}, err
			}
		}
		at, err := u.request(whole, ways[0])
		if err != nil && refuses(err) {
			if refusal == nil {
				refusal = err
			}
			ways = slices.DeleteFunc(ways[1:], func(w way) bool { return !w.spares(err) })
			if len(ways) > 0 {
				continue
			}
			err = refusal
		}
		switch {
		case err == nil:
			u.s.learn(best, ways[0], refusal)
			return u.probe(whole, at), nil
		case errors.Is(err, errAgain) && again < 2:
			again++
			if err := u.restart(ways[0].checksums); err != nil {
				return version{}, err
			}
		default:
			return version{}, u.s.explain("publish", "s3:PutObject", u.name, err)
		}
	}
}

// restart sends all parts anew, in another multipart upload.
func (u *upload) restart(checksums bool) error {
	if err := u.dropParts(); err != nil {
		return err
	}
	u.parts = startParts(u, checksums)
	if err := u.parts.offer(u.spool.size); err != nil {
		return err
	}
	u.parts.finish(u.spool.size)
	_, err := u.parts.wait()
	return err
}

// request sends the request that publishes the object in one way, and settles what
// became of it.
func (u *upload) request(whole sums, w way) (at version, err error) {
	send := u.put
	if u.parts != nil {
		send = u.complete
	}
	attempts := 0
	err = u.s.try(u.ctx, "publish "+u.name, func(ctx context.Context) (err error) {
		attempts++
		at, err = send(ctx, whole, w)
		return err
	})
	if err == nil {
		return at, nil
	}
	return u.settle(whole, err, attempts > 1)
}

func (u *upload) put(ctx context.Context, whole sums, w way) (version, error) {
	s := u.s
	options := u.options()
	if w.conditional {
		options.SetMatchETagExcept("*")
	}
	if w.checksums {
		options.UserMetadata["X-Amz-Checksum-Crc32c"] = whole.crc32cBase64()
	}
	md5, err := u.md5(ctx, 0, whole, w.checksums)
	if err != nil {
		return version{}, err
	}
	info, err := s.core.PutObject(ctx, s.at.Bucket, s.key(u.name), u.spool.section(0, whole.Size), whole.Size, md5, whole.sha256Hex(), options)
	if err != nil {
		return version{}, err
	}
	return versionOf(info.VersionID, info.ETag), answered(info, whole)
}

func (u *upload) complete(ctx context.Context, whole sums, w way) (version, error) {
	s := u.s
	// What the object is to be like was said at the beginning.
	var options minio.PutObjectOptions
	all := make([]minio.CompletePart, len(u.parts.sent))
	for i, p := range u.parts.sent {
		all[i] = minio.CompletePart{PartNumber: i + 1, ETag: p.etag}
		if w.checksums {
			all[i].ChecksumCRC32C = crcBase64(p.crc32c)
		}
	}
	if w.checksums {
		options.UserMetadata = map[string]string{
			"X-Amz-Checksum-Crc32c": whole.crc32cBase64(),
			"X-Amz-Checksum-Type":   "FULL_OBJECT",
			"X-Amz-Mp-Object-Size":  fmt.Sprint(whole.Size),
		}
	}
	if w.conditional {
		options.SetMatchETagExcept("*")
	}
	info, err := s.core.CompleteMultipartUpload(ctx, s.at.Bucket, s.key(u.name), u.parts.id, all, options)
	switch {
	case response(err).Code == "ConditionalRequestConflict": // then S3 wants the parts again
		return version{}, errAgain
	case err != nil:
		return version{}, err
	}
	return versionOf(info.VersionID, info.ETag), answered(info, whole)
}

// answered compares the store's checksum, if it tells one of the whole, with ours.
func answered(info minio.UploadInfo, whole sums) error {
	if got := info.ChecksumCRC32C; len(got) == len(whole.crc32cBase64()) && got != whole.crc32cBase64() {
		return &damage{fmt.Sprintf("the store has CRC32C %s, and %s was sent", line(got), whole.crc32cBase64())}
	}
	return nil
}

// settle finds out what became of a request that failed: the object may be there
// all the same. repeated: an earlier attempt may have succeeded unseen.
func (u *upload) settle(whole sums, failed error, repeated bool) (version, error) {
	e := response(failed)
	taken := e.StatusCode == http.StatusPreconditionFailed
	gone := e.Code == noSuchUpload
	unlockable := errors.Is(meaning(failed), ErrNoLock) // a gateway may have stored it nevertheless, unlocked
	if e.StatusCode != 0 && !taken && !gone && !unlockable && !transient(failed) && !repeated {
		return version{}, failed // refused, so nothing was done
	}
	ctx, done := settling(u.ctx)
	defer done()
	info, err := u.s.stat(ctx, u.name)
	for deadline := time.Now().Add(ownDelay); taken && errors.Is(err, fs.ErrNotExist) && time.Now().Before(deadline); {
		time.Sleep(slowness) // it is there, and the store is slow to show it
		info, err = u.s.stat(ctx, u.name)
	}
	switch {
	case unlockable && err == nil && info.UserMetadata[uploadID] == u.id:
		return version{}, errors.Join(failed, u.takeBack(versionOf(info.VersionID, info.ETag)))
	case unlockable && (err == nil || errors.Is(err, fs.ErrNotExist)):
		return version{}, failed
	case unlockable:
		return version{}, fmt.Errorf("%w; whether it was stored nevertheless, unlocked, cannot be looked at: %s", failed, reason(err))
	case err == nil && info.UserMetadata[uploadID] != u.id:
		return version{}, fs.ErrExist
	case err == nil && u.ctx.Err() != nil: // whoever cancelled does not want it
		return version{}, errors.Join(failed, u.takeBack(versionOf(info.VersionID, info.ETag)))
	case err == nil && !holds(info, whole):
		return version{}, errors.Join(differing(info, whole), u.takeBack(versionOf(info.VersionID, info.ETag)))
	case err == nil:
		return versionOf(info.VersionID, info.ETag), nil
	case errors.Is(err, fs.ErrNotExist) && (gone || errors.Is(failed, errAgain)):
		return version{}, errAgain
	case errors.Is(err, fs.ErrNotExist):
		return version{}, failed
	case taken && !repeated: // whoever has the name, it is not us
		return version{}, fs.ErrExist
	}
	return version{}, fmt.Errorf("%w: whether the object is there is unknown, for it cannot be looked at: %s: %s", ErrUnavailable, reason(failed), reason(err))
}

// differing says that the object which the store has is another.
func differing(info minio.ObjectInfo, whole sums) error {
	return &damage{fmt.Sprintf("the object has %d bytes with CRC32C %s, and %d with %s were sent",
		info.Size, line(info.ChecksumCRC32C), whole.Size, whole.crc32cBase64())}
}

// holds tells whether the object that the store has is the one that was sent.
func holds(info minio.ObjectInfo, whole sums) bool {
	crc := info.ChecksumCRC32C
	return info.Size == whole.Size && (len(crc) != len(whole.crc32cBase64()) || crc == whole.crc32cBase64())
}

// probe learns from an object that is there whether the store keeps If-None-Match:
// it is put once more, where that costs next to nothing. A store that does not
// keep it has the same bytes then as before.
func (u *upload) probe(whole sums, at version) version {
	if u.s.condition() != unknown || u.parts != nil || whole.Size > maxProbe {
		return at
	}
	again, err := u.put(u.ctx, whole, way{true, u.s.has(checksums)})
	switch {
	case err == nil:
		u.s.noteIgnored("it has put an object over another in spite of If-None-Match")
		return again
	case response(err).StatusCode == http.StatusPreconditionFailed:
		u.s.noteKept()
	}
	return at // and what is not known may be learnt the next time
}

// readBack reads the object as the store has it now, if it may.
func (u *upload) readBack(at version, whole sums, want remote.Digest) error {
	var got remote.Digest
	deadline := time.Now().Add(min(ownDelay, u.s.config.RetryBudget))
	err := u.s.try(u.ctx, "read back "+u.name, func(ctx context.Context) (err error) {
		for {
			got, err = u.s.digest(ctx, u.name, at)
			if response(err).StatusCode != http.StatusNotFound || time.Now().After(deadline) {
				break
			}
			time.Sleep(slowness)
		}
		if err == nil && got != want {
			err = &damage{fmt.Sprintf("%d bytes with SHA-256 %x, where %d with %x were written", got.Size, got.SHA256, want.Size, want.SHA256)}
		}
		return err
	})
	if errors.Is(meaning(err), remote.ErrCold) {
		return u.confirm(whole)
	}
	mayNot := response(err).Code == "AccessDenied" // and not: they have expired
	err = u.s.explain("read back", "s3:GetObject", u.name, err)
	if mayNot {
		u.s.mu.Lock()
		defer u.s.mu.Unlock()
		u.s.notes.NotReadBack++
		return nil
	}
	return err
}

// digest reads an object once.
func (s *Store) digest(ctx context.Context, name string, v version) (remote.Digest, error) {
	body, err := s.get(ctx, name, v, span{})
	if err != nil {
		return remote.Digest{}, err
	}
	defer body.Close()
	sum := remote.NewSummer()
	_, err = io.Copy(sum, body)
	return sum.Digest(), err
}

// takeBack removes the object that must not stay, whatever became of the context,
// but no other that has got its name.
func (u *upload) takeBack(at version) error {
	ctx, done := settling(u.ctx)
	defer done()
	if at.id == "" {
		info, err := u.s.stat(ctx, u.name)
		if errors.Is(err, fs.ErrNotExist) || (err == nil && info.UserMetadata[uploadID] != u.id) {
			return nil
		}
	}
	if err := u.s.remove(ctx, u.name, at.id); err != nil {
		return fmt.Errorf("a bad object is left behind: %w", err)
	}
	return nil
}
