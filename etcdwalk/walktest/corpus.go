package walktest

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/kubeferry/kubeferry/etcdwalk"
)

// Corpus is a keyspace of a few hundred keys and about 2 MiB: plain objects of
// several kinds, a leased event, and every odd key and value that etcd takes.
func Corpus() []etcdwalk.Entry {
	entries := []etcdwalk.Entry{
		entry("\x00", "the lowest key"),
		entry("a key of words", "with a value of words"),
		entry("/registry/configmaps/", "a key that equals the start of its kind's range"),
		entry("/registry/configmaps\xff", "a key just behind it"),
		entry("/registry/odd/\xff\xfe\x80", "not UTF-8"),
		entry("/registry/odd/a\x00b", "a NUL"),
		entry("/registry/odd/a", "a key that begins another"),
		entry("/registry/odd/a\x00", "the very next key"),
		entry("/registry/odd/line\nbreak", "a newline"),
		entry("/registry/odd/../../up", "dots"),
		entry("/registry/odd/"+strings.Repeat("long/", 2048), "10 KiB of key"),
		entry("/registry/odd/empty", ""),
		entry("/registry/odd/binary", "\x00\x01\xfe\xff k8s\x00"),
		entry("/registry/odd/big", strings.Repeat("0123456789abcdef", 1<<16)), // 1 MiB
		entry("/registry/machines/shop/web", "machine"),
		entry("/registry/machinesets/shop/web", "machine set"),
		entry("\xff\xff", "a key whose prefix has no end"),
	}
	leased := entry("/registry/events/shop/web.17", "an event")
	leased.Lease = 0x1ea5e
	entries = append(entries, leased)
	for i := range 300 {
		kind := [...]string{"configmaps", "pods", "secrets"}[i%3]
		entries = append(entries, entry(fmt.Sprintf("/registry/%s/ns-%d/name-%03d", kind, i%7, i), strings.Repeat(kind, i)))
	}
	for i := range entries {
		entries[i].CreateRevision, entries[i].ModRevision, entries[i].Version = int64(i+2), int64(2*i+2), int64(i%4+1)
	}
	return Sorted(entries)
}

func entry(key, value string) etcdwalk.Entry {
	return etcdwalk.Entry{Key: []byte(key), Value: []byte(value)}
}

// Diff tells how two keyspaces differ in keys, in values and in what is under
// a lease; empty: not at all. Both must be sorted by key. Revisions and the
// ids of leases do not count, since each store has its own.
func Diff(got, want []etcdwalk.Entry) string {
	var out strings.Builder
	for lines := 0; len(got)+len(want) > 0; {
		if lines == 10 {
			out.WriteString("…\n")
			break
		}
		order := 0
		switch {
		case len(got) == 0:
			order = 1
		case len(want) == 0:
			order = -1
		default:
			order = bytes.Compare(got[0].Key, want[0].Key)
		}
		before := out.Len()
		switch {
		case order < 0:
			fmt.Fprintf(&out, "key %.80q is too many\n", got[0].Key)
			got = got[1:]
		case order > 0:
			fmt.Fprintf(&out, "key %.80q is missing\n", want[0].Key)
			want = want[1:]
		default:
			diffEntry(&out, got[0], want[0])
			got, want = got[1:], want[1:]
		}
		if out.Len() > before {
			lines++
		}
	}
	return out.String()
}

func diffEntry(out *strings.Builder, got, want etcdwalk.Entry) {
	if !bytes.Equal(got.Value, want.Value) {
		fmt.Fprintf(out, "key %.80q: value %.80q (%d bytes), want %.80q (%d bytes)\n",
			got.Key, got.Value, len(got.Value), want.Value, len(want.Value))
	}
	if (got.Lease != 0) != (want.Lease != 0) {
		fmt.Fprintf(out, "key %.80q: lease %x, want %x\n", got.Key, got.Lease, want.Lease)
	}
}
