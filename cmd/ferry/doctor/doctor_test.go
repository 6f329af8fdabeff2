package doctor_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/kubeferry/kubeferry/cmd/ferry/doctor"
	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/etcd3"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
	"github.com/kubeferry/kubeferry/etcdwalk/kube/health"
	"github.com/kubeferry/kubeferry/etcdwalk/walktest"
)

// cluster is a source that has members.
type cluster struct {
	members   []etcd3.Standing
	why       string
	compacted int64
	denied    func(r etcdwalk.Range) bool
}

func (c cluster) refuse(r etcdwalk.Range) error {
	if c.denied != nil && c.denied(r) {
		return fmt.Errorf("range from %q on: %w", r.Start, etcdwalk.ErrDenied)
	}
	return nil
}

func (c cluster) Open(_ context.Context, _ etcdwalk.Moment, ranges etcdwalk.Ranges) (etcdwalk.View, error) {
	v := walktest.NewView(etcdwalk.Entry{Key: []byte("/registry/namespaces/kube-system"), Value: []byte(`{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"kube-system","uid":"u1"}}`), ModRevision: 1})
	v.About = etcdwalk.Info{API: etcdwalk.V3, Revision: 100}
	return v, c.refuse(ranges[0])
}

func (c cluster) Standings(context.Context) ([]etcd3.Standing, string, error) {
	return c.members, c.why, nil
}

func (c cluster) Compacted(_ context.Context, key []byte) (int64, error) {
	return c.compacted, c.refuse(etcdwalk.Key(key))
}

// moving is a source that cannot be read at one moment.
type moving struct{}

func (moving) Open(context.Context, etcdwalk.Moment, etcdwalk.Ranges) (etcdwalk.View, error) {
	return moved{walktest.NewView()}, nil
}

type moved struct{ *walktest.View }

func (moved) Outcome() etcdwalk.Outcome { return etcdwalk.Outcome{} }

func well(endpoint string) etcd3.Standing {
	return etcd3.Standing{Endpoint: endpoint, Member: "1", Version: "3.6.16", Leader: true, Size: 200 << 20, InUse: 150 << 20, Quota: 2 << 30}
}

func run(t *testing.T, source etcdwalk.Source) (doctor.Report, error) {
	t.Helper()
	query, err := kube.Filter{}.Compile()
	if err != nil {
		t.Fatal(err)
	}
	return doctor.Doctor{Source: source, Query: query}.Run(t.Context())
}

// TestWhatIsWrongWithMembers: each is found, and of a cluster that is well nothing.
func TestWhatIsWrongWithMembers(t *testing.T) {
	for name, c := range map[string]struct {
		change func(m *etcd3.Standing)
		want   string // severity, check, and what is said of the member
	}{
		"nothing":          {func(*etcd3.Standing) {}, ""},
		"corrupt":          {func(m *etcd3.Standing) { m.Alarms = []etcdwalk.Alarm{etcdwalk.AlarmCorrupt} }, "broken alarm CORRUPT"},
		"out of space":     {func(m *etcd3.Standing) { m.Alarms = []etcdwalk.Alarm{etcdwalk.AlarmNoSpace} }, "broken alarm NOSPACE"},
		"silent":           {func(m *etcd3.Standing) { m.Problem = "no answer within 1s" }, "warning member b no answer within 1s"},
		"without a leader": {func(m *etcd3.Standing) { m.Leaderless = true }, "broken leader b"},
		"nearly full":      {func(m *etcd3.Standing) { m.Quota = 240 << 20 }, "warning quota b 200 MiB of 240 MiB"},
		"no quota told":    {func(m *etcd3.Standing) { m.Quota = 0 }, ""},
		"mostly air":       {func(m *etcd3.Standing) { m.InUse = 90 << 20 }, "note fragmentation b 200 MiB, of which 90 MiB are in use"},
		"small, and air":   {func(m *etcd3.Standing) { m.Size, m.InUse = 90<<20, 1<<20 }, ""},
		"another version":  {func(m *etcd3.Standing) { m.Version = "3.5.1" }, "note versions etcd 3.5.1 etcd 3.6.16"},
	} {
		t.Run(name, func(t *testing.T) {
			b := well("b")
			c.change(&b)
			r, err := run(t, cluster{members: []etcd3.Standing{well("a"), b}, compacted: 60})
			if err != nil || r.Info.KubeSystemUID != "u1" || *r.Compacted != (doctor.Compacted{Revision: 60, Lag: 40}) || len(r.Unseen) != 0 {
				t.Fatalf("%v, %+v", err, r)
			}
			var got []string
			for _, f := range r.Findings {
				got = append(got, string(f.Severity), f.Check)
				for _, o := range f.Objects {
					got = append(got, strings.TrimSpace(o.Name+" "+o.Why))
				}
				if f.Help == "" || f.Reason == "" || r.Count(f.Severity) != 1 {
					t.Errorf("got %+v", f)
				}
			}
			if line := strings.Join(got, " "); line != c.want {
				t.Errorf("got %q, want %q", line, c.want)
			}
			if alarmed := strings.Contains(c.want, "alarm"); alarmed != (len(r.Info.Alarms) == 1) {
				t.Errorf("the alarms are %v", r.Info.Alarms)
			}
		})
	}
}

// TestWhatIsNotKnownIsTold: it keeps nothing else from being looked at.
func TestWhatIsNotKnownIsTold(t *testing.T) {
	says := func(r doctor.Report, what, why string) {
		t.Helper()
		if !slices.ContainsFunc(r.Unseen, func(u health.Unseen) bool { return u.What == what && strings.Contains(u.Why, why) }) {
			t.Errorf("it is not told that %s was not looked at, because %s: %+v", what, why, r.Unseen)
		}
	}
	r, err := run(t, cluster{members: []etcd3.Standing{well("a")}, why: "denied", compacted: -1})
	if err != nil || r.Compacted != nil || r.Keys != 1 {
		t.Fatalf("%v, %+v", err, r)
	}
	says(r, "which members there are beside the endpoints", "denied")
	says(r, "how far behind the compaction is", "does not tell")

	// What may be read is not the first prefix.
	r, err = run(t, cluster{members: []etcd3.Standing{well("a")}, compacted: 50, denied: func(r etcdwalk.Range) bool { return string(r.Start) < "/registry/" }})
	if err != nil || r.Keys != 1 || r.Compacted.Lag != 50 {
		t.Fatalf("%v, %+v", err, r)
	}

	// Nothing may be read: the members are told all the same.
	r, err = run(t, cluster{members: []etcd3.Standing{well("a")}, denied: func(etcdwalk.Range) bool { return true }})
	if !errors.Is(err, etcdwalk.ErrDenied) || len(r.Members) != 1 {
		t.Errorf("%v, %+v", err, r)
	}

	// A source that was written to meanwhile, as over API v2.
	r, err = run(t, moving{})
	if err != nil {
		t.Errorf("%v, %+v", err, r)
	}
	says(r, "everything at one moment", "written to meanwhile")

	// A source that is no cluster, as an archive.
	r, err = run(t, walktest.NewView())
	if err != nil || r.Members != nil || len(r.Findings) != 0 {
		t.Errorf("%v, %+v", err, r)
	}
	says(r, "how far behind the compaction is", "no past")
}
