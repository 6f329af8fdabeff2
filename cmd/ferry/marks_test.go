package ferry_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
	"github.com/kubeferry/kubeferry/etcdwalk/kube/kubetest"
	values "github.com/kubeferry/kubeferry/etcdwalk/kube/object"
	"github.com/kubeferry/kubeferry/etcdwalk/replay"
)

// meddler is a Target before which another client writes a key: what it says of each time.
type meddler struct {
	etcdwalk.Target
	key    string
	meddle func(n int)
	n      int
}

func (m *meddler) Apply(ctx context.Context, writes []etcdwalk.Write) []etcdwalk.Result {
	if slices.ContainsFunc(writes, func(w etcdwalk.Write) bool { return string(w.Key) == m.key && w.Seen < 1<<62 }) {
		m.n++
		m.meddle(m.n)
	}
	return m.Target.Apply(ctx, writes)
}

// TestPortsAreMarkedBesideOtherWriters: what an API server gives away meanwhile is not lost;
// one that never lets us is left to find the ports out, and that is told.
func TestPortsAreMarkedBesideOtherWriters(t *testing.T) {
	ours := []int{30_100, 30_101, 32_767}
	for _, times := range []int{0, 1, 4, 1000} {
		h := shop(t, bitmap(t, allPorts))
		h.del("/registry/services/specs/shop/web")
		theirs := []int{}
		m := &meddler{Target: h.Target(), key: bitmapKey}
		m.meddle = func(n int) {
			if n <= times {
				theirs = append(theirs, 31_000+n)
				put(t, h.client, bitmapKey, bitmap(t, allPorts, theirs...))
			}
		}
		r := h.restore(kube.Filter{Include: []string{"svc/web"}, Namespaces: []string{"shop"}})
		r.Target = m
		planned, _ := mustRestore(t, r)
		want, tries := slices.Concat(theirs, ours), times+1
		if times >= 5 {
			want, tries = theirs, 5
			if u := planned.Unmarked; len(u) != 1 || !slices.Equal(u[0].Ports, ours) || u[0].Key != bitmapKey || !strings.Contains(u[0].Err.Error(), "others kept writing it") {
				t.Errorf("unmarked: %+v", u)
			}
		} else if len(planned.Unmarked) > 0 {
			t.Errorf("%d other writes: unmarked: %+v", times, planned.Unmarked)
		}
		if h.get(bitmapKey) != bitmap(t, allPorts, want...) || m.n != tries {
			t.Errorf("%d other writes: %d tries, ports %v are not what is marked", times, m.n, want)
		}
	}
}

// TestPortsOfAnInterruptedRestoreAreMarked: its Services are there.
func TestPortsOfAnInterruptedRestoreAreMarked(t *testing.T) {
	h := shop(t, bitmap(t, allPorts))
	const address = "/registry/ipaddresses/10.0.0.7"
	h.del("/registry/services/specs/shop/web", address)
	ctx, cancel := context.WithCancel(t.Context())
	r := h.restore(kube.Filter{Include: []string{"svc/web"}, Namespaces: []string{"shop"}})
	r.Report = func(line replay.Line) error {
		if line.Fate == replay.Created && line.Revision > 0 {
			cancel()
		}
		return nil
	}
	planned, err := r.Plan(ctx)
	if err != nil {
		t.Fatal(err)
	}
	done, err := r.Apply(ctx, planned)
	if !errors.Is(err, context.Canceled) || done.Counts[replay.Created] == 0 || h.get(bitmapKey) != bitmap(t, allPorts, 30_100, 30_101, 32_767) || len(planned.Unmarked) > 0 {
		t.Errorf("%v: %v, unmarked %v", err, done.Counts, planned.Unmarked)
	}
}

// answering is a Target that answers otherwise for a key.
type answering struct {
	etcdwalk.Target
	key    string
	answer func(etcdwalk.Result) etcdwalk.Result
}

func (a answering) Apply(ctx context.Context, writes []etcdwalk.Write) []etcdwalk.Result {
	results := a.Target.Apply(ctx, writes)
	for i, w := range writes {
		if string(w.Key) == a.key {
			results[i] = a.answer(results[i])
		}
	}
	return results
}

// TestLostAnswersAboutPorts: a mark whose answer was lost is found; rights that do not
// suffice are told, and fail nothing.
func TestLostAnswersAboutPorts(t *testing.T) {
	for name, c := range map[string]struct {
		answer etcdwalk.Result
		raced  bool
		told   error
	}{
		"lost":   {etcdwalk.Result{State: etcdwalk.WriteUnknown, Err: etcdwalk.ErrUnavailable}, false, nil},
		"denied": {etcdwalk.Result{State: etcdwalk.WriteFailed, Err: etcdwalk.ErrDenied}, true, etcdwalk.ErrDenied},
	} {
		h := shop(t, bitmap(t, allPorts))
		h.del("/registry/services/specs/shop/web")
		fired := 0
		r := h.restore(kube.Filter{Include: []string{"svc/web"}, Namespaces: []string{"shop"}})
		r.Target = answering{h.Target(), bitmapKey, func(etcdwalk.Result) etcdwalk.Result {
			if fired++; c.raced { // then nothing was written
				put(t, h.client, bitmapKey, bitmap(t, allPorts))
			}
			return c.answer
		}}
		planned, _ := mustRestore(t, r)
		if is := h.get(bitmapKey) == bitmap(t, allPorts, 30_100, 30_101, 32_767); fired == 0 || is == c.raced || (len(planned.Unmarked) > 0) != (c.told != nil) {
			t.Errorf("%s: %d answers, marked %v, unmarked %v", name, fired, is, planned.Unmarked)
		}
		if c.told != nil && (len(planned.Unmarked) != 1 || !errors.Is(planned.Unmarked[0].Err, c.told)) {
			t.Errorf("%s: unmarked %v", name, planned.Unmarked)
		}
	}
}

// TestBitmapsThatCannotBeEdited: a sealed one is marked with its key; without it, or where it
// is damaged, the ports are told. Where there is none, no API server has begun.
func TestBitmapsThatCannotBeEdited(t *testing.T) {
	opener, seal, open := kubetest.Sealing(t)
	sealed := func(plain string) string { return seal(bitmapKey, plain) }
	plain, marked := bitmap(t, allPorts, 30_000), bitmap(t, allPorts, 30_000, 30_100, 30_101, 32_767)
	for name, c := range map[string]struct {
		there  string
		opener *values.Opener
		plain  string // afterwards; empty: it is as it was
		says   string
	}{
		"sealed":                 {sealed(plain), opener, marked, ""},
		"sealed without its key": {sealed(plain), nil, "", "sealed at rest"},
		"damaged":                {strings.Replace(plain, allPorts, "30000-327x7", 1), nil, "", "its range is none of ports"},
		"none":                   {"", nil, "", ""},
	} {
		h := shop(t, c.there)
		h.del("/registry/services/specs/shop/web")
		r := h.restore(kube.Filter{Include: []string{"svc/web"}, Namespaces: []string{"shop"}})
		r.Query = r.Query.Opening(c.opener)
		planned, done := mustRestore(t, r)
		is := h.get(bitmapKey)
		if c.plain != "" {
			if opened := open(bitmapKey, is); opened != c.plain {
				t.Errorf("%s: it is %q", name, opened)
			}
		} else if is != c.there {
			t.Errorf("%s: it was written", name)
		}
		told := fmt.Sprint(planned.Unmarked)
		if (len(planned.Unmarked) > 0) != (c.says != "") || !strings.Contains(told, c.says) || done.Counts[replay.Created] != 1 || (len(planned.Ports) > 0) != (c.there != "") {
			t.Errorf("%s: %v, unmarked %s, ports %v", name, done.Counts, told, planned.Ports)
		}
	}
}
