package s3

import (
	"context"
	"crypto/md5"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"io/fs"
	"os"

	"github.com/kubeferry/kubeferry/remote"
)

// A spool is a file that takes what is to go up.
type spool struct {
	file *os.File
	dir  string // for messages: the file itself has no name any more
	size int64
}

// newSpool makes a file that only its owner may read, and that is gone when the
// process is.
func newSpool(dir string) (*spool, error) {
	if dir == "" {
		dir = os.TempDir()
	}
	file, err := os.CreateTemp(dir, ".kubeferry-*.spool") // 0600 and never through a link
	if err != nil {
		return nil, spoolError("make a spool", dir, err)
	}
	if err := os.Remove(file.Name()); err != nil {
		return nil, errors.Join(spoolError("hide the spool", dir, err), file.Close())
	}
	return &spool{file: file, dir: dir}, nil
}

// Write makes spool an io.Writer.
func (s *spool) Write(p []byte) (int, error) {
	n, err := s.file.Write(p)
	s.size += int64(n)
	if err != nil {
		err = spoolError("write to the spool", s.dir, err)
	}
	return n, err
}

func (s *spool) close() error {
	if err := s.file.Close(); err != nil {
		return spoolError("close the spool", s.dir, err)
	}
	return nil
}

// section is a piece of the spool, to be read from its start as often as needed.
func (s *spool) section(off, size int64) *io.SectionReader {
	return io.NewSectionReader(s.file, off, size)
}

func spoolError(op, dir string, err error) error {
	var e *fs.PathError
	if errors.As(err, &e) {
		err = e.Err
	}
	return fmt.Errorf("%s in %s: %w", op, dir, remote.System(err))
}

// sums are the checksums of a piece of the spool.
type sums struct {
	remote.Digest
	crc32c uint32
	md5    []byte // nil: it was not asked for
}

func (s sums) sha256Hex() string    { return hex.EncodeToString(s.SHA256[:]) }
func (s sums) md5Base64() string    { return base64.StdEncoding.EncodeToString(s.md5) }
func (s sums) crc32cBase64() string { return crcBase64(s.crc32c) }

func crcBase64(crc uint32) string {
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, crc))
}

func newCRC() hash.Hash32 { return crc32.New(crc32.MakeTable(crc32.Castagnoli)) }

// A summer makes sums of what is written to it.
type summer struct {
	*remote.Summer
	md  hash.Hash // may be nil
	crc hash.Hash32
}

func newSummer(withMD5 bool) *summer {
	s := &summer{Summer: remote.NewSummer(), crc: newCRC()}
	if withMD5 {
		s.md = md5.New()
	}
	return s
}

// Write never fails.
func (s *summer) Write(p []byte) (int, error) {
	_, _ = s.Summer.Write(p)
	_, _ = s.crc.Write(p)
	if s.md != nil {
		_, _ = s.md.Write(p)
	}
	return len(p), nil
}

func (s *summer) sums() sums {
	done := sums{Digest: s.Digest(), crc32c: s.crc.Sum32()}
	if s.md != nil {
		done.md5 = s.md.Sum(nil)
	}
	return done
}

// sum reads a piece of the spool.
func (s *spool) sum(ctx context.Context, off, size int64, withMD5 bool) (sums, error) {
	h := newSummer(withMD5)
	if _, err := io.Copy(h, remote.ContextReader(ctx, s.section(off, size))); err != nil {
		return sums{}, spoolError("read the spool", s.dir, err)
	}
	return h.sums(), nil
}

// sumAll reads the whole spool, and also tells the CRC32C of each piece of this
// size.
func (s *spool) sumAll(ctx context.Context, size int64, withMD5 bool) (whole sums, pieces []uint32, err error) {
	all := newSummer(withMD5)
	for off := int64(0); off < s.size; off += size {
		crc := newCRC()
		if _, err := io.Copy(io.MultiWriter(all, crc), remote.ContextReader(ctx, s.section(off, min(size, s.size-off)))); err != nil {
			return sums{}, nil, spoolError("read the spool", s.dir, err)
		}
		pieces = append(pieces, crc.Sum32())
	}
	return all.sums(), pieces, nil
}
