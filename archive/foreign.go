package archive

import (
	"bytes"
	"errors"
	"io"
	"strings"
)

// explain improves on err, for which a file could not be read as an archive:
// it may be a newer archive, or something else altogether.
func explain(r io.ReaderAt, size int64, err error) error {
	if !errors.Is(err, ErrDamaged) {
		return err
	}
	_, next, frontErr := readFront(r, size, 0, readmeName)
	if frontErr == nil {
		if text, _, headerErr := readFront(r, size, next, headerName); headerErr == nil {
			if newer := announced(text); newer != nil {
				return newer
			}
		}
		return err
	}
	start := make([]byte, min(size, 1024))
	if readErr := readAt(r, start, 0); readErr != nil {
		return readErr
	}
	if what := foreign(start); what != "" {
		detail := strings.TrimPrefix(err.Error(), ErrDamaged.Error()+": ")
		return damaged("this is %s, not an archive of kubeferry (%s)", what, detail)
	}
	return err
}

// foreign names what a file is that begins with start, which are its first
// 1024 bytes or all of it. It is empty for what may be an archive of ours.
func foreign(start []byte) string {
	for _, kind := range foreignKinds {
		if len(start) >= kind.at && bytes.HasPrefix(start[kind.at:], []byte(kind.magic)) {
			return kind.name
		}
	}
	text := bytes.ToLower(bytes.TrimLeft(start, " \t\r\n"))
	switch {
	case len(start) == 0:
		return "an empty file"
	case bytes.HasPrefix(text, []byte("<!doctype html")), bytes.HasPrefix(text, []byte("<html")):
		return "an HTML page"
	case bytes.HasPrefix(text, []byte("<?xml")):
		return "an XML document"
	case bytes.HasPrefix(text, []byte("{")) && bytes.Contains(text, []byte(`"kdf"`)):
		return "a key file of a restic repository"
	case bytes.HasPrefix(text, []byte("{")):
		return "a JSON document"
	case bytes.HasPrefix(start, []byte("PK\x03\x04")):
		return foreignZIP(start)
	case bytes.HasPrefix([]byte("PK\x03\x04"), start):
		return ""
	}
	return "a file of an unknown kind"
}

func foreignZIP(start []byte) string {
	if len(start) < localSize+len(readmeName) || string(start[localSize:localSize+len(readmeName)]) == readmeName {
		return ""
	}
	return "some other ZIP file"
}

// foreignKinds are known by the bytes that they have at an offset. An etcd
// database is a bbolt file, whose first page holds a magic number at 16.
var foreignKinds = []struct {
	at    int
	magic string
	name  string
}{
	{0, "age-encryption.org/", "an encrypted file (age) that was not decrypted"},
	{0, "-----BEGIN AGE ENCRYPTED FILE-----", "an encrypted file (age, armored) that was not decrypted"},
	{16, "\xed\xda\x0c\xed", "an etcd database file, such as etcdctl snapshot save makes"},
	{257, "ustar", "a tar file"},
	{0, "\x1f\x8b", "a gzip file"},
	{0, "\x28\xb5\x2f\xfd", "a zstd file"},
	{0, "\xfd7zXZ\x00", "an xz file"},
	{0, "PK\x05\x06", "an empty ZIP file"},
	{0, "7z\xbc\xaf\x27\x1c", "a 7-Zip file"},
}
