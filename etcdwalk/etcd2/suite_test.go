package etcd2_test

import (
	"testing"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/walktest"
)

// TestSuites runs what every driver must pass against a real server.
func TestSuites(t *testing.T) {
	server, keys := serve(t)
	traits := walktest.Traits{Holds: holds, NoVersions: true, OwnLeases: true, TooLarge: 11 << 20}
	t.Run("view", func(t *testing.T) {
		walktest.Views(t, traits, func(t *testing.T, entries []etcdwalk.Entry) etcdwalk.View {
			wipe(t, keys)
			load(t, keys, entries)
			return pin(t, server.Endpoint)
		})
	})
	t.Run("source", func(t *testing.T) {
		walktest.Sources(t, traits, false, func(t *testing.T, entries []etcdwalk.Entry) (etcdwalk.Source, func(*testing.T, []byte, []byte)) {
			wipe(t, keys)
			load(t, keys, entries)
			return dial(t, server.Endpoint), func(t *testing.T, key, value []byte) {
				if _, err := keys.Set(t.Context(), string(key), string(value), nil); err != nil {
					t.Fatal(err)
				}
			}
		})
	})
	t.Run("target", func(t *testing.T) {
		walktest.Targets(t, traits, func(t *testing.T) (etcdwalk.Target, func() []etcdwalk.Entry) {
			wipe(t, keys)
			return dial(t, server.Endpoint).Target(), func() []etcdwalk.Entry { return contents(t, keys) }
		})
	})
}
