package cmd

import (
	"archive/zip"
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"hash/crc32"
	"os"
	"path/filepath"
	"strings"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/kubeferry/kubeferry/scripts/servers/etcdproc"
)

// A ward is an archive of several segments, a folder for what is made of it,
// and a target that must not change.
type ward struct {
	keys            pair
	server          *etcdproc.Server
	client          *clientv3.Client
	archive, folder string
	whole           []byte
	before          int64
}

func newWard(t *testing.T) *ward {
	t.Helper()
	w := &ward{keys: newPair(t), server: etcdproc.Start(t, etcdproc.Options{}), folder: t.TempDir()}
	w.client = w.server.Client(t)
	fill(t, w.client, 1500, func(i int) (string, string) { return configMap(i, 2000) })
	w.archive = w.keys.backUp(t, w.server.Endpoint, t.TempDir())
	if n := len(w.keys.open(t, w.archive).Manifest().Segments); n < 3 {
		t.Fatalf("the archive has %d segments, want 3 at least", n)
	}
	w.whole = readFile(t, w.archive)
	// One key is missing: a restore that went through would show.
	key, _ := configMap(7, 0)
	if _, err := w.client.Delete(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	w.before = revision(t, w.client)
	return w
}

// file makes a file of the folder.
func (w *ward) file(t *testing.T, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(w.folder, name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// refuses fails the test unless each command that reads an archive ends with
// the code, says the words, and leaves the target alone.
func (w *ward) refuses(t *testing.T, path string, code exitCode, words ...string) {
	t.Helper()
	must(t, code, "verify", path, "-i", w.keys.identity).says(t, words...)
	must(t, code, "restore", "--from", path, "-i", w.keys.identity, "--endpoints", w.server.Endpoint, "--yes").says(t, words...)
	if now := revision(t, w.client); now != w.before {
		t.Errorf("%s: the target went from revision %d to %d", path, w.before, now)
	}
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestDamagedAndForeignFilesAreNamedAndRefused(t *testing.T) {
	t.Parallel()
	w := newWard(t)
	flipped := func(at int) []byte {
		data := bytes.Clone(w.whole)
		data[at] ^= 4
		return data
	}
	if segments := w.keys.open(t, w.archive).Manifest().Segments; segments[len(segments)-1].CompressedSize < 60_000 {
		t.Fatalf("the last segment is too small to be hit: %+v", segments[len(segments)-1])
	}
	noise := make([]byte, 40_000)
	_, _ = rand.Read(noise)
	database := readFile(t, unpack(t, fixtures+".db.zst"))
	for name, test := range map[string]struct {
		data  []byte
		words string
	}{
		"flipped in the middle":               {flipped(len(w.whole) / 2), "damaged"},
		"flipped in the last segment":         {flipped(len(w.whole) - 40_000), "damaged"},
		"flipped in the last byte":            {flipped(len(w.whole) - 1), "damaged"},
		"cut in the middle":                   {w.whole[:len(w.whole)/2], "damaged"},
		"cut by a byte":                       {w.whole[:len(w.whole)-1], "damaged"},
		"cut at the end of a chunk":           {w.whole[:len(w.whole)-len(w.whole)%(64<<10)], "damaged"},
		"with a newline at the end":           {append(bytes.Clone(w.whole), '\n'), "damaged"},
		"joined with itself":                  {append(bytes.Clone(w.whole), w.whole...), "damaged"},
		"with line ends of another system":    {bytes.ReplaceAll(w.whole, []byte("\n"), []byte("\r\n")), "damaged"},
		"empty":                               {nil, "an empty file"},
		"an etcd database":                    {database, "an etcd database file"},
		"a page of a proxy":                   {[]byte("<!DOCTYPE html>\n<html><body>Bad gateway</body></html>\n"), "an HTML page"},
		"another ZIP file":                    {otherZIP(t), "some other ZIP file"},
		"a tar file":                          {tarFile(), "a tar file"},
		"noise":                               {noise, "a file of an unknown kind"},
		"the identity instead of the archive": {readFile(t, w.keys.identity), "a file of an unknown kind"},
		"the receipt instead of the archive":  {readFile(t, w.archive+".receipt.json"), "a JSON document"},
	} {
		t.Run(name, func(t *testing.T) {
			path := w.file(t, strings.ReplaceAll(name, " ", "-")+".zip.age", test.data)
			w.refuses(t, path, exitIntegrity, test.words)
		})
	}
	if r := must(t, exitDone, "restore", "--from", w.archive, "-i", w.keys.identity, "--endpoints", w.server.Endpoint, "--allow=closure", "--yes"); !strings.Contains(r.stdout, "1 created") {
		t.Errorf("the archive as it was: %+v", r)
	}
}

func otherZIP(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	f, err := w.Create("holiday.jpg")
	if err == nil {
		_, err = f.Write([]byte("sun"))
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func tarFile() []byte {
	data := make([]byte, 10_240)
	copy(data, "etcd-backup/")
	copy(data[257:], "ustar\x0000")
	return data
}

func TestSubstitutedArchivesAreRefused(t *testing.T) {
	t.Parallel()
	w := newWard(t)
	other := w.keys.backUp(t, w.server.Endpoint, t.TempDir())
	plain := strings.TrimSpace(must(t, exitDone, "backup", "--endpoints", w.server.Endpoint, "--to", t.TempDir(), "--no-encrypt").stdout)
	receipt := func(of, as string) []byte {
		return bytes.ReplaceAll(readFile(t, of+".receipt.json"), []byte(filepath.Base(of)), []byte(as))
	}
	t.Run("a receipt under another name", func(t *testing.T) {
		path := w.file(t, "a.zip.age", w.whole)
		w.file(t, "a.zip.age.receipt.json", readFile(t, w.archive+".receipt.json"))
		w.refuses(t, path, exitPolicy, "receipt")
	})
	t.Run("another archive's receipt", func(t *testing.T) {
		path := w.file(t, "b.zip.age", w.whole)
		w.file(t, "b.zip.age.receipt.json", receipt(other, "b.zip.age"))
		w.refuses(t, path, exitPolicy, "its receipt says id")
	})
	t.Run("an archive of the same id, encrypted again", func(t *testing.T) {
		path := w.file(t, "c.zip.age", w.whole)
		forged := receipt(w.archive, "c.zip.age")
		at := bytes.Index(forged, []byte(`"sha256": "`)) + len(`"sha256": "`)
		copy(forged[at:], strings.Repeat("0", 64))
		w.file(t, "c.zip.age.receipt.json", forged)
		w.refuses(t, path, exitPolicy, "SHA-256")
	})
	t.Run("a receipt that is none", func(t *testing.T) {
		path := w.file(t, "d.zip.age", w.whole)
		w.file(t, "d.zip.age.receipt.json", []byte("{}"))
		w.refuses(t, path, exitPolicy, "no usable receipt")
	})
	t.Run("in the clear where a key is given", func(t *testing.T) {
		w.refuses(t, w.file(t, "e.zip", readFile(t, plain)), exitPolicy, "is unencrypted")
	})
	t.Run("in the clear under the name of an encrypted one", func(t *testing.T) {
		path := w.file(t, "f.zip.age", readFile(t, plain))
		w.refuses(t, path, exitPolicy, "is unencrypted")
		must(t, exitPolicy, "verify", path).says(t, "is unencrypted")
		must(t, exitDone, "verify", path, "--accept-unencrypted")
	})
	t.Run("of a later format", func(t *testing.T) {
		path := w.file(t, "g.zip", laterFormat(t, readFile(t, plain)))
		w.refuses(t, path, exitIntegrity, "needs a newer kubeferry", "format 9.", "knows format 1.")
	})
	t.Run("without a receipt it is taken, and that is told", func(t *testing.T) {
		path := w.file(t, "h.zip.age", w.whole)
		must(t, exitDone, "verify", path, "-i", w.keys.identity).says(t, "there is no receipt beside")
		must(t, exitDone, "restore", "--from", path, "-i", w.keys.identity, "--endpoints", w.server.Endpoint, "--allow=closure", "--yes", "-v").
			says(t, "has no receipt", "1 created")
	})
}

// laterFormat makes an archive in the clear one of format 9, as a later
// version might write it.
func laterFormat(t *testing.T, data []byte) []byte {
	t.Helper()
	r, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range r.File {
		if f.Name != "header.json" {
			continue
		}
		offset, err := f.DataOffset()
		if err != nil {
			t.Fatal(err)
		}
		header := data[offset : offset+int64(f.UncompressedSize64)]
		at := bytes.Index(header, []byte(`"major": 1`))
		if at < 0 {
			t.Fatalf("no version in the header: %s", header)
		}
		header[at+len(`"major": `)] = '9'
		sums := [2][4]byte{}
		binary.LittleEndian.PutUint32(sums[0][:], f.CRC32)
		binary.LittleEndian.PutUint32(sums[1][:], crc32.ChecksumIEEE(header))
		return bytes.ReplaceAll(data, sums[0][:], sums[1][:])
	}
	t.Fatal("the archive has no header.json")
	return nil
}
