package archive

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/klauspost/compress/zstd"
	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/protobuf/proto"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/walktest"
)

// The archive is for everybody: what follows reads it without our Reader.

func readWithLibrary(t *testing.T, data []byte) map[string][]byte {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	z.RegisterDecompressor(zstd.ZipMethodWinZip, zstd.ZipDecompressor())
	files := make(map[string][]byte)
	for _, f := range z.File {
		in, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		if files[f.Name], err = io.ReadAll(in); err != nil {
			t.Fatalf("%s: %v", f.Name, err)
		}
		if perm := f.Mode(); perm != 0o600 {
			t.Errorf("%s would be unpacked with mode %v, want -rw-------", f.Name, perm)
		}
	}
	return files
}

func TestOthersCanReadAnArchive(t *testing.T) {
	want := walktest.Corpus()
	files := readWithLibrary(t, build(t, want...))
	var manifest Manifest
	text, err := unzstd(files[packedManifestName])
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &manifest); err != nil {
		t.Fatal(err)
	}
	var got []etcdwalk.Entry
	for _, s := range manifest.Segments {
		var answer etcdserverpb.RangeResponse
		if err := proto.Unmarshal(files[s.Name], &answer); err != nil {
			t.Fatalf("%s: %v", s.Name, err)
		}
		if answer.Header != nil || answer.More || answer.Count != 0 {
			t.Errorf("%s holds more than kvs", s.Name)
		}
		for _, kv := range answer.Kvs {
			got = append(got, etcdwalk.Entry{Key: kv.Key, Value: kv.Value, CreateRevision: kv.CreateRevision,
				ModRevision: kv.ModRevision, Version: kv.Version, Lease: kv.Lease})
		}
	}
	if diff := walktest.Diff(got, want); diff != "" {
		t.Errorf("etcd's own types read something else:\n%s", diff)
	}
}

func TestToolsCanOpenAnArchive(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.zip")
	if err := os.WriteFile(path, build(t, walktest.Corpus()...), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tool := range [][]string{
		{"unzip", "-p", path, headerName},
		{"python3", "-c", "import sys, zipfile; z = zipfile.ZipFile(sys.argv[1]); print(len(z.namelist()), z.read('header.json').decode())", path},
		{"bsdtar", "-xOf", path},
		{"7zz", "t", path},
	} {
		t.Run(tool[0], func(t *testing.T) {
			if _, err := exec.LookPath(tool[0]); err != nil {
				t.Skip(tool[0] + " is not installed")
			}
			out, err := exec.Command(tool[0], tool[1:]...).CombinedOutput()
			if err != nil || (tool[0] != "7zz" && !bytes.Contains(out, []byte("00112233445566778899aabbccddeeff"))) {
				t.Errorf("%v: %v\n%.500s", tool, err, out)
			}
		})
	}
}
