package remote

import (
	"crypto/sha256"
	"hash"
)

// A Digest describes the bytes of an object.
type Digest struct {
	Size   int64
	SHA256 [sha256.Size]byte
}

// DigestOf describes data.
func DigestOf(data []byte) Digest {
	return Digest{Size: int64(len(data)), SHA256: sha256.Sum256(data)}
}

// A Summer is told bytes, and describes them.
type Summer struct {
	size int64
	hash hash.Hash
}

// NewSummer begins with no bytes.
func NewSummer() *Summer { return &Summer{hash: sha256.New()} }

// Write implements io.Writer. It never fails.
func (s *Summer) Write(p []byte) (int, error) {
	s.size += int64(len(p))
	return s.hash.Write(p)
}

// Digest describes what was written so far.
func (s *Summer) Digest() Digest {
	return Digest{Size: s.size, SHA256: [sha256.Size]byte(s.hash.Sum(nil))}
}
