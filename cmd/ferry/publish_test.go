package ferry_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kubeferry/kubeferry/cmd/ferry"
	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
	"github.com/kubeferry/kubeferry/etcdwalk/walktest"
	"github.com/kubeferry/kubeferry/remote"
	"github.com/kubeferry/kubeferry/remote/catalog"
	"github.com/kubeferry/kubeferry/remote/dir"
	"github.com/kubeferry/kubeferry/remote/remotetest"
)

const named = "shop.zip.age"

// TestTheReceiptIsPublishedLast: P3, LP1. It is not even begun before the
// archive is durable under its name.
func TestTheReceiptIsPublishedLast(t *testing.T) {
	var steps []string
	store := remotetest.Memory{Fault: func(op, name string) error {
		// Aborts are deferred, and do nothing after a commit.
		if step := op + " " + name; op != "abort" && (len(steps) == 0 || steps[len(steps)-1] != step) {
			steps = append(steps, step)
		}
		return nil
	}}
	recipient, _ := newKeys(t)
	b := backup(walktest.NewView(objects(10)...), &store, recipient)
	b.Name = named
	if _, err := b.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	receipt := catalog.ReceiptName(named)
	want := []string{
		"create " + named,
		"open " + receipt, // nobody else's
		"write " + named, "commit " + named,
		"create " + receipt, "write " + receipt, "commit " + receipt,
	}
	if diff := cmp.Diff(steps, want); diff != "" {
		t.Errorf("steps (-got +want):\n%s", diff)
	}
}

// TestAStoreThatFailsAtAnyStep: P1, P3, L01, L05. The error has its class, and
// nothing new is listed.
func TestAStoreThatFailsAtAnyStep(t *testing.T) {
	receipt := catalog.ReceiptName(named)
	for fault, want := range map[error]error{
		syscall.EIO:       remote.ErrUnavailable,
		remote.ErrNoSpace: remote.ErrNoSpace,
		remote.ErrDigest:  remote.ErrDigest,
		fs.ErrPermission:  fs.ErrPermission,
		fs.ErrExist:       fs.ErrExist,
	} {
		for _, step := range []string{"create " + named, "write " + named, "commit " + named, "create " + receipt, "write " + receipt, "commit " + receipt} {
			t.Run(fmt.Sprintf("%v at %s", fault, step), func(t *testing.T) {
				fired := 0
				store := remotetest.Memory{Fault: func(op, name string) error {
					if op+" "+name != step || fired > 0 {
						return nil
					}
					fired++
					return fault
				}}
				recipient, _ := newKeys(t)
				b := backup(walktest.NewView(objects(10)...), &store, recipient)
				b.Name = named
				if _, err := b.Run(t.Context()); !errors.Is(err, want) || !errors.Is(err, fault) || !strings.Contains(err.Error(), named) || fired != 1 {
					t.Errorf("after %d faults: got %v, want %v about %s", fired, err, want, named)
				}
				listing, err := catalog.List(t.Context(), &store)
				if err != nil || len(listing.Items) != 0 {
					t.Errorf("%d archives are listed, %v", len(listing.Items), err)
				}
				if _, there := store.Get(named); there && strings.HasSuffix(step, named) {
					t.Error("the archive is there")
				}
			})
		}
	}
}

// TestAReceiptThatIsThereAlready: what was left of another archive would be
// taken for the new one's.
func TestAReceiptThatIsThereAlready(t *testing.T) {
	var store remotetest.Memory
	recipient, keys := newKeys(t)
	b := backup(walktest.NewView(objects(10)...), &store, recipient)
	b.Name = named
	if _, err := b.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := store.Remove(t.Context(), named); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Run(t.Context()); !errors.Is(err, fs.ErrExist) || !strings.Contains(err.Error(), "receipt") {
		t.Errorf("got %v, want an fs.ErrExist about the receipt", err)
	}
	if _, there := store.Get(named); there {
		t.Error("there is an archive beside another's receipt")
	}
	if err := store.Remove(t.Context(), catalog.ReceiptName(named)); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Run(t.Context()); err != nil {
		t.Error(err)
	}
	contents(t, &store, named, keys)
}

// TestReceiptsTellNoNames: AR4, of a backup that was selected by names. Its kinds are
// told, what is called so in them is not.
func TestReceiptsTellNoNames(t *testing.T) {
	var store remotetest.Memory
	recipient, _ := newKeys(t)
	b := backup(walktest.NewView(objects(10)...), &store, recipient)
	b.Query = query(t, kube.Filter{Include: []string{"cm/settings-003"}, Namespaces: []string{"shop"}})
	done, err := b.Run(t.Context())
	if err != nil || done.Receipt.Keys != 1 || done.Receipt.Whole {
		t.Fatalf("%+v, %v; want one key", done.Receipt, err)
	}
	text, ok := store.Get(catalog.ReceiptName(done.Receipt.Name))
	if !ok {
		t.Fatal("there is no receipt")
	}
	for _, word := range []string{"shop", "settings", "registry", "tester", recipient.String(), recipient.String()[:12]} {
		if strings.Contains(strings.ToLower(string(text)+done.Receipt.Name), word) {
			t.Errorf("the receipt tells of %q:\n%s", word, text)
		}
	}
	if got, want := done.Receipt.Scope(), "configmaps (1 object) in 1 namespace"; got != want {
		t.Errorf("the receipt tells of the selection %q, want %q", got, want)
	}
}

// noisy is n ConfigMaps that do not compress.
func noisy(n int) []etcdwalk.Entry {
	random := rand.New(rand.NewPCG(1, 2))
	entries := objects(0)
	for i := range n {
		key, _ := object("shop", fmt.Sprintf("noise-%05d", i), 0)
		value := []byte("{plaintext")
		for range 2000 {
			value = append(value, byte(random.Uint32()))
		}
		entries = append(entries, etcdwalk.Entry{Key: []byte(key), Value: value, CreateRevision: 2, ModRevision: 3, Version: 1})
	}
	return entries
}

// TestTheSpoolHoldsCiphertextOnly: AR1, seen while it is written.
func TestTheSpoolHoldsCiphertextOnly(t *testing.T) {
	folder := t.TempDir()
	recipient, _ := newKeys(t)
	b := backup(walktest.NewView(noisy(5000)...), dir.New(folder, dir.Options{}), recipient)
	looked := 0
	b.Progress = func(_ ferry.Phase, done, _ int64) {
		if done != 4900 {
			return
		}
		partials, err := filepath.Glob(filepath.Join(folder, ".kubeferry-*.partial"))
		if err != nil || len(partials) != 1 {
			t.Fatalf("%q, %v; want one partial", partials, err)
		}
		spool, err := os.ReadFile(partials[0])
		if err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(partials[0])
		if err != nil || info.Mode() != 0o600 {
			t.Errorf("the spool has mode %v, %v", info.Mode(), err)
		}
		if looked = len(spool); !bytes.HasPrefix(spool, []byte("age-encryption.org/v1\n")) {
			t.Errorf("the spool begins with %q", spool[:min(len(spool), 40)])
		}
		for _, plain := range []string{"PK\x03\x04", "README.txt", "header.json", "{plaintext", "/registry/"} {
			if bytes.Contains(spool, []byte(plain)) {
				t.Errorf("the spool holds %q", plain)
			}
		}
	}
	if _, err := b.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if looked < 1<<20 {
		t.Errorf("%d bytes of the spool were seen", looked)
	}
}

// A lying snapshot changes one step of its walk.
type lying struct {
	etcdwalk.View
	lie  func(e etcdwalk.Entry) etcdwalk.Entry
	told *int
}

func (l lying) Walk(ctx context.Context, sel etcdwalk.Selection) iter.Seq2[etcdwalk.Entry, error] {
	return func(yield func(etcdwalk.Entry, error) bool) {
		n := 0
		for e, err := range l.View.Walk(ctx, sel) {
			if n++; n == 7 {
				e = l.lie(e)
				*l.told++
			}
			if !yield(e, err) {
				return
			}
		}
	}
}

// TestASourceThatLiesLeavesNothing: E10, whatever the driver lets through.
func TestASourceThatLiesLeavesNothing(t *testing.T) {
	for name, lie := range map[string]func(etcdwalk.Entry) etcdwalk.Entry{
		"a key out of order":       func(e etcdwalk.Entry) etcdwalk.Entry { e.Key = []byte("/registry/a"); return e },
		"a key out of range":       func(e etcdwalk.Entry) etcdwalk.Entry { e.Key = []byte("/zzz"); return e },
		"a record of another key":  func(e etcdwalk.Entry) etcdwalk.Entry { e.Record = []byte{10, 1, 'x'}; return e },
		"a record that is no such": func(e etcdwalk.Entry) etcdwalk.Entry { e.Record = []byte{0xff}; return e },
	} {
		t.Run(name, func(t *testing.T) {
			told := 0
			source := walktest.NewView(objects(20)...)
			var store remotetest.Memory
			recipient, _ := newKeys(t)
			_, err := backup(only(lying{source, lie, &told}), &store, recipient).Run(t.Context())
			if !errors.Is(err, etcdwalk.ErrInvariant) || told == 0 {
				t.Errorf("after %d lies: got %v, want %v", told, err, etcdwalk.ErrInvariant)
			}
			if names := remotetest.Names(t, &store, ""); !slices.Equal(names, nil) {
				t.Errorf("%q are left, want nothing", names)
			}
		})
	}
}

// TestGivingUpTellsTheTimeThatAWalkTook: WK4.
func TestGivingUpTellsTheTimeThatAWalkTook(t *testing.T) {
	clock, walks := time.Date(2026, 3, 14, 15, 9, 26, 0, time.UTC), 0
	view := walktest.NewView(objects(50)...)
	view.Err, view.ErrAfter = etcdwalk.ErrCompacted, 30
	source := meddling(view, 20, func() {
		walks++
		clock = clock.Add(time.Duration(walks) * time.Minute)
	})
	var store remotetest.Memory
	recipient, _ := newKeys(t)
	b := backup(source, &store, recipient)
	b.Now = func() time.Time { return clock }
	done, err := b.Run(t.Context())
	if !errors.Is(err, etcdwalk.ErrCompacted) || !strings.Contains(err.Error(), "walk 4 of at most 4 ran 4m0s ") || walks != 4 {
		t.Errorf("after %d walks: got %v, want the time of the fourth", walks, err)
	}
	if want := 10 * time.Minute; done.Duration != want {
		t.Errorf("all of it took %s, want %s", done.Duration, want)
	}
}

// TestEncryptedWhereOneInTheClearIsExpected: A10, the other direction.
func TestEncryptedWhereOneInTheClearIsExpected(t *testing.T) {
	p := newPatient(t, 3)
	const plain = "shop.zip"
	p.store.Put(plain, p.whole)
	for _, keys := range []ferry.Keys{p.keys, {}, {AcceptUnencrypted: true}} {
		if _, err := ferry.Open(t.Context(), &p.store, plain, keys); !errors.Is(err, ferry.ErrPolicy) || !strings.Contains(err.Error(), "*.zip.age") {
			t.Errorf("got %v, want %v", err, ferry.ErrPolicy)
		}
	}
}
