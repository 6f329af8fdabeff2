package ferry_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/walktest"
	"github.com/kubeferry/kubeferry/remote/remotetest"
	"github.com/kubeferry/kubeferry/scripts/servers/etcdproc"
)

// A meddled view calls meddle once in each walk that comes so far, after so
// many entries.
type meddled struct {
	etcdwalk.View
	after  int
	meddle func()
}

func (m meddled) Walk(ctx context.Context, sel etcdwalk.Selection) iter.Seq2[etcdwalk.Entry, error] {
	return func(yield func(etcdwalk.Entry, error) bool) {
		n := 0
		for e, err := range m.View.Walk(ctx, sel) {
			if n++; n == m.after {
				m.meddle()
			}
			if !yield(e, err) {
				return
			}
		}
	}
}

// meddling is a source whose views are meddled with.
func meddling(source etcdwalk.Source, after int, meddle func()) etcdwalk.Source {
	return walktest.Source(func(ctx context.Context, at etcdwalk.Moment, ranges etcdwalk.Ranges) (etcdwalk.View, error) {
		view, err := source.Open(ctx, at, ranges)
		return meddled{view, after, meddle}, err
	})
}

// A compactor changes the keyspace and compacts away all revisions before that.
type compactor struct {
	t      *testing.T
	client *clientv3.Client
	fired  int
}

func (c *compactor) compact() {
	c.fired++
	key, _ := object("ns-0", "settings-00000", 0)
	put(c.t, c.client, key, `{"changed":"at the beginning"}`)
	key, _ = object("ns-6", "settings-99999", 0)
	now := put(c.t, c.client, key, `{"changed":"at the end"}`)
	if _, err := c.client.Compact(context.Background(), now); err != nil {
		c.t.Fatal(err)
	}
}

func TestBackupOfACompactedRevision(t *testing.T) {
	for _, version := range etcdproc.Versions() {
		t.Run(version, func(t *testing.T) {
			server := etcdproc.Start(t, etcdproc.Options{Version: version})
			client := server.Client(t)
			populate(t, client, 6000, 2000)
			source := dial(t, server)
			t.Run("once begins again at one new revision", func(t *testing.T) { compactOnce(t, &compactor{t: t, client: client}, source) })
			t.Run("each time gives up", func(t *testing.T) { compactAlways(t, &compactor{t: t, client: client}, source) })
		})
	}
}

func compactOnce(t *testing.T, c *compactor, source etcdwalk.Source) {
	t.Helper()
	var store remotetest.Memory
	recipient, keys := newKeys(t)
	done, err := backup(meddling(source, 50, func() {
		if c.fired == 0 {
			c.compact()
		}
	}), &store, recipient).Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if c.fired != 1 || done.Outcome.Restarts != 1 || !done.Outcome.Consistent {
		t.Errorf("%d compactions, outcome %+v; want 1 restart", c.fired, done.Outcome)
	}
	got := contents(t, &store, done.Receipt.Name, keys)
	same(t, "the archive", got, holdings(t, c.client, done.Receipt.Revision))
	if names := stored(t, &store); len(names) != 2 {
		t.Errorf("the store holds %q, want an archive and its receipt", names)
	}
}

func compactAlways(t *testing.T, c *compactor, source etcdwalk.Source) {
	t.Helper()
	var store remotetest.Memory
	recipient, _ := newKeys(t)
	_, err := backup(meddling(source, 50, c.compact), &store, recipient).Run(t.Context())
	if !errors.Is(err, etcdwalk.ErrCompacted) || c.fired != 4 {
		t.Fatalf("after %d compactions: got %v, want an ErrCompacted after 4", c.fired, err)
	}
	for _, words := range []string{"walk 4 of at most 4 ran ", "compacts every 5 minutes"} {
		if !strings.Contains(err.Error(), words) {
			t.Errorf("the error does not say %q: %v", words, err)
		}
	}
	if names := stored(t, &store); len(names) != 0 {
		t.Errorf("the store holds %q, want nothing", names)
	}
}

// stored are the names in a store.
func stored(t *testing.T, store *remotetest.Memory) []string {
	t.Helper()
	var names []string
	for info, err := range store.List(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, info.Name)
	}
	return names
}

func TestBackupOutlivesAMember(t *testing.T) {
	servers := etcdproc.StartCluster(t, 3, etcdproc.Options{})
	client := servers[2].Client(t)
	populate(t, client, 4000, 2000)
	for i, name := range []string{"the first", "and then the second, with the first back"} {
		t.Run(name, func(t *testing.T) {
			killed := 0
			source := meddling(dial(t, servers...), 150, func() {
				servers[i].Kill()
				killed++
			})
			var store remotetest.Memory
			recipient, keys := newKeys(t)
			done, err := backup(source, &store, recipient).Run(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if killed != 1 || done.Outcome.Restarts != 0 {
				t.Errorf("%d members were killed, outcome %+v; want one killed and no restart", killed, done.Outcome)
			}
			servers[i].Restart()
			same(t, "the archive", contents(t, &store, done.Receipt.Name, keys), holdings(t, client, done.Receipt.Revision))
		})
	}
}

// FAULTS.md E33: others write on; the archive is of one moment.
func TestBackupIsOfOneMoment(t *testing.T) {
	for _, version := range etcdproc.Versions() {
		t.Run(version, func(t *testing.T) {
			server := etcdproc.Start(t, etcdproc.Options{Version: version})
			client := server.Client(t)
			populate(t, client, 3000, 2000)
			writing, stop := context.WithCancel(t.Context())
			written := make(chan int)
			go func() {
				n := 0
				for ; writing.Err() == nil; n++ {
					key, value := object(fmt.Sprintf("ns-%d", n%7), fmt.Sprintf("settings-%05d", n%5000), n%3000)
					if n%5 == 4 {
						_, _ = client.Delete(writing, key)
					} else {
						_, _ = client.Put(writing, key, value)
					}
				}
				written <- n
			}()
			for range 3 {
				var store remotetest.Memory
				recipient, keys := newKeys(t)
				done, err := backup(dial(t, server), &store, recipient).Run(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				same(t, "the archive", contents(t, &store, done.Receipt.Name, keys), holdings(t, client, done.Receipt.Revision))
			}
			stop()
			if n := <-written; n < 50 {
				t.Errorf("only %d writes were made meanwhile", n)
			}
		})
	}
}
