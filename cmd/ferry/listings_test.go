package ferry_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kubeferry/kubeferry/cmd/ferry"
	"github.com/kubeferry/kubeferry/remote"
	"github.com/kubeferry/kubeferry/remote/catalog"
	"github.com/kubeferry/kubeferry/remote/remotetest"
	"github.com/kubeferry/kubeferry/remote/s3"
)

// A lyingBucket is a bucket in memory whose listings have pages of a few names, and lie.
type lyingBucket struct {
	mu      sync.Mutex
	objects map[string][]byte
	page    int
	lie     func(p *listed)
	fired   map[string]int
}

// A listed is a page before it is sent.
type listed struct {
	names     []string
	truncated bool
}

// ServeHTTP implements [http.Handler].
func (l *lyingBucket) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	name := strings.TrimPrefix(r.URL.Path, "/backups/")
	data, found := l.objects[name]
	switch {
	case r.URL.Query().Has("list-type"):
		l.list(w, r.URL.Query().Get("start-after"))
	case r.URL.Query().Has("uploads"):
		_, _ = fmt.Fprint(w, "<ListMultipartUploadsResult></ListMultipartUploadsResult>")
	case r.Method == http.MethodDelete:
		delete(l.objects, name)
		w.WriteHeader(http.StatusNoContent)
	case !found:
		w.WriteHeader(http.StatusNotFound)
	default:
		w.Header().Set("Etag", fmt.Sprintf("%q", fmt.Sprint(len(data))))
		http.ServeContent(w, r, name, noon, bytes.NewReader(data))
	}
}

// list answers with the names behind one, as far as a page goes.
func (l *lyingBucket) list(w http.ResponseWriter, after string) {
	names := slices.DeleteFunc(slices.Sorted(maps.Keys(l.objects)), func(n string) bool { return n <= after })
	p := listed{names: names[:min(l.page, len(names))], truncated: len(names) > l.page}
	l.lie(&p)
	_, _ = fmt.Fprintf(w, "<ListBucketResult><IsTruncated>%t</IsTruncated><NextContinuationToken>t</NextContinuationToken>", p.truncated)
	for _, name := range p.names {
		_, _ = fmt.Fprintf(w, "<Contents><Key>%s</Key><Size>%d</Size><LastModified>%s</LastModified></Contents>", name, len(l.objects[name]), noon.Format(time.RFC3339))
	}
	_, _ = fmt.Fprint(w, "</ListBucketResult>")
}

// lies are what may become of a page.
var lies = map[string]func(r *rand.Rand, p *listed){
	"cut":           func(r *rand.Rand, p *listed) { p.names, p.truncated = p.names[:r.IntN(len(p.names)+1)], false },
	"cut, going on": func(r *rand.Rand, p *listed) { p.names, p.truncated = p.names[:r.IntN(len(p.names)+1)], true },
	"emptied":       func(_ *rand.Rand, p *listed) { p.names = nil },
	"doubled":       func(_ *rand.Rand, p *listed) { p.names = append(slices.Clone(p.names), p.names...) },
	"one doubled": func(r *rand.Rand, p *listed) {
		if n := len(p.names); n > 0 {
			p.names = slices.Insert(slices.Clone(p.names), r.IntN(n), p.names[r.IntN(n)])
		}
	},
	"shuffled": func(r *rand.Rand, p *listed) {
		p.names = slices.Clone(p.names)
		r.Shuffle(len(p.names), func(i, j int) { p.names[i], p.names[j] = p.names[j], p.names[i] })
	},
	"holed": func(r *rand.Rand, p *listed) {
		p.names = slices.DeleteFunc(slices.Clone(p.names), func(string) bool { return r.IntN(4) == 0 })
	},
	"ended": func(_ *rand.Rand, p *listed) { p.truncated = false },
}

// remembered is a memory of the model.
type remembered []string

func (m *remembered) Recall() []string       { return *m }
func (m *remembered) Keep(archives []string) { *m = archives }

// Whatever becomes of the pages of its listings, a prune never removes what it would keep
// if it saw all.
func TestPruneAgainstAModel(t *testing.T) { // P8, S14, RT2
	const runs = 200
	stock := stocked(t, 12)
	whole := map[string][]byte{}
	for _, name := range remotetest.Names(t, stock, "") {
		whole[name], _ = stock.Get(name)
	}
	policy := catalog.Policy{Last: 3, Daily: 2, Monthly: 1}
	now := noon.Add(1000 * time.Hour)
	model, err := catalog.List(t.Context(), stock)
	if err != nil {
		t.Fatal(err)
	}
	groups, err := model.Retain(policy, now)
	if err != nil {
		t.Fatal(err)
	}
	var kept, archives []string
	for _, v := range groups[0].Verdicts {
		archives = append(archives, v.Name)
		if v.Keep {
			kept = append(kept, v.Name)
		}
	}
	l := &lyingBucket{fired: map[string]int{}}
	server := httptest.NewServer(l)
	defer server.Close()
	ended := map[string]int{}
	for run := range runs {
		random := rand.New(rand.NewPCG(18, uint64(run)))
		l.objects, l.page = maps.Clone(whole), 3+random.IntN(30)
		often := 1 + random.IntN(4)
		l.lie = func(p *listed) {
			if random.IntN(4) < often-1 || run%10 == 0 {
				return
			}
			kind := slices.Sorted(maps.Keys(lies))[random.IntN(len(lies))]
			lies[kind](random, p)
			l.fired[kind]++
		}
		store, err := s3.Open(t.Context(), s3.Location{Bucket: "backups"}, s3.Config{
			Endpoint: server.URL, RetryBudget: time.Millisecond,
			Keys: s3.Keys{AccessKey: "a", SecretKey: func() string { return "b" }},
		})
		if err != nil {
			t.Fatal(err)
		}
		p := ferry.Prune{Store: here{store}, Policy: policy, Archives: true, MaxPercent: 100, Incomplete: true, Now: func() time.Time { return now }}
		if run%2 == 0 {
			known := remembered(slices.Clone(archives))
			p.Memory = &known
		}
		_, err = p.Run(t.Context())
		for _, name := range kept {
			for _, object := range []string{name, catalog.ReceiptName(name)} {
				if _, there := l.objects[object]; !there {
					t.Errorf("run %d: %s is removed, which the model keeps; the prune ended with %v", run, object, err)
				}
			}
		}
		ended[ending(err)]++
		if err == nil && run%10 == 0 && len(l.objects) != 2*len(kept) {
			t.Errorf("run %d, without a lie: %d objects are left, want those of %d archives", run, len(l.objects), len(kept))
		}
	}
	t.Logf("lies %v, ends %v", l.fired, ended)
	for kind := range lies {
		if l.fired[kind] == 0 {
			t.Errorf("no page was %s", kind)
		}
	}
	if ended["done"] < 20 || ended["hidden"] == 0 || ended["unavailable"] == 0 {
		t.Errorf("the prunes ended like this: %v", ended)
	}
}

// here is a store whose clock is not looked at: the test's archives are of no real day.
type here struct{ *s3.Store }

// Skew implements what a store may tell.
func (here) Skew() (time.Duration, bool) { return 0, false }

// ending names what a prune ended with.
func ending(err error) string {
	switch {
	case err == nil:
		return "done"
	case errors.Is(err, catalog.ErrHidden):
		return "hidden"
	case errors.Is(err, remote.ErrUnavailable):
		return "unavailable"
	case errors.Is(err, catalog.ErrDoubt):
		return "doubt"
	}
	return err.Error()
}

// What this machine knows of must be there: hidden, nothing is removed; gone, it is told
// and forgotten.
func TestPruneHoldsAListingAgainstWhatItKnows(t *testing.T) { // RT2
	for name, c := range map[string]struct {
		known []string
		hide  string
		want  error
		gone  int
	}{
		"a listing that is whole":       {[]string{archiveName(0), archiveName(3)}, "", nil, 0},
		"an archive that is hidden":     {[]string{archiveName(3)}, archiveName(3), catalog.ErrHidden, 0},
		"a receipt that is hidden":      {[]string{archiveName(3)}, catalog.ReceiptName(archiveName(3)), catalog.ErrHidden, 0},
		"one that somebody has removed": {[]string{archiveName(9)}, "", nil, 1},
		"one that nobody knew of":       {nil, archiveName(3), nil, 0},
	} {
		t.Run(name, func(t *testing.T) {
			store := stocked(t, 4)
			p := prune(store)
			p.Store = leavingOut{store, c.hide}
			known := remembered(c.known)
			p.Memory = &known
			before := remotetest.Names(t, store, "")
			done, err := p.Run(t.Context())
			if !errors.Is(err, c.want) || len(done.Gone) != c.gone {
				t.Fatalf("got %v, gone %v, want %v and %d", err, done.Gone, c.want, c.gone)
			}
			if c.want != nil {
				wantNames(t, store, before...)
				return
			}
			if slices.Contains(known, archiveName(9)) || !slices.Contains(known, archiveName(3)) && c.hide == "" || slices.Contains(known, archiveName(0)) {
				t.Errorf("afterwards it knows of %v", known)
			}
		})
	}
}

// leavingOut is a store whose listings leave a name out.
type leavingOut struct {
	*remotetest.Memory
	name string
}

// List implements remote.Store.
func (h leavingOut) List(ctx context.Context, prefix string) iter.Seq2[remote.Info, error] {
	return func(yield func(remote.Info, error) bool) {
		for info, err := range h.Memory.List(ctx, prefix) {
			if (err != nil || info.Name != h.name) && !yield(info, err) {
				return
			}
		}
	}
}
