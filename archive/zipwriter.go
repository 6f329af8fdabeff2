package archive

import (
	"archive/zip"
	"bytes"
	"fmt"
	"io"
)

// A zipWriter writes the files of an archive. It keeps a list of them, and
// holds every byte that the ZIP library makes against that list before it goes
// out (FAULTS.md AR3).
type zipWriter struct {
	zip   *zip.Writer
	out   *comparer
	files []zipFile
	next  int64 // offset of the next file
}

func newZipWriter(w io.Writer) *zipWriter {
	out := &comparer{w: w}
	return &zipWriter{zip: zip.NewWriter(out), out: out}
}

// add writes one whole file, whose content is packed already.
func (z *zipWriter) add(f zipFile, packed []byte) error {
	f.offset, f.packed = z.next, uint32(len(packed))
	z.out.expect(f.appendLocal(nil), packed)
	entry, err := z.zip.CreateRaw(&zip.FileHeader{
		Name:               f.name,
		CreatorVersion:     versionMadeBy,
		ReaderVersion:      versionNeeded(f.name),
		Method:             method(f.name),
		ModifiedDate:       dosDate, //nolint:staticcheck // Modified would add an extra field with the time
		CRC32:              f.crc,
		CompressedSize64:   uint64(f.packed),
		UncompressedSize64: uint64(f.size),
		ExternalAttrs:      attributes,
	})
	if err == nil {
		_, err = entry.Write(packed)
	}
	if err == nil {
		err = z.zip.Flush()
	}
	if err == nil {
		err = z.out.satisfied()
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", f.name, err)
	}
	z.files, z.next = append(z.files, f), f.end()
	return nil
}

// close writes the directory.
func (z *zipWriter) close() error {
	var directory []byte
	for _, f := range z.files {
		directory = f.appendCentral(directory)
	}
	end := zipEnd{files: uint64(len(z.files)), size: uint64(len(directory)), offset: uint64(z.next)}
	z.out.expect(directory, end.appendEnd(nil))
	err := z.zip.Close()
	if err == nil {
		err = z.out.satisfied()
	}
	if err != nil {
		return fmt.Errorf("write the directory of the archive: %w", err)
	}
	return nil
}

// A comparer passes on the bytes that it was told to expect, and no others.
type comparer struct {
	w    io.Writer
	want [][]byte
	n    int64
}

func (c *comparer) expect(parts ...[]byte) { c.want = append(c.want, parts...) }

// Write implements io.Writer.
func (c *comparer) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		if len(c.want) == 0 {
			return 0, c.differs(len(p) - len(rest))
		}
		n := min(len(rest), len(c.want[0]))
		if !bytes.Equal(rest[:n], c.want[0][:n]) {
			return 0, c.differs(len(p) - len(rest))
		}
		rest = rest[n:]
		if c.want[0] = c.want[0][n:]; len(c.want[0]) == 0 {
			c.want = c.want[1:]
		}
	}
	n, err := c.w.Write(p)
	c.n += int64(n)
	if err == nil && n < len(p) {
		err = io.ErrShortWrite
	}
	return n, err
}

func (c *comparer) differs(at int) error {
	return damaged("self-check: wrong bytes at or after offset %d while writing", c.n+int64(at))
}

// satisfied tells that all expected bytes have come.
func (c *comparer) satisfied() error {
	if len(c.want) > 0 {
		return damaged("self-check: bytes are missing at offset %d while writing", c.n)
	}
	return nil
}
