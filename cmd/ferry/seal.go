package ferry

import (
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
	s := &sealed{out: &digester{dst: dst, sum: remote.NewSummer()}}
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
	return s.out.sum.Digest(), nil
}

// A digester sums up the bytes on their way to dst.
type digester struct {
	dst io.Writer
	sum *remote.Summer
}

func (d *digester) Write(b []byte) (int, error) {
	n, err := d.dst.Write(b)
	_, _ = d.sum.Write(b[:n]) // which never fails
	return n, err
}
