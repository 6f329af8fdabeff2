package ferry

import (
	"crypto/sha256"
	"hash"
	"io"

	"github.com/kubeferry/kubeferry/crypt"
	"github.com/kubeferry/kubeferry/remote"
)

// A sealed writer encrypts what is written to it, and knows the digest of what
// came out: plaintext goes no further than this.
type sealed struct {
	io.Writer
	encrypted *crypt.Writer // nil: in the clear
	out       *digester
}

// seal writes to dst, encrypted for the recipients, or in the clear for none.
func seal(dst io.Writer, recipients []crypt.Recipient) (*sealed, error) {
	s := &sealed{out: &digester{dst: dst, sum: sha256.New()}}
	if len(recipients) == 0 {
		s.Writer = s.out
		return s, nil
	}
	w, err := crypt.Encrypt(s.out, recipients...)
	s.Writer, s.encrypted = w, w
	return s, err
}

// close ends the stream and returns the digest of what reached dst.
func (s *sealed) close() (remote.Digest, error) {
	if s.encrypted != nil {
		if err := s.encrypted.Close(); err != nil {
			return remote.Digest{}, err
		}
	}
	return s.out.digest(), nil
}

// A digester sums up the bytes on their way to dst.
type digester struct {
	dst  io.Writer
	sum  hash.Hash
	size int64
}

func (d *digester) Write(b []byte) (int, error) {
	n, err := d.dst.Write(b)
	d.sum.Write(b[:n]) // a hash never fails
	d.size += int64(n)
	return n, err
}

func (d *digester) digest() remote.Digest {
	return remote.Digest{Size: d.size, SHA256: [sha256.Size]byte(d.sum.Sum(nil))}
}
