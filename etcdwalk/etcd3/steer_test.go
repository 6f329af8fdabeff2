package etcd3

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/kubeferry/kubeferry/etcdwalk"
)

// A ledger answers as a server does, and counts what that costs it.
type ledger struct {
	keys              [][]byte // ascending
	each              int64    // how many keys each of them stands for in counts
	requests, visited int64
	bounded           int64 // requests that ended before the cell
}

// page is the first keys of a range. The server goes over all of them.
func (l *ledger) page(r etcdwalk.Range, limit int64) *page {
	first, _ := slices.BinarySearchFunc(l.keys, r.Start, bytes.Compare)
	behind := len(l.keys)
	if r.End != nil {
		behind, _ = slices.BinarySearchFunc(l.keys, r.End, bytes.Compare)
	}
	p := &page{count: int64(behind-first) * max(1, l.each)}
	p.more = int64(behind-first) > limit
	for _, key := range l.keys[first:min(behind, first+int(limit))] {
		p.entries = append(p.entries, etcdwalk.Entry{Key: key})
	}
	l.requests++
	l.visited += p.count
	return p
}

// read goes over a cell as a scanner does.
func (l *ledger) read(c cell, sample *sample, limit int64) (read [][]byte) {
	course := steer(c, sample)
	for next := c.Start; ; {
		asked := etcdwalk.Range{Start: next, End: course.end(next, limit)}
		if !bytes.Equal(asked.End, c.End) {
			l.bounded++
		}
		p := l.page(asked, limit)
		course.learn(p, asked, limit)
		for _, e := range p.entries {
			read, next = append(read, e.Key), etcdwalk.After(e.Key)
		}
		if !p.more && bytes.Equal(asked.End, c.End) {
			return read
		}
		if !p.more {
			next = asked.End
		}
	}
}

func namesOf(namespaces []string) (names [][]byte) {
	for _, n := range namespaces {
		names = append(names, []byte(n+"/"))
	}
	slices.SortFunc(names, bytes.Compare)
	return names
}

// A server that counts the rest of the range for each page would go over the
// keys hundreds of times.
func TestSteeringCostsAServerLittle(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	hash := func() string { return fmt.Sprintf("%08x-%05x", random.Uint32(), random.Uint32N(1<<20)) }
	var hundred, skewed []string
	for i := range 100 {
		hundred = append(hundred, fmt.Sprintf("team-%03d", i))
		for range max(1, 2000/(i+1)) {
			skewed = append(skewed, hundred[i])
		}
	}
	for _, tt := range []struct {
		name  string
		kind  string
		limit int64
		names []string // those that the selection carries
		key   func(i int) string
	}{
		{"even namespaces", "/registry/pods/", 140, hundred, func(i int) string {
			return hundred[i%100] + "/web-" + hash()
		}},
		{"a few large namespaces", "/registry/pods/", 140, hundred, func(int) string {
			return skewed[random.IntN(len(skewed))] + fmt.Sprintf("/app-%d-", random.IntN(40)) + hash()
		}},
		{"one namespace", "/registry/events/", 1200, []string{"default"}, func(int) string {
			return "default/" + fmt.Sprintf("app-%d-", random.IntN(300)) + hash()
		}},
		{"no namespaces", "/registry/minions/", 300, hundred, func(int) string {
			return fmt.Sprintf("node-%d.zone-%d.example.com", random.IntN(1<<30), random.IntN(3))
		}},
		{"names unknown to the selection", "/registry/secrets/", 200, nil, func(i int) string {
			return hundred[i%100] + "/token-" + hash()
		}},
		{"custom resources of several kinds", "/registry/", 300, hundred, func(i int) string {
			return fmt.Sprintf("group%d.example.com/widgets/%s/%s", i%7, skewed[random.IntN(len(skewed))], hash())
		}},
		{"events under hashes", "/registry/events/", 1200, hundred, func(int) string {
			return skewed[random.IntN(len(skewed))] + "/web." + hash()
		}},
		{"bytes that are in no name", "/registry/", 300, hundred, func(i int) string {
			return string([]byte{0x80, byte(i >> 8), byte(i), byte(random.Uint32())})
		}},
		{"names in upper case", "/registry/ipam/", 300, nil, func(int) string {
			return fmt.Sprintf("BLOCK_%08X", random.Uint32())
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			unique := map[string]bool{}
			for i := range 50_000 {
				unique[tt.kind+tt.key(i)] = true
			}
			l := &ledger{}
			for key := range unique {
				l.keys = append(l.keys, []byte(key))
			}
			slices.SortFunc(l.keys, bytes.Compare)
			whole := cell{Range: etcdwalk.Prefix(tt.kind), keys: int64(len(l.keys))}
			read := l.read(whole, newSample(namesOf(tt.names)), tt.limit)
			if !slices.EqualFunc(read, l.keys, bytes.Equal) {
				t.Fatalf("%d keys came, want %d in order", len(read), len(l.keys))
			}
			pages := whole.keys/tt.limit + 1
			t.Logf("%.2f visits for each key, %d requests for %d pages", float64(l.visited)/float64(whole.keys), l.requests, pages)
			if l.visited > 9*whole.keys || l.requests > 2*pages {
				t.Errorf("%d visits to %d keys, %d requests for %d pages", l.visited, whole.keys, l.requests, pages)
			}
		})
	}
}

// Whatever the keys and the names are, a walk comes to its end and misses none.
// Each key counts as many, so that few of them are crowded.
func TestSteeringMissesNothing(t *testing.T) {
	alphabet := rapid.StringOfN(rapid.RuneFrom([]rune{'a', 'b', '/', '-', '0', 0x7f}), 0, 6, -1)
	var bounded int64
	rapid.Check(t, func(t *rapid.T) {
		l := &ledger{each: some}
		for _, key := range rapid.SliceOfNDistinct(alphabet, 0, 60, rapid.ID[string]).Draw(t, "keys") {
			l.keys = append(l.keys, []byte("/"+key))
		}
		slices.SortFunc(l.keys, bytes.Compare)
		names := namesOf(rapid.SliceOfNDistinct(alphabet, 0, 20, rapid.ID[string]).Draw(t, "names"))
		c := cell{Range: etcdwalk.Range{Start: []byte("/")}, keys: int64(len(l.keys)) * some}
		if rapid.Bool().Draw(t, "bounded") {
			c.End = []byte("0")
		}
		read := l.read(c, newSample(names), rapid.Int64Range(1, 8).Draw(t, "limit"))
		if !slices.EqualFunc(read, l.keys, bytes.Equal) {
			t.Fatalf("got %q, want %q", read, l.keys)
		}
		bounded += l.bounded
	})
	if bounded < 100 {
		t.Errorf("only %d requests ended before their cell: nothing was steered", bounded)
	}
}

// With few keys to a page, as where values are large, an empty page must widen
// the next request.
func TestSteeringLeavesEmptyPlacesQuickly(t *testing.T) {
	for limit := range int64(4) {
		limit++
		l := &ledger{}
		for i := range 3000 {
			l.keys = append(l.keys, fmt.Appendf(nil, "/registry/secrets/apps/sh.helm.release.v1.service-%03d.v%d", i/10*3, i%10))
		}
		c := cell{Range: etcdwalk.Prefix("/registry/secrets/"), keys: 3000}
		if read := l.read(c, newSample(namesOf([]string{"apps"})), limit); !slices.EqualFunc(read, l.keys, bytes.Equal) {
			t.Fatalf("limit %d: %d keys came, want %d in order", limit, len(read), len(l.keys))
		}
		if pages := 3000 / limit; l.requests > 6*pages+1000 {
			t.Errorf("limit %d: %d requests for %d pages", limit, l.requests, pages)
		}
	}
}

// drawn goes over a small folder, pods in four namespaces, and tells of each request in
// the words of the drawing in steer.go.
func drawn() []string {
	l := &ledger{}
	for _, ns := range []struct {
		name string
		pods int
	}{{"a", 40}, {"b", 200}, {"c", 40}, {"d", 120}} {
		for i := range ns.pods {
			l.keys = append(l.keys, fmt.Appendf(nil, "pods/%s/%03d", ns.name, i))
		}
	}
	c := cell{etcdwalk.Prefix("pods/"), int64(len(l.keys))}
	course := steer(c, newSample(namesOf([]string{"a", "b", "c", "d"})))
	var lines []string
	for next, end := c.Start, []byte(nil); !bytes.Equal(end, c.End); {
		const limit = 50
		end = course.end(next, limit)
		asked := etcdwalk.Range{Start: next, End: end}
		p := l.page(asked, limit)
		course.learn(p, asked, limit)
		short := func(key []byte) []byte {
			return bytes.TrimRight(key, "\x00")[:min(12, len(bytes.TrimRight(key, "\x00")))]
		}
		lines = append(lines, fmt.Sprintf("%-12s %-12s %3d of %3d", short(next), short(end), len(p.entries), p.count))
		if p.more {
			next, end = etcdwalk.After(p.entries[len(p.entries)-1].Key), nil
		} else {
			next = asked.End
		}
	}
	return lines
}

// The drawing in the comment of steering is what happens.
func TestTheDrawingIsTrue(t *testing.T) {
	source, err := os.ReadFile("steer.go")
	if err != nil {
		t.Fatal(err)
	}
	var drawing []string
	for line := range strings.Lines(string(source)) {
		if row, found := strings.CutPrefix(line, "//\tpods/"); found {
			drawing = append(drawing, strings.TrimSpace("pods/" + row)[:36])
		}
	}
	if diff := cmp.Diff(drawn(), drawing); diff != "" {
		t.Errorf("the drawing (-what happens +steer.go):\n%s", diff)
	}
	var l ledger
	for _, row := range drawing {
		var got, of int64
		if _, err := fmt.Sscanf(row[26:], "%d of %d", &got, &of); err != nil {
			t.Fatal(err)
		}
		l.visited += of
	}
	if l.visited != 950 {
		t.Errorf("the server goes over %d keys", l.visited)
	}
}
