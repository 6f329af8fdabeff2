package kube_test

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
	"github.com/kubeferry/kubeferry/etcdwalk/walktest"
)

const systemKey = "/registry/namespaces/kube-system"

// TestUnreadableIsNotAbsent: what is there and tells no UID is neither a cluster
// without kube-system nor one with a UID, whatever the reason.
func TestUnreadableIsNotAbsent(t *testing.T) {
	value := string(valueOf(t, systemKey, "k8s\x00"))
	meta, err := kube.MetaOf([]byte(value))
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
	}{
		"protobuf":               {systemKey, value, uid},
		"another namespace":      {"/registry/namespaces/kube-system2", value, none},
		"no namespace":           {"/registry/a", "", none},
		"sealed at rest":         {systemKey, "k8s:enc:aescbc:v1:key1:x", unreadable("k8s:enc:aescbc:v1:key1")},
		"sealed by nobody knows": {systemKey, "k8s:enc:", unreadable("k8s:enc")},
		"CBOR":                   {systemKey, "\xd9\xd9\xf7\xa0", unreadable("cbor")},
		"damaged protobuf":       {systemKey, "k8s\x00\xff", unreadable("protobuf")},
		"cut JSON":               {systemKey, `{"metadata":{"name":"kube-system","uid":"u`, unreadable("json")},
		"nothing":                {systemKey, "", unreadable("opaque")},
		"without a UID":          {systemKey, `{"metadata":{"name":"kube-system"}}`, unreadable("json")},
		"a UID with an escape":   {systemKey, `{"metadata":{"name":"kube-system","uid":"a\u001b[0m"}}`, unreadable("json")},
		"an endless UID":         {systemKey, `{"metadata":{"name":"kube-system","uid":"` + strings.Repeat("u", 129) + `"}}`, unreadable("json")},
		"another object's value": {systemKey, `{"metadata":{"name":"shop","uid":"u"}}`, unreadable("json")},
	} {
		t.Run(name, func(t *testing.T) {
			view := walktest.NewView(etcdwalk.Entry{Key: []byte(c.key), Value: []byte(c.value)})
			got, err := newLayout(t, "/registry/").Identities(t.Context(), view)
			c.want.Prefix = "/registry/"
			if c.want.State == etcdwalk.IdentityUnreadable {
				sum := sha256.Sum256([]byte(c.value))
				c.want.SHA256 = hex.EncodeToString(sum[:])
			}
			if err != nil || len(got) != 1 || got[0] != c.want {
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
	got, err := newLayout(t).Identities(t.Context(), view)
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
	if got, err := newLayout(t).Identities(t.Context(), view); !errors.Is(err, etcdwalk.ErrDenied) || got != nil || view.Fired() != 1 {
		t.Errorf("got %v, %v, fired %d times", got, err, view.Fired())
	}
}
