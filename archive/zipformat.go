package archive

import (
	"encoding/binary"
	"math"
)

// The ZIP structures, as our archives have them (APPNOTE.TXT 6.3.10). All that
// can vary in an archive's structure is in a zipFile: everything else follows
// from a file's place. So the reader makes the structures anew from what it
// found and compares bytes, and the writer does the same with what the library
// made. There are two makers, and they have to agree.
const (
	localSize     = 30
	centralSize   = 46
	zip64Extra    = 28
	endSize       = 22
	end64Size     = 56
	locator64Size = 20
	tailSize      = end64Size + locator64Size + endSize

	methodStore = 0
	methodZstd  = 93

	versionStore  = 45 // version needed to extract: ZIP64
	versionZstd   = 63
	versionMadeBy = 3<<8 | 63 // Unix
	attributes    = 0o100600 << 16
	dosDate       = 1<<5 | 1 // 1980-01-01, the first there is
)

// A zipFile is one file of the archive, as the ZIP structures describe it.
type zipFile struct {
	name         string
	offset       int64 // of its local header
	packed, size uint32
	crc          uint32 // of the unpacked bytes
}

// method is the compression method of the file with that name.
func method(name string) uint16 {
	switch name {
	case readmeName, headerName, protoName, leasesName, manifestName, packedManifestName:
		return methodStore
	}
	return methodZstd
}

func versionNeeded(name string) uint16 {
	if method(name) == methodStore {
		return versionStore
	}
	return versionZstd
}

// end is the offset behind the file.
func (f zipFile) end() int64 {
	return f.offset + localSize + int64(len(f.name)) + int64(f.packed)
}

// far tells whether the offset needs ZIP64.
func (f zipFile) far() bool { return f.offset >= math.MaxUint32 }

// appendLocal appends the local header of f.
func (f zipFile) appendLocal(b []byte) []byte {
	le := binary.LittleEndian
	b = append(b, "PK\x03\x04"...)
	b = f.appendShared(b)
	b = le.AppendUint32(b, f.packed)
	b = le.AppendUint32(b, f.size)
	b = le.AppendUint16(b, uint16(len(f.name)))
	b = le.AppendUint16(b, 0) // extra
	return append(b, f.name...)
}

// appendShared appends what local and central header both begin with.
func (f zipFile) appendShared(b []byte) []byte {
	le := binary.LittleEndian
	b = le.AppendUint16(b, versionNeeded(f.name))
	b = le.AppendUint16(b, 0) // flags
	b = le.AppendUint16(b, method(f.name))
	b = le.AppendUint16(b, 0) // time
	b = le.AppendUint16(b, dosDate)
	return le.AppendUint32(b, f.crc)
}

// appendCentral appends the header of f in the central directory.
func (f zipFile) appendCentral(b []byte) []byte {
	le := binary.LittleEndian
	b = append(b, "PK\x01\x02"...)
	b = le.AppendUint16(b, versionMadeBy)
	b = f.appendShared(b)
	packed, size, offset, extra := f.packed, f.size, uint32(math.MaxUint32), uint16(zip64Extra)
	if f.far() {
		packed, size = math.MaxUint32, math.MaxUint32
	} else {
		offset, extra = uint32(f.offset), 0
	}
	b = le.AppendUint32(b, packed)
	b = le.AppendUint32(b, size)
	b = le.AppendUint16(b, uint16(len(f.name)))
	b = le.AppendUint16(b, extra)
	b = append(b, make([]byte, 6)...) // comment length, disk, internal attributes
	b = le.AppendUint32(b, attributes)
	b = le.AppendUint32(b, offset)
	b = append(b, f.name...)
	if f.far() {
		b = le.AppendUint16(b, 1) // ZIP64 extended information
		b = le.AppendUint16(b, zip64Extra-4)
		b = le.AppendUint64(b, uint64(f.size))
		b = le.AppendUint64(b, uint64(f.packed))
		b = le.AppendUint64(b, uint64(f.offset))
	}
	return b
}

// A zipEnd is what the end records say.
type zipEnd struct{ files, size, offset uint64 } // of the central directory

// large tells whether the end needs ZIP64.
func (e zipEnd) large() bool {
	return e.files >= math.MaxUint16 || e.size >= math.MaxUint32 || e.offset >= math.MaxUint32
}

// appendEnd appends the end records.
func (e zipEnd) appendEnd(b []byte) []byte {
	le := binary.LittleEndian
	files, size, offset := uint16(math.MaxUint16), uint32(math.MaxUint32), uint32(math.MaxUint32)
	if e.large() {
		b = append(b, "PK\x06\x06"...)
		b = le.AppendUint64(b, end64Size-12)
		b = le.AppendUint16(b, versionStore) // made by
		b = le.AppendUint16(b, versionStore) // needed
		b = le.AppendUint64(b, 0)            // two disk numbers
		b = le.AppendUint64(b, e.files)      // on this disk
		b = le.AppendUint64(b, e.files)
		b = le.AppendUint64(b, e.size)
		b = le.AppendUint64(b, e.offset)
		b = append(b, "PK\x06\x07"...)
		b = le.AppendUint32(b, 0) // disk
		b = le.AppendUint64(b, e.offset+e.size)
		b = le.AppendUint32(b, 1) // disks
	} else {
		files, size, offset = uint16(e.files), uint32(e.size), uint32(e.offset)
	}
	b = append(b, "PK\x05\x06"...)
	b = le.AppendUint32(b, 0)     // two disk numbers
	b = le.AppendUint16(b, files) // on this disk
	b = le.AppendUint16(b, files)
	b = le.AppendUint32(b, size)
	b = le.AppendUint32(b, offset)
	return le.AppendUint16(b, 0) // comment
}
