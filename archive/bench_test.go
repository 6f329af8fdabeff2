package archive

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/walktest"
)

// benchEntries are 40 MB of ConfigMaps of about 4 KiB and Events of about
// 600 bytes with leases, half of the keys each. About a tenth of each value is
// its own, as in a cluster.
func benchEntries() (entries []etcdwalk.Entry, size int64) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, kind := range []struct {
		name  string
		lines int
	}{{"configmaps", 50}, {"events", 7}} {
		for i := range 9000 {
			key := fmt.Appendf(nil, "/registry/%s/ns-%02d/name-%05d", kind.name, i/400, i)
			value := fmt.Appendf(nil, `{"kind":"%s","metadata":{"name":"name-%05d","uid":"%016x"}`, kind.name, i, random.Uint64())
			for line := range kind.lines {
				value = fmt.Appendf(value, `,"spec.template.metadata.annotations/field-%03d":{"fieldsType":"v1","f:value":"%08x"}`, line, random.Uint32())
			}
			n := int64(len(entries) + 1)
			e := etcdwalk.Entry{Key: key, Value: value, CreateRevision: n, ModRevision: 2 * n, Version: 1}
			if kind.name == "events" {
				e.Lease = 1<<60 + n/100
			}
			entries, size = append(entries, e), size+e.Size()
		}
	}
	return entries, size
}

// withRecords are the entries as they come from the wire: a record, and key and
// value inside of it.
func withRecords(tb testing.TB, entries []etcdwalk.Entry) []etcdwalk.Entry {
	tb.Helper()
	parsed := make([]etcdwalk.Entry, len(entries))
	for i, e := range entries {
		var err error
		if parsed[i], err = etcdwalk.ParseRecord(etcdwalk.AppendRecord(nil, e)); err != nil {
			tb.Fatal(err)
		}
	}
	return parsed
}

// benchClass is what a key of benchEntries belongs to.
func benchClass(key []byte) etcdwalk.Class {
	kind, namespace, prefix := "configmaps", key[21:26], "/registry/configmaps/"
	if key[10] == 'e' {
		kind, namespace, prefix = "events", key[17:22], "/registry/events/"
	}
	return etcdwalk.Class{Kind: kind, Namespace: string(namespace), Range: etcdwalk.Prefix(prefix)}
}

func writeBench(b *testing.B, w io.Writer, entries []etcdwalk.Entry) {
	b.Helper()
	out, err := NewWriter(w, Header{Cluster: "bench", Sources: []etcdwalk.Info{{API: etcdwalk.V3}}, Created: time.Unix(1, 0)}, benchClass)
	if err != nil {
		b.Fatal(err)
	}
	for _, e := range entries {
		if err := out.Put(context.Background(), e); err != nil {
			b.Fatal(err)
		}
	}
	if _, err := out.Close(testEnding(out)); err != nil {
		b.Fatal(err)
	}
}

func BenchmarkWrite(b *testing.B) {
	entries, size := benchEntries()
	for _, bench := range []struct {
		name    string
		entries []etcdwalk.Entry
	}{{"entries", entries}, {"records", withRecords(b, entries)}} {
		b.Run(bench.name, func(b *testing.B) {
			b.SetBytes(size)
			b.ReportAllocs()
			for b.Loop() {
				writeBench(b, io.Discard, bench.entries)
			}
		})
	}
}

// openBench is an archive of benchEntries, in memory.
func openBench(b *testing.B) (r *Reader, keys int64) {
	b.Helper()
	entries, size := benchEntries()
	var file bytes.Buffer
	writeBench(b, &file, entries)
	b.SetBytes(size)
	b.ReportAllocs()
	return mustOpen(b, file.Bytes()), int64(len(entries))
}

func BenchmarkVerify(b *testing.B) {
	r, keys := openBench(b)
	for b.Loop() {
		if stats, err := r.Verify(context.Background(), nil, nil); err != nil || stats.Keys != keys {
			b.Fatalf("got %d keys, %v", stats.Keys, err)
		}
	}
}

func BenchmarkWalk(b *testing.B) {
	r, keys := openBench(b)
	for b.Loop() {
		var n int64
		for _, err := range r.Walk(context.Background(), walktest.Everything()) {
			if err != nil {
				b.Fatal(err)
			}
			n++
		}
		if n != keys {
			b.Fatalf("walked over %d keys, want %d", n, keys)
		}
	}
}
