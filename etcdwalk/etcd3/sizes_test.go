package etcd3_test

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/connect"
	"github.com/kubeferry/kubeferry/etcdwalk/walktest"
	"github.com/kubeferry/kubeferry/scripts/servers/etcdproc"
)

// TestLargeValues: E11, WK5.
func TestLargeValues(t *testing.T) {
	small := generate(12000, 200)
	var large []etcdwalk.Entry
	for _, e := range generate(60, 1<<20) {
		e.Key = append([]byte("/registry/secrets/"), e.Key...)
		large = append(large, e)
	}
	huge := etcdwalk.Entry{Key: []byte("/registry/zones/huge"), Value: make([]byte, 20<<20)}
	entries := append(append(small, large...), huge)
	for version, says := range map[string]string{
		etcdproc.V36: "asking for fewer keys",
		etcdproc.V37: "message larger than max",
	} {
		t.Run("small keys, then large ones, then a huge one, on "+version, func(t *testing.T) {
			server, _ := served(t, version, entries, "--max-request-bytes=25000000")
			var journal journal
			v := pin(t, connect.Config{Endpoints: []string{server.Endpoint}, Log: journal.log()})
			var (
				peak   uint64
				memory runtime.MemStats
				n      int
			)
			for e, err := range v.Walk(t.Context(), walktest.Everything()) {
				if err != nil {
					t.Fatal(err)
				}
				if want := entries[n]; string(e.Key) != string(want.Key) || string(e.Value) != string(want.Value) {
					t.Fatalf("key %d is %q, want %q", n, e.Key, want.Key)
				}
				if n++; e.Size() > 1<<19 {
					runtime.ReadMemStats(&memory)
					peak = max(peak, memory.HeapInuse)
				}
			}
			if n != len(entries) {
				t.Errorf("%d keys, want %d", n, len(entries))
			}
			journal.want(t, says)
			journal.want(t, "raising the receive limit")
			if own := uint64(len(large)<<20 + len(huge.Value)); peak > own+256<<20 {
				t.Errorf("the heap grew to %d MiB", peak>>20)
			}
		})
	}
}

// TestLong are the faults that take their time.
func TestLong(t *testing.T) {
	if os.Getenv("KUBEFERRY_LONG") == "" {
		t.Skip("long: run make test-long")
	}
	t.Run("a connection that falls silent is given up by its keepalive", func(t *testing.T) { // E21
		server, client := served(t, etcdproc.V37, generate(5000, 2000))
		p := newPipe(t, server.Endpoint)
		p.stall = true
		p.after.Store(3 << 20)
		v := pin(t, connect.Config{Endpoints: []string{p.endpoint}, CommandTimeout: 2 * time.Second})
		within(t, 30*time.Second, func() { wantWhole(t, v, client, nil) })
		if p.fired.Load() != 1 {
			t.Errorf("%d connections stalled, want 1", p.fired.Load())
		}
	})
	t.Run("1,000 values of 1.5 MiB", func(t *testing.T) { // E11
		for _, version := range both {
			server, client := served(t, version, nil, "--quota-backend-bytes=8000000000", "--max-request-bytes=16000000")
			value := strings.Repeat("0123456789abcdef", 3<<15)
			for i := range 1000 {
				if _, err := client.Put(t.Context(), fmt.Sprintf("/registry/configmaps/%04d", i), value); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := client.Put(t.Context(), "/registry/configmaps/huge", strings.Repeat("x", 10<<20)); err != nil {
				t.Fatal(err)
			}
			v := pin(t, connect.Config{Endpoints: []string{server.Endpoint}})
			var (
				peak   uint64
				memory runtime.MemStats
				n      int
			)
			for _, err := range v.Walk(t.Context(), walktest.Everything()) {
				if err != nil {
					t.Fatal(err)
				}
				n++
				runtime.ReadMemStats(&memory)
				peak = max(peak, memory.HeapInuse)
			}
			if n != 1001 || peak > 256<<20 {
				t.Errorf("%s: %d keys, heap %d MiB; want 1001 and at most 256", version, n, peak>>20)
			}
		}
	})
}
