package archive

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"slices"
)

// A zipReader reads the files of an archive whose directory is sound. It
// accepts what a zipWriter can make and nothing else: that leaves a ZIP no
// room for a second meaning.
type zipReader struct {
	r     io.ReaderAt
	size  int64
	files []zipFile
	end   zipEnd
}

// openZip reads the end records and the directory.
func openZip(r io.ReaderAt, size int64) (*zipReader, error) {
	end, err := readEnd(r, size)
	if err != nil {
		return nil, err
	}
	z := &zipReader{r: r, size: size, end: end}
	if err := z.readDirectory(); err != nil {
		return nil, err
	}
	return z, nil
}

// readEnd reads the end records, which must be the last bytes.
func readEnd(r io.ReaderAt, size int64) (zipEnd, error) {
	tail := make([]byte, min(size, tailSize))
	if err := readAt(r, tail, size-int64(len(tail))); err != nil {
		return zipEnd{}, err
	}
	if len(tail) < endSize || !bytes.HasPrefix(tail[len(tail)-endSize:], []byte("PK\x05\x06")) {
		return zipEnd{}, noEnd(r, size)
	}
	le, last := binary.LittleEndian, tail[len(tail)-endSize:]
	end := zipEnd{files: uint64(le.Uint16(last[10:])), size: uint64(le.Uint32(last[12:])), offset: uint64(le.Uint32(last[16:]))}
	if end.large() && len(tail) == tailSize {
		end = zipEnd{files: le.Uint64(tail[32:]), size: le.Uint64(tail[40:]), offset: le.Uint64(tail[48:])}
	}
	if end.files < filesFixed || end.files > filesFixed+maxSegments {
		return zipEnd{}, damaged("its end record tells of %d files: an archive has %d to %d", end.files, filesFixed, filesFixed+maxSegments)
	}
	if end.size > uint64(size) || end.offset > uint64(size) {
		return zipEnd{}, damaged("its end record points behind its %d bytes", size)
	}
	want := end.appendEnd(nil)
	if uint64(size) != end.offset+end.size+uint64(len(want)) {
		return zipEnd{}, damaged("its directory (%d bytes at offset %d) does not reach to its end record: bytes are missing, or were put in front or between", end.size, end.offset)
	}
	if !bytes.HasSuffix(tail, want) {
		return zipEnd{}, damaged("its end record contradicts itself")
	}
	return end, nil
}

// noEnd tells what is wrong with a file that does not end as an archive does.
func noEnd(r io.ReaderAt, size int64) error {
	tail := make([]byte, min(size, 64<<10))
	if err := readAt(r, tail, size-int64(len(tail))); err != nil {
		return err
	}
	if i := bytes.LastIndex(tail, []byte("PK\x05\x06")); i >= 0 && i+endSize < len(tail) {
		return damaged("%d bytes follow its end", len(tail)-i-endSize)
	}
	return damaged("truncated: there are %d bytes, and the end is missing", size)
}

// readDirectory reads the central directory. The files must lie in it in their
// order and fill the space before it.
func (z *zipReader) readDirectory() error {
	in := bufio.NewReaderSize(io.NewSectionReader(z.r, int64(z.end.offset), int64(z.end.size)), 64<<10)
	n, next, left := int(z.end.files), int64(0), int64(z.end.size)
	for i := range n {
		f, length, err := readCentral(in, next, i, n)
		if err != nil {
			return err
		}
		if next = f.end(); next > int64(z.end.offset) {
			return damaged("%s reaches into the directory", f.name)
		}
		left -= int64(length)
		z.files = append(z.files, f)
	}
	if next != int64(z.end.offset) {
		return damaged("%d bytes between the last file and the directory", int64(z.end.offset)-next)
	}
	if left != 0 {
		return damaged("%d bytes between the directory and the end record", left)
	}
	return nil
}

// readCentral reads the directory's header of file i of n, which must begin
// at offset, and tells how long the header is.
func readCentral(in io.Reader, offset int64, i, n int) (zipFile, int, error) {
	name := fileName(i, n)
	f := zipFile{name: name, offset: offset}
	got := make([]byte, centralSize, centralSize+len(packedManifestName)+len(name)+zip64Extra)
	_, err := io.ReadFull(in, got)
	if le := binary.LittleEndian; err == nil && name == manifestName && int(le.Uint16(got[28:])) == len(packedManifestName) {
		f.name = packedManifestName
	}
	name = f.name
	if got = got[:centralSize+len(name)]; f.far() {
		got = got[:len(got)+zip64Extra]
	}
	if err == nil {
		_, err = io.ReadFull(in, got[centralSize:])
	}
	if err != nil {
		return f, 0, readError(err, "the directory, for "+name)
	}
	le := binary.LittleEndian
	f.crc, f.packed, f.size = le.Uint32(got[16:]), le.Uint32(got[20:]), le.Uint32(got[24:])
	if f.far() {
		extra := got[centralSize+len(name):]
		size, packed := le.Uint64(extra[4:]), le.Uint64(extra[12:])
		if size > math.MaxUint32 || packed > math.MaxUint32 {
			return f, 0, damaged("the directory gives %s a size of %d", name, max(size, packed))
		}
		f.size, f.packed = uint32(size), uint32(packed)
	}
	if at := firstDifference(got, f.appendCentral(nil)); at >= 0 {
		return f, 0, damaged("the directory's %s of %s is not one that an archive has", centralFields.at(at), name)
	}
	return f, len(got), f.checkSizes(sizeLimit(i, n))
}

// packedSlack is how much larger than its content a packed file can be: zstd
// stores what it cannot compress, with three bytes for each 128 KiB.
const packedSlack = 64 << 10

func (f zipFile) checkSizes(limit int64) error {
	switch name := f.name; {
	case int64(f.size) > limit:
		return damaged("%s has %d bytes: the format allows %d", name, f.size, limit)
	case method(name) == methodStore && f.packed != f.size:
		return damaged("%s is stored, but %d bytes for %d", name, f.packed, f.size)
	case int64(f.packed) > int64(f.size)+packedSlack:
		return damaged("%s has %d bytes packed, %d unpacked", name, f.packed, f.size)
	}
	return nil
}

// read reads file i as it is stored. It checks the local header. The CRC of a
// packed file is left to who unpacks it. The content lies in buf, which grows
// where it has to, and is valid until buf is used again.
func (z *zipReader) read(i int, buf *[]byte) ([]byte, error) {
	f := z.files[i]
	name, header := f.name, f.appendLocal(nil)
	whole := len(header) + int(f.packed)
	*buf = fit(*buf, whole)
	got := (*buf)[:whole]
	if err := readAt(z.r, got, f.offset); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if at := firstDifference(got[:len(header)], header); at >= 0 {
		return nil, damaged("the local header's %s of %s is not what the directory says", localFields.at(at), name)
	}
	content := got[len(header):]
	if method(name) == methodStore {
		return content, f.checkCRC(content)
	}
	return content, nil
}

func (f zipFile) checkCRC(content []byte) error {
	if got := crc32.ChecksumIEEE(content); got != f.crc {
		return damaged("%s has the CRC-32 %08x instead of %08x", f.name, got, f.crc)
	}
	return nil
}

// readFront reads one of the first files without the directory: README.txt,
// header.json. It returns the offset behind it too.
func readFront(r io.ReaderAt, size, offset int64, name string) ([]byte, int64, error) {
	got := make([]byte, localSize+len(name))
	if offset+int64(len(got)) > size {
		return nil, 0, damaged("truncated: there are %d bytes", size)
	}
	if err := readAt(r, got, offset); err != nil {
		return nil, 0, err
	}
	le := binary.LittleEndian
	f := zipFile{name: name, offset: offset, crc: le.Uint32(got[14:]), packed: le.Uint32(got[18:]), size: le.Uint32(got[22:])}
	if !bytes.Equal(got, f.appendLocal(nil)) || f.packed != f.size || f.size > maxHeader || f.end() > size {
		return nil, 0, damaged("%s is not where it should be", name)
	}
	content := make([]byte, f.size)
	if err := readAt(r, content, offset+int64(len(got))); err != nil {
		return nil, 0, err
	}
	return content, f.end(), f.checkCRC(content)
}

// readAt fills p. Bytes that are missing are damage; other errors are not.
func readAt(r io.ReaderAt, p []byte, offset int64) error {
	n, err := r.ReadAt(p, offset)
	if n == len(p) {
		return nil
	}
	if err == nil {
		err = io.ErrUnexpectedEOF
	}
	return readError(err, fmt.Sprintf("%d bytes at offset %d", len(p), offset))
}

func readError(err error, what string) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return damaged("read %s: there are fewer", what)
	}
	return fmt.Errorf("read %s: %w", what, err)
}

// firstDifference is the place of the first byte in which a and b, of the same
// length, differ; -1 if there is none.
func firstDifference(a, b []byte) int {
	for i := range a {
		if a[i] != b[i] {
			return i
		}
	}
	return -1
}

// fields name the fields of a ZIP structure, each with the offset behind it.
type fields []struct {
	end  int
	name string
}

var (
	localFields = fields{{4, "signature"}, {6, "version"}, {8, "flags"}, {10, "method"}, {14, "time"}, {18, "CRC-32"},
		{22, "packed size"}, {26, "size"}, {28, "name length"}, {30, "extra length"}, {math.MaxInt, "name"}}
	centralFields = fields{{4, "signature"}, {6, "creator"}, {8, "version"}, {10, "flags"}, {12, "method"}, {16, "time"},
		{20, "CRC-32"}, {24, "packed size"}, {28, "size"}, {30, "name length"}, {32, "extra length"}, {34, "comment length"},
		{36, "disk"}, {42, "attributes"}, {46, "offset"}, {math.MaxInt, "name or extra field"}}
)

func (f fields) at(offset int) string {
	i := slices.IndexFunc(f, func(field struct {
		end  int
		name string
	}) bool {
		return offset < field.end
	})
	return f[i].name
}
