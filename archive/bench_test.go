package archive

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/kubeferry/kubeferry/etcdwalk"
)

// benchEntries are as many ConfigMaps of about 4 KiB as make a few segments;
// what is in them repeats as much as it does in a cluster.
func benchEntries() (entries []etcdwalk.Entry, size int64) {
	for i := range 4000 {
		key := fmt.Sprintf("/registry/configmaps/ns-%02d/name-%05d", i/400, i)
		value := fmt.Sprintf(`{"kind":"ConfigMap","metadata":{"name":"name-%05d","uid":"%08x"},"data":{"settings":"%s"}}`,
			i, i*2654435761, bytes.Repeat(fmt.Appendf(nil, "key-%d=value-%d;", i%7, i*31%997), 200))
		e := etcdwalk.Entry{Key: []byte(key), Value: []byte(value), CreateRevision: int64(i + 1), ModRevision: int64(i + 1), Version: 1}
		entries, size = append(entries, e), size+e.Size()
	}
	return entries, size
}

func writeBench(b *testing.B, w io.Writer, entries []etcdwalk.Entry) {
	b.Helper()
	out, err := NewWriter(w, Header{Cluster: "bench", Sources: []etcdwalk.Info{{API: etcdwalk.V3}}, Created: time.Unix(1, 0)}, nil)
	if err != nil {
		b.Fatal(err)
	}
	for _, e := range entries {
		if err := out.Put(context.Background(), e); err != nil {
			b.Fatal(err)
		}
	}
	if _, err := out.Close(Ending{}); err != nil {
		b.Fatal(err)
	}
}

func BenchmarkWrite(b *testing.B) {
	entries, size := benchEntries()
	b.SetBytes(size)
	b.ReportAllocs()
	for b.Loop() {
		writeBench(b, io.Discard, entries)
	}
}

func BenchmarkVerify(b *testing.B) {
	entries, size := benchEntries()
	var file bytes.Buffer
	writeBench(b, &file, entries)
	b.SetBytes(size)
	b.ReportAllocs()
	for b.Loop() {
		r, err := Open(bytes.NewReader(file.Bytes()), int64(file.Len()))
		if err != nil {
			b.Fatal(err)
		}
		if stats, err := r.Verify(context.Background(), nil, nil); err != nil || stats.Keys != int64(len(entries)) {
			b.Fatalf("got %d keys, %v", stats.Keys, err)
		}
	}
}
