package ferry_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/kubeferry/kubeferry/cmd/ferry"
	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/walktest"
	"github.com/kubeferry/kubeferry/remote/remotetest"
)

// ailing is a view of a cluster that has something to say of itself.
type ailing struct {
	*walktest.View

	alarms   [][]etcdwalk.Alarm // one answer after the other; the last for ever
	err      error
	doubts   []string
	compared int
	asked    *int
	doubted  *bool
}

func (a ailing) Alarms(context.Context) ([]etcdwalk.Alarm, error) {
	*a.asked++
	if a.err != nil {
		return nil, a.err
	}
	return a.alarms[min(*a.asked, len(a.alarms))-1], nil
}

func (a ailing) Doubt() { *a.doubted = true }

func (a ailing) Outcome() etcdwalk.Outcome {
	return etcdwalk.Outcome{Consistent: true, Doubts: a.doubts}
}

func (a ailing) CompareMembers(context.Context) (int, []string, error) {
	if a.compared == 0 {
		return 0, nil, nil
	}
	return a.compared, []string{"the members hold different data"}, nil
}

// TestACorruptSourceIsRefused: WK7, before the walk and after it; nothing is
// published, unless it is accepted, and then the archive says so.
func TestACorruptSourceIsRefused(t *testing.T) {
	none, full, bad := []etcdwalk.Alarm(nil), []etcdwalk.Alarm{etcdwalk.AlarmNoSpace}, []etcdwalk.Alarm{etcdwalk.AlarmCorrupt}
	unreachable := errors.New("no member tells")
	for name, c := range map[string]struct {
		view   ailing
		verify bool
		want   error  // nil: it is sound
		doubt  string // that the manifest tells when it is accepted
	}{
		"no alarm":                      {view: ailing{alarms: [][]etcdwalk.Alarm{none}}},
		"no space":                      {view: ailing{alarms: [][]etcdwalk.Alarm{full}}},
		"corrupt from the beginning":    {view: ailing{alarms: [][]etcdwalk.Alarm{bad}}, want: ferry.ErrCorrupt},
		"corrupt by the end":            {view: ailing{alarms: [][]etcdwalk.Alarm{none, bad}}, want: ferry.ErrCorrupt, doubt: "raised while it was read"},
		"members disagree":              {view: ailing{alarms: [][]etcdwalk.Alarm{none}, doubts: []string{"members disagree"}}, want: ferry.ErrCorrupt, doubt: "members disagree"},
		"hashes differ":                 {view: ailing{alarms: [][]etcdwalk.Alarm{none}, compared: 3}, verify: true, want: ferry.ErrCorrupt, doubt: "hold different data"},
		"hashes differ and nobody asks": {view: ailing{alarms: [][]etcdwalk.Alarm{none}, compared: 3}},
		"alarms that cannot be had":     {view: ailing{err: unreachable}, want: unreachable},
	} {
		t.Run(name, func(t *testing.T) {
			for _, accept := range []bool{false, true} {
				asked, doubted := 0, false
				c.view.View, c.view.asked, c.view.doubted = walktest.NewView(objects(20)...), &asked, &doubted
				var store remotetest.Memory
				recipient, keys := newKeys(t)
				b := backup(only(c.view), &store, recipient)
				b.AcceptCorrupt, b.VerifyMembers = accept, c.verify
				done, err := b.Run(t.Context())
				if c.want != nil && (!accept || c.view.err != nil) {
					if !errors.Is(err, c.want) || errors.Is(c.want, ferry.ErrCorrupt) && !errors.Is(err, etcdwalk.ErrInvariant) {
						t.Errorf("got %v, want %v", err, c.want)
					}
					if names := remotetest.Names(t, &store, ""); len(names) > 0 {
						t.Errorf("%q were published", names)
					}
					continue
				}
				if err != nil || asked != 2 || !doubted {
					t.Fatalf("%v; asked %d times, read again %t", err, asked, doubted)
				}
				a, err := ferry.Open(t.Context(), &store, done.Receipt.Name, keys)
				if err != nil {
					t.Fatal(err)
				}
				defer a.Close()
				if marked := c.want != nil; a.Corrupt() != marked || done.Receipt.CorruptSource != marked {
					t.Errorf("marked %t, in the receipt %t, want %t", a.Corrupt(), done.Receipt.CorruptSource, marked)
				}
				if doubts := strings.Join(a.Manifest().Outcome.Doubts, " "); !strings.Contains(doubts, c.doubt) || c.doubt == "" && doubts != "" {
					t.Errorf("the doubts are %q, want %q", doubts, c.doubt)
				}
			}
		})
	}
}

// TestATargetWithAnAlarmIsRefused: before anything is planned.
func TestATargetWithAnAlarmIsRefused(t *testing.T) {
	var store remotetest.Memory
	done, err := backup(walktest.NewView(objects(5)...), &store).Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	a, err := ferry.Open(t.Context(), &store, done.Receipt.Name, ferry.Keys{})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	for alarm, want := range map[etcdwalk.Alarm]error{etcdwalk.AlarmCorrupt: etcdwalk.ErrInvariant, etcdwalk.AlarmNoSpace: etcdwalk.ErrNoSpace} {
		asked, doubted := 0, false
		view := ailing{View: walktest.NewView(objects(5)...), alarms: [][]etcdwalk.Alarm{{alarm}}, asked: &asked, doubted: &doubted}
		r := ferry.Restore{Source: a, Target: walktest.NewTarget(), Cluster: only(view)}
		if planned, err := r.Plan(t.Context()); !errors.Is(err, want) || planned.Counts.Total() != 0 {
			t.Errorf("%s: got %v, want %v", alarm, err, want)
		}
	}
}
