package walktest_test

import (
	"testing"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/walktest"
)

func TestView(t *testing.T) {
	walktest.Views(t, walktest.Traits{}, func(_ *testing.T, entries []etcdwalk.Entry) etcdwalk.View {
		return walktest.NewView(entries...)
	})
}

func TestPinned(t *testing.T) {
	var target *walktest.Target
	open := func(_ *testing.T, entries []etcdwalk.Entry) etcdwalk.View {
		target = walktest.NewTarget(entries...)
		return target.View()
	}
	walktest.Pinned(t, open, func(_ *testing.T, key, value []byte) { target.Put(string(key), string(value)) })
}

func TestSource(t *testing.T) {
	walktest.Sources(t, walktest.Traits{}, true, func(_ *testing.T, entries []etcdwalk.Entry) (etcdwalk.Source, func(*testing.T, []byte, []byte)) {
		return walktest.NewView(entries...), nil
	})
}

func TestTarget(t *testing.T) {
	walktest.Targets(t, walktest.Traits{}, func(*testing.T) (etcdwalk.Target, func() []etcdwalk.Entry) {
		target := walktest.NewTarget()
		return target, target.Entries
	})
}
