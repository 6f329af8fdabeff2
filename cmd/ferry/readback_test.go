package ferry_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/kubeferry/kubeferry/crypt"
	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/walktest"
	"github.com/kubeferry/kubeferry/remote"
	"github.com/kubeferry/kubeferry/remote/remotetest"
)

// A liar is a store that changes an archive once it is published.
type liar struct {
	*remotetest.Memory
	lies int
}

func (l *liar) Open(ctx context.Context, name string) (remote.Object, error) {
	if data, ok := l.Get(name); ok && strings.HasSuffix(name, ".age") {
		data[len(data)/2] ^= 1
		l.Put(name, data)
		l.lies++
	}
	return l.Memory.Open(ctx, name)
}

func TestReadBackOpensTheArchiveWithoutTheOperatorsIdentity(t *testing.T) {
	recipient, keys := newKeys(t)
	var store remotetest.Memory
	b := backup(walktest.NewView(objects(50)...), &store, recipient)
	b.ReadBack = true
	done, err := b.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got, want := len(remotetest.Names(t, &store, "")), 2; got != want {
		t.Errorf("%d objects are there, want %d: the archive and its receipt", got, want)
	}
	want := objects(50)
	slices.SortFunc(want, func(a, b etcdwalk.Entry) int { return bytes.Compare(a.Key, b.Key) })
	same(t, "the archive", contents(t, &store, done.Receipt.Name, keys), want)
}

func TestReadBackTellsOfValuesThatNoRestoreWouldWrite(t *testing.T) {
	recipient, _ := newKeys(t)
	entries := objects(3)
	entries[0].Value = []byte("not an object")
	b := backup(walktest.NewView(entries...), &remotetest.Memory{}, recipient)
	b.ReadBack = true
	done, err := b.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got := done.ReadBack; got.Unstorable != 1 || len(got.Examples) != 1 || got.Keys != done.Receipt.Keys {
		t.Errorf("got %+v, want one value of %d", got, done.Receipt.Keys)
	}
}

func TestReadBackRemovesAnArchiveThatCannotBeRestored(t *testing.T) {
	recipient, _ := newKeys(t)
	store := &liar{Memory: &remotetest.Memory{}}
	b := backup(walktest.NewView(objects(50)...), store, recipient)
	b.ReadBack = true
	_, err := b.Run(t.Context())
	if !errors.Is(err, crypt.ErrDamaged) {
		t.Errorf("got %v, want %v", err, crypt.ErrDamaged)
	}
	if store.lies == 0 {
		t.Error("the store never lied")
	}
	if got := remotetest.Names(t, store, ""); !slices.Equal(got, nil) {
		t.Errorf("%q are left, want nothing", got)
	}
}
