package kube_test

import (
	"slices"
	"testing"

	"github.com/kubeferry/kubeferry/etcdwalk/kube"
)

func TestScopeAndLiveSigns(t *testing.T) {
	for _, c := range []struct {
		prefixes  []string
		key       string
		in, alive bool
	}{
		{nil, "/registry/masterleases/192.0.2.1", true, true},
		{nil, "/registry/peerserverleases/a", true, true},
		{nil, "/kubernetes.io/masterleases/192.0.2.1", true, true},
		{nil, "/registry/leases/kube-system/leader", true, false},
		{nil, "compact_rev_key", false, false},
		{[]string{"/"}, "compact_rev_key", true, false},
		{[]string{"/tenant"}, "/tenant/masterleases/192.0.2.1", true, true},
		{[]string{"/tenant"}, "/registry/masterleases/192.0.2.1", false, false},
		{[]string{"/registry/pods"}, "/registry/masterleases/192.0.2.1", false, true},
	} {
		l := newLayout(t, c.prefixes...)
		in, alive := l.Scope().Contains([]byte(c.key)), l.LiveSigns().Contains([]byte(c.key))
		if in != c.in || alive != c.alive {
			t.Errorf("%q, prefixes %q: in scope %t, sign of life %t; want %t, %t", c.key, c.prefixes, in, alive, c.in, c.alive)
		}
	}
}

func TestHeartbeats(t *testing.T) {
	for _, c := range []struct {
		prefixes []string
		key      string
		want     bool
	}{
		{nil, "/registry/masterleases/192.0.2.1", true},
		{nil, "/registry/peerserverleases/a", true},
		{nil, "/registry/leases/kube-system/apiserver-abc", true},
		{nil, "/kubernetes.io/leases/kube-system/apiserver-abc", true},
		{nil, "/openshift.io/leases/kube-system/apiserver-abc", true},
		{nil, "/registry/leases/kube-system/kube-scheduler", false},
		{nil, "/registry/leases/shop/apiserver-abc", false},
		{[]string{"/tenant"}, "/tenant/leases/kube-system/apiserver-abc", true},
		{[]string{"/tenant"}, "/registry/leases/kube-system/apiserver-abc", false},
		{[]string{"/registry/pods"}, "/registry/leases/kube-system/apiserver-abc", true},
	} {
		if got := newLayout(t, c.prefixes...).Heartbeats().Contains([]byte(c.key)); got != c.want {
			t.Errorf("%q, prefixes %q: a heartbeat: %t, want %t", c.key, c.prefixes, got, c.want)
		}
	}
}

func TestNearest(t *testing.T) {
	words := []string{"endpoints", "endpoint", "cert", "cacert"}
	for typed, want := range map[string][]string{
		"endpiont": {"endpoint", "endpoints"},
		"cer":      {"cert"},
		"zzzzzz":   {},
		"":         {},
	} {
		if got := kube.Nearest(typed, words); !slices.Equal(got, want) {
			t.Errorf("%q: got %q, want %q", typed, got, want)
		}
	}
}
