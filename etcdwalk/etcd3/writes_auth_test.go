package etcd3_test

import (
	"testing"
	"time"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/connect"
	"github.com/kubeferry/kubeferry/scripts/servers/etcdproc"
)

// TestTokenExpiresBetweenWrites: E17, for a target. A write that an old token
// could not make is made with a new one, once.
func TestTokenExpiresBetweenWrites(t *testing.T) {
	for _, version := range etcdproc.Versions() {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			server, root := guarded(t, version, generate(1, 1), "--auth-token=simple", "--auth-token-ttl=1")
			r := newRelay(t, server.Endpoint)
			c := dial(t, connect.Config{Endpoints: []string{r.endpoint}, Username: "root", Password: func() string { return "toor" }})
			writes := creates(generate(301, 100)[1:])
			var results []etcdwalk.Result
			for n := 0; n < 300; n += 100 {
				if n > 0 {
					time.Sleep(2200 * time.Millisecond)
				}
				results = append(results, c.Target().Apply(t.Context(), writes[n:n+100])...)
			}
			wantTruth(t, root, writes, results)
			if got := tally(results); got[etcdwalk.WriteApplied] != 300 {
				t.Errorf("got states %v, want all applied", got)
			}
			for _, e := range contents(t, root, 0) {
				if e.Version != 1 {
					t.Errorf("key %q was written %d times", e.Key, e.Version)
				}
			}
			if renewed := r.count("Authenticate") - 1; renewed < 2 {
				t.Errorf("the token was renewed %d times, want at least 2", renewed)
			}
		})
	}
}
