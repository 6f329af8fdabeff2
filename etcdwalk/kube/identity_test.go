package kube_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"iter"
	"slices"
	"strings"
	"testing"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/kube/object"
	"github.com/kubeferry/kubeferry/etcdwalk/walktest"
)

const systemKey = "/registry/namespaces/kube-system"

// TestUnreadableIsNotAbsent: what is there and tells no UID is neither a cluster
// without kube-system nor one with a UID, whatever the reason.
func TestUnreadableIsNotAbsent(t *testing.T) {
	value := string(valueOf(t, systemKey, "k8s\x00"))
	_, meta, err := object.Read([]byte(value))
	if err != nil || meta.UID == "" {
		t.Fatalf("%+v, %v", meta, err)
	}
	uid := etcdwalk.Identity{State: etcdwalk.IdentityUID, UID: meta.UID}
	none := etcdwalk.Identity{State: etcdwalk.IdentityNone}
	unreadable := func(encoding string) etcdwalk.Identity {
		return etcdwalk.Identity{State: etcdwalk.IdentityUnreadable, Encoding: encoding}
	}
	for name, c := range map[string]struct {
		key, value string
		want       etcdwalk.Identity
		proof      bool // equal bytes prove that it is the same cluster
	}{
		"protobuf":               {systemKey, value, uid, false},
		"another namespace":      {"/registry/namespaces/kube-system2", value, none, false},
		"no namespace":           {"/registry/a", "", none, false},
		"sealed at rest":         {systemKey, "k8s:enc:aescbc:v1:key1:x", unreadable("k8s:enc:aescbc:v1:key1"), true},
		"sealed by nobody knows": {systemKey, "k8s:enc:", unreadable("k8s:enc"), false},
		"CBOR without a UID":     {systemKey, "\xd9\xd9\xf7\xa1\x61\x61\x01", unreadable("cbor"), false},
		"CBOR":                   {systemKey, "\xd9\xd9\xf7\xa1\x48metadata\xa2\x44name\x4bkube-system\x43uid\x41u", etcdwalk.Identity{State: etcdwalk.IdentityUID, UID: "u"}, false},
		"cut CBOR":               {systemKey, "\xd9\xd9\xf7\xa1\x48metadata\xa2\x44name", unreadable("cbor"), true},
		"damaged protobuf":       {systemKey, "k8s\x00\xff", unreadable("protobuf"), false},
		"cut JSON":               {systemKey, `{"metadata":{"name":"kube-system","uid":"u`, unreadable("json"), true},
		"nothing":                {systemKey, "", unreadable("opaque"), false},
		"without a UID":          {systemKey, `{"metadata":{"name":"kube-system"}}`, unreadable("json"), false},
		"a UID with an escape":   {systemKey, `{"metadata":{"name":"kube-system","uid":"a\u001b[0m"}}`, unreadable("json"), false},
		"an endless UID":         {systemKey, `{"metadata":{"name":"kube-system","uid":"` + strings.Repeat("u", 129) + `"}}`, unreadable("json"), false},
		"another object's value": {systemKey, `{"metadata":{"name":"shop","uid":"u"}}`, unreadable("json"), false},
	} {
		t.Run(name, func(t *testing.T) {
			view := walktest.NewView(etcdwalk.Entry{Key: []byte(c.key), Value: []byte(c.value)})
			got, err := newLayout(t).Identities(t.Context(), view, nil)
			c.want.Prefix = "/registry/"
			if c.want.State == etcdwalk.IdentityUnreadable && c.proof {
				sum := sha256.Sum256([]byte(c.value))
				c.want.SHA256 = hex.EncodeToString(sum[:])
			}
			if err != nil || len(got) != 3 || got[0] != c.want {
				t.Errorf("got %+v, %v; want %+v", got, err, c.want)
			}
		})
	}
}

// TestIdentityPerPrefix: two clusters in one etcd each have their own.
func TestIdentityPerPrefix(t *testing.T) {
	view := walktest.NewView(
		etcdwalk.Entry{Key: []byte(systemKey), Value: []byte("k8s:enc:aesgcm:v1:k:x")},
		etcdwalk.Entry{Key: []byte("/kubernetes.io/namespaces/kube-system"), Value: []byte(`{"metadata":{"name":"kube-system","uid":"u2"}}`)},
	)
	got, err := newLayout(t).Identities(t.Context(), view, nil)
	if err != nil {
		t.Fatal(err)
	}
	var text []string
	for _, id := range got {
		text = append(text, id.Prefix+" "+id.String())
	}
	want := []string{"/registry/ unreadable (k8s:enc:aesgcm:v1:k)", "/kubernetes.io/ u2", "/openshift.io/ <none>"}
	if !slices.Equal(text, want) {
		t.Errorf("got %q, want %q", text, want)
	}
	// In whatever order prefixes are typed, and whether the default ones are: the
	// archive's own come first, and the others say whose it is that has none.
	for _, c := range []struct{ typed, want string }{
		{"/kubernetes.io/ /registry/", "/registry/ /kubernetes.io/ /openshift.io/"},
		{"/openshift.io/", "/openshift.io/ /registry/ /kubernetes.io/"},
		{"/z/ /calico/ /openshift.io/", "/openshift.io/ /calico/ /z/ /registry/ /kubernetes.io/"},
	} {
		typed, err := newLayout(t, strings.Fields(c.typed)...).Identities(t.Context(), view, nil)
		var order []string
		for _, id := range typed {
			order = append(order, id.Prefix)
		}
		if err != nil || strings.Join(order, " ") != c.want {
			t.Errorf("%s: %v, %v, want %s", c.typed, order, err, c.want)
		}
	}
	// The first that is one is the archive's: the second's UID does not stand in.
	info := etcdwalk.Info{KubeSystemUID: "stale"}
	info.Identify(got)
	if info.Identity().State != etcdwalk.IdentityUnreadable || info.KubeSystemUID != "" {
		t.Errorf("the archive would be of %+v, with the UID %q", info.Identity(), info.KubeSystemUID)
	}
}

func TestIdentityThatMayNotBeRead(t *testing.T) {
	view := walktest.NewView()
	view.Err = etcdwalk.ErrDenied
	if got, err := newLayout(t).Identities(t.Context(), view, nil); !errors.Is(err, etcdwalk.ErrDenied) || got != nil || view.Fired() != 1 {
		t.Errorf("got %v, %v, fired %d times", got, err, view.Fired())
	}
}

// narrow is a view of who may read under one prefix only.
type narrow struct {
	*walktest.View

	denied int
}

func (n *narrow) Walk(ctx context.Context, sel etcdwalk.Selection) iter.Seq2[etcdwalk.Entry, error] {
	if strings.HasPrefix(string(sel.Ranges[0].Start), "/registry/") {
		return n.View.Walk(ctx, sel)
	}
	n.denied++
	return func(yield func(etcdwalk.Entry, error) bool) { yield(etcdwalk.Entry{}, etcdwalk.ErrDenied) }
}

// TestIdentityUnderANarrowRole: what lies beside the typed prefixes may be unknown.
func TestIdentityUnderANarrowRole(t *testing.T) {
	view := &narrow{View: walktest.NewView(etcdwalk.Entry{Key: []byte(systemKey), Value: []byte(`{"metadata":{"name":"kube-system","uid":"u"}}`)})}
	got, err := newLayout(t, "/registry/configmaps/").Identities(t.Context(), view, nil)
	if err != nil || len(got) != 1 || got[0].UID != "u" || view.denied != 2 {
		t.Errorf("got %v, %v, denied %d times", got, err, view.denied)
	}
}
