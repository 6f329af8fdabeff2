package connect

import (
	"strings"
	"testing"
)

func FuzzEndpoint(f *testing.F) {
	for _, seed := range []string{
		"127.0.0.1:2379", "localhost:2379", "http://[::1]:2379", "https://etcd.example.com:2379/", "unix:///run/etcd.sock",
		"unixs://etcd.sock:1", "", "://", "http://", "http://user:password@host:1", "any://x:1", "host:port", "http://a:1?b#c",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		e, err := Config{}.endpoint(text)
		if err != nil {
			return
		}
		again, err := Config{}.endpoint(e.String())
		if err != nil {
			t.Fatalf("%q becomes %q, which is refused: %v", text, e, err)
		}
		if again.Text = e.Text; again != e {
			t.Errorf("%q becomes %+v, then %+v", text, e, again)
		}
		if e.Network == "tcp" && (e.Host == "" || !strings.Contains(e.Address, ":")) {
			t.Errorf("%q becomes %+v", text, e)
		}
	})
}
