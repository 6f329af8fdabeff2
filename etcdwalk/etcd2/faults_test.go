package etcd2_test

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	client "go.etcd.io/etcd/client/v2"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/connect"
	"github.com/kubeferry/kubeferry/etcdwalk/etcd2"
	"github.com/kubeferry/kubeferry/etcdwalk/walktest"
	"github.com/kubeferry/kubeferry/scripts/servers/etcdproc"
)

const always = 1 << 30

// hasty is patient for a short time only.
func hasty(t *testing.T, endpoints ...string) *etcd2.Cluster {
	t.Helper()
	c, err := etcd2.Dial(t.Context(), connect.Config{
		Endpoints: endpoints, CommandTimeout: time.Second, RetryBudget: 3 * time.Second,
	}, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// keysSeen are the keys of a walk, up to its error.
func keysSeen(t *testing.T, v *etcd2.View, sel etcdwalk.Selection) (keys []string, err error) {
	t.Helper()
	for e, err := range v.Walk(t.Context(), sel) {
		if err != nil {
			return keys, err
		}
		keys = append(keys, string(e.Key))
	}
	return keys, nil
}

func smallTree(t *testing.T, keys client.KeysAPI) []string {
	t.Helper()
	all := []string{"/registry/configmaps/a/x", "/registry/pods/a/x", "/registry/secrets/a/x"}
	for _, key := range all {
		set(t, keys, key, "value of "+key, client.SetOptions{})
	}
	return all
}

// TestDirectoryGoesDuringTheWalk: Z02. It is absent, and no error; the outcome
// tells that the walk is not of one moment.
func TestDirectoryGoesDuringTheWalk(t *testing.T) {
	server, keys := serve(t)
	smallTree(t, keys)
	r := newRelay(t, server.Endpoint, &rule{method: http.MethodGet, prefix: "/registry/pods", left: 1, harm: before(func() {
		if _, err := keys.Delete(t.Context(), "/registry/pods", &client.DeleteOptions{Recursive: true}); err != nil {
			t.Error(err)
		}
	})})
	v, err := hasty(t, r.endpoint).Pin(t.Context(), walktest.Everything().Ranges)
	if err != nil {
		t.Fatal(err)
	}
	seen, err := keysSeen(t, v, walktest.Everything())
	if want := []string{"/registry/configmaps/a/x", "/registry/secrets/a/x"}; err != nil || !slices.Equal(seen, want) {
		t.Errorf("got %v, %v, want %v", seen, err, want)
	}
	if v.Outcome().Consistent {
		t.Error("the walk passes for one moment")
	}
}

// TestDamagedAnswers: Z04, Z05. What passes is tried again; what cannot be read, or
// comes from elsewhere, ends the walk with the directory's name.
func TestDamagedAnswers(t *testing.T) {
	server, keys := serve(t)
	all := smallTree(t, keys)
	for name, tt := range map[string]struct {
		harm  func(http.ResponseWriter, *http.Request, func() answer)
		times int
		want  error
		text  string
	}{
		"a cut body, once":                {cut, 1, nil, ""},
		"no answer, once":                 {lose, 1, nil, ""},
		"a body that stalls, once":        {stall, 1, nil, ""},
		"no leader, twice":                {instead(http.StatusInternalServerError, `{"errorCode":300,"message":"Raft Internal Error"}`), 2, nil, ""},
		"a bad gateway, once":             {instead(http.StatusBadGateway, "bad gateway"), 1, nil, ""},
		"a cut body, always":              {cut, always, etcdwalk.ErrUnavailable, "EOF"},
		"no leader, always":               {instead(http.StatusInternalServerError, `{"errorCode":300,"message":"Raft Internal Error"}`), always, etcdwalk.ErrUnavailable, "no leader"},
		"half an answer that looks whole": {shorten, always, etcdwalk.ErrInvariant, "cannot be read"},
		"another cluster":                 {of("1234"), always, etcdwalk.ErrInvariant, "1234"},
		"an index that is cleared":        {instead(http.StatusBadRequest, `{"errorCode":401,"message":"The event in requested index is outdated and cleared"}`), always, nil, "outdated"},
		"no rights":                       {instead(http.StatusUnauthorized, `{"errorCode":110,"message":"The request requires user authentication","cause":"Insufficient credentials"}`), always, etcdwalk.ErrDenied, "wants a user"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRelay(t, server.Endpoint, &rule{method: http.MethodGet, prefix: "/registry/pods", left: tt.times, harm: tt.harm})
			v, err := hasty(t, r.endpoint).Pin(t.Context(), walktest.Everything().Ranges)
			if err != nil {
				t.Fatal(err)
			}
			seen, err := keysSeen(t, v, walktest.Everything())
			switch {
			case tt.text == "" && (err != nil || !slices.Equal(seen, all)):
				t.Errorf("got %v, %v, want %v", seen, err, all)
			case tt.text == "":
			case err == nil || !strings.Contains(err.Error(), tt.text) || !strings.Contains(err.Error(), "/registry/pods"):
				t.Errorf("got %v, want an error with %q that names the directory", err, tt.text)
			case tt.want != nil && !errors.Is(err, tt.want), tt.want == nil && errors.Is(err, etcdwalk.ErrDenied):
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
}

// TestNotFoundOfAnotherCluster: an answer that there is nothing is as good as its
// sender.
func TestNotFoundOfAnotherCluster(t *testing.T) {
	server, keys := serve(t)
	smallTree(t, keys)
	r := newRelay(t, server.Endpoint, &rule{method: http.MethodGet, prefix: "/registry/none", left: 1, harm: of("1234")})
	_, err := hasty(t, r.endpoint).Target().Heads(t.Context(), [][]byte{[]byte("/registry/none")})
	if !errors.Is(err, etcdwalk.ErrInvariant) {
		t.Errorf("got %v, want %v", err, etcdwalk.ErrInvariant)
	}
}

// guarded makes a server ask for a user: "backup" may do all below /registry.
func guarded(t *testing.T, endpoint string) {
	t.Helper()
	c, err := client.New(client.Config{Endpoints: []string{endpoint}, Username: "root", Password: "toor"})
	if err != nil {
		t.Fatal(err)
	}
	for _, user := range []struct{ name, password string }{{"root", "toor"}, {"backup", "secret-of-backup"}} {
		if err := client.NewAuthUserAPI(c).AddUser(t.Context(), user.name, user.password); err != nil {
			t.Fatal(err)
		}
	}
	if err := client.NewAuthAPI(c).Enable(t.Context()); err != nil {
		t.Fatal(err)
	}
	roles := client.NewAuthRoleAPI(c)
	if err := roles.AddRole(t.Context(), "all"); err != nil {
		t.Fatal(err)
	}
	if _, err := roles.GrantRoleKV(t.Context(), "all", []string{"/registry", "/registry/*"}, client.ReadWritePermission); err != nil {
		t.Fatal(err)
	}
	if _, err := client.NewAuthUserAPI(c).GrantUser(t.Context(), "backup", []string{"all"}); err != nil {
		t.Fatal(err)
	}
	if err := roles.RemoveRole(t.Context(), "guest"); err != nil {
		t.Fatal(err)
	}
}

// TestCredentials: Z05.
func TestCredentials(t *testing.T) {
	server, keys := serve(t, "--bcrypt-cost=4")
	all := smallTree(t, keys)
	registry := etcdwalk.Selection{Ranges: etcdwalk.Ranges{etcdwalk.Prefix("/registry/")}}
	guarded(t, server.Endpoint)
	for name, tt := range map[string]struct{ user, password, want string }{
		"a wrong password": {"backup", "wrong-secret", `refuses user "backup"`},
		"an unknown user":  {"nobody", "wrong-secret", `refuses user "nobody"`},
		"no user":          {"", "", "wants a user"},
		"the right one":    {"backup", "secret-of-backup", ""},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := etcd2.Dial(t.Context(), connect.Config{
				Endpoints: []string{server.Endpoint}, Username: tt.user, Password: func() string { return tt.password },
			}, 0)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(c.Close)
			v, err := c.Pin(t.Context(), registry.Ranges)
			if tt.want != "" {
				if !errors.Is(err, etcdwalk.ErrDenied) || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "secret") {
					t.Errorf("got %v, want %v", err, etcdwalk.ErrDenied)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if seen, err := keysSeen(t, v, registry); err != nil || !slices.Equal(seen, all) {
				t.Errorf("got %v, %v, want %v", seen, err, all)
			}
		})
	}
}

// TestMembersFail: Z06. One member of three may go during the walk; one that is
// left alone has no quorum, and does not answer from its own memory.
func TestMembersFail(t *testing.T) {
	servers := etcdproc.StartCluster(t, 3, etcdproc.Options{Version: etcdproc.V35, Flags: []string{"--enable-v2"}})
	all := smallTree(t, keysOf(t, servers[0].Endpoint))
	c := hasty(t, etcdproc.Endpoints(servers)...)
	v, err := c.Pin(t.Context(), walktest.Everything().Ranges)
	if err != nil {
		t.Fatal(err)
	}
	servers[0].Kill()
	if seen, err := keysSeen(t, v, walktest.Everything()); err != nil || !slices.Equal(seen, all) {
		t.Errorf("without one member: %v, %v, want %v", seen, err, all)
	}
	servers[1].Kill()
	if seen, err := keysSeen(t, v, walktest.Everything()); !errors.Is(err, etcdwalk.ErrUnavailable) {
		t.Errorf("without quorum: %v, %v, want %v", seen, err, etcdwalk.ErrUnavailable)
	}
}
