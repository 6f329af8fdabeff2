package remotetest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kubeferry/kubeferry/remote"
)

// Run holds the driver whose empty stores open makes to the contract of
// [remote.Store].
func Run(t *testing.T, open func(t *testing.T) remote.Store) {
	for name, test := range map[string]func(*testing.T, remote.Store){
		"publishes whole objects":            testPublish,
		"takes objects of any size":          testSizes,
		"shows nothing before Commit":        testInvisible,
		"forgets what is aborted":            testAbort,
		"ends an upload once":                testEndsOnce,
		"refuses a wrong digest":             testDigest,
		"refuses a taken name":               testTaken,
		"lets one of many win":               testRace,
		"says what is absent":                testAbsent,
		"removes":                            testRemove,
		"lists by prefix and in order":       testList,
		"reads at random":                    testReadAt,
		"refuses invalid names":              testInvalidNames,
		"does nothing for a dead context":    testDeadContext,
		"ends an upload when its context is": testCancelledUpload,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

func testPublish(t *testing.T, s remote.Store) {
	before := time.Now().Add(-time.Minute)
	Publish(t, s, "a.zip", []byte("first"))
	Publish(t, s, "b.zip", []byte("second"))
	assertHolds(t, s, map[string]string{"a.zip": "first", "b.zip": "second"})
	for info, err := range s.List(t.Context(), "b") {
		if err != nil || info.Name != "b.zip" || info.Size != 6 || info.Modified.Before(before) {
			t.Errorf("got %+v, %v", info, err)
		}
	}
}

func testSizes(t *testing.T, s remote.Store) {
	for _, size := range []int{0, 1, 1<<16 + 1, 9<<20 + 12345} {
		name, data := fmt.Sprintf("object-%d", size), noise(size)
		u := create(t, s, name, nil)
		for rest := data; len(rest) > 0; {
			n, err := u.Write(rest[:min(len(rest), 70_001)])
			if err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		if err := u.Commit(remote.DigestOf(data)); err != nil {
			t.Fatalf("%d bytes: %v", size, err)
		}
		if got := Read(t, s, name); !bytes.Equal(got, data) {
			t.Errorf("%d bytes: got %d others", size, len(got))
		}
	}
}

func testInvisible(t *testing.T, s remote.Store) {
	u := create(t, s, "a", []byte("not yet"))
	assertHolds(t, s, map[string]string{})
	_, err := s.Open(t.Context(), "a")
	assertIs(t, "open", err, fs.ErrNotExist)
	if err := u.Abort(); err != nil {
		t.Error(err)
	}
}

func testAbort(t *testing.T, s remote.Store) {
	u := create(t, s, "a", []byte("dropped"))
	for range 2 {
		if err := u.Abort(); err != nil {
			t.Error(err)
		}
	}
	assertHolds(t, s, map[string]string{})
	Publish(t, s, "a", []byte("kept"))
	assertHolds(t, s, map[string]string{"a": "kept"})
}

func testEndsOnce(t *testing.T, s remote.Store) {
	data := []byte("x")
	u := create(t, s, "a", data)
	if err := u.Commit(remote.DigestOf(data)); err != nil {
		t.Fatal(err)
	}
	if err := u.Abort(); err != nil {
		t.Errorf("abort after commit: %v", err)
	}
	if err := u.Commit(remote.DigestOf(data)); err == nil {
		t.Error("a second commit succeeded")
	}
	if _, err := u.Write(data); err == nil {
		t.Error("a write after commit succeeded")
	}
	aborted := create(t, s, "b", data)
	if err := aborted.Abort(); err != nil {
		t.Fatal(err)
	}
	if err := aborted.Commit(remote.DigestOf(data)); err == nil {
		t.Error("a commit after abort succeeded")
	}
	if _, err := aborted.Write(data); err == nil {
		t.Error("a write after abort succeeded")
	}
	assertHolds(t, s, map[string]string{"a": "x"})
}

func testDigest(t *testing.T, s remote.Store) {
	data := []byte("what was written")
	for name, want := range map[string]remote.Digest{
		"other bytes":  remote.DigestOf([]byte("what was Written")),
		"another size": {Size: int64(len(data)) + 1, SHA256: sha256.Sum256(data)},
		"nothing":      {},
	} {
		u := create(t, s, "a", data)
		assertIs(t, name, u.Commit(want), remote.ErrDigest)
		if err := u.Abort(); err != nil {
			t.Errorf("%s: abort: %v", name, err)
		}
		assertHolds(t, s, map[string]string{})
	}
}

func testTaken(t *testing.T, s remote.Store) {
	late := create(t, s, "a", []byte("late"))
	Publish(t, s, "a", []byte("first"))
	assertIs(t, "commit", late.Commit(remote.DigestOf([]byte("late"))), fs.ErrExist)
	// A store may notice at once or at Commit.
	u, err := s.Create(t.Context(), "a")
	if err == nil {
		err = u.Commit(remote.DigestOf(nil))
	}
	assertIs(t, "create and commit", err, fs.ErrExist)
	assertHolds(t, s, map[string]string{"a": "first"})
}

func testRace(t *testing.T, s remote.Store) {
	const racers = 8
	errs := make([]error, racers)
	var uploads [racers]remote.Upload
	for i := range uploads {
		uploads[i] = create(t, s, "a", []byte{byte('0' + i)})
	}
	var wg sync.WaitGroup
	for i, u := range uploads {
		wg.Go(func() { errs[i] = u.Commit(remote.DigestOf([]byte{byte('0' + i)})) })
	}
	wg.Wait()
	winner := -1
	for i, err := range errs {
		switch {
		case err != nil:
			assertIs(t, "loser", err, fs.ErrExist)
		case winner >= 0:
			t.Errorf("%d and %d both won", winner, i)
		default:
			winner = i
		}
	}
	if winner < 0 {
		t.Fatal("nobody won")
	}
	assertHolds(t, s, map[string]string{"a": fmt.Sprint(winner)})
}

func testAbsent(t *testing.T, s remote.Store) {
	_, err := s.Open(t.Context(), "absent")
	assertIs(t, "open", err, fs.ErrNotExist)
	assertIs(t, "remove", s.Remove(t.Context(), "absent"), fs.ErrNotExist)
	assertHolds(t, s, map[string]string{})
}

func testRemove(t *testing.T, s remote.Store) {
	Publish(t, s, "a", []byte("1"))
	Publish(t, s, "b", []byte("2"))
	if err := s.Remove(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	assertHolds(t, s, map[string]string{"b": "2"})
	Publish(t, s, "a", []byte("again"))
	assertHolds(t, s, map[string]string{"a": "again", "b": "2"})
}

func testList(t *testing.T, s remote.Store) {
	for _, name := range []string{"prod-2", "b", "prod", "B", "prod.zip", "a-b", "a.b", "a"} {
		Publish(t, s, name, []byte(name))
	}
	for prefix, want := range map[string][]string{
		"":       {"B", "a", "a-b", "a.b", "b", "prod", "prod-2", "prod.zip"},
		"a":      {"a", "a-b", "a.b"},
		"prod":   {"prod", "prod-2", "prod.zip"},
		"prod-":  {"prod-2"},
		"absent": nil,
	} {
		if diff := cmp.Diff(Names(t, s, prefix), want); diff != "" {
			t.Errorf("prefix %q (-got +want):\n%s", prefix, diff)
		}
	}
	seen := 0
	for range s.List(t.Context(), "") {
		if seen++; seen == 2 {
			break
		}
	}
	if seen != 2 {
		t.Errorf("got %d objects before the break, want 2", seen)
	}
}

func testReadAt(t *testing.T, s remote.Store) {
	data := noise(300_000)
	Publish(t, s, "a", data)
	o, err := s.Open(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := o.Close(); err != nil {
			t.Error(err)
		}
	}()
	if got, want := o.Size(), int64(len(data)); got != want {
		t.Errorf("got size %d, want %d", got, want)
	}
	both := struct {
		io.Reader
		io.ReaderAt
	}{io.NewSectionReader(o, 0, o.Size()), o}
	if err := iotest.TestReader(both, data); err != nil {
		t.Error(err)
	}
	if n, err := o.ReadAt(make([]byte, 10), o.Size()-3); n != 3 || err != io.EOF {
		t.Errorf("across the end: got %d, %v, want 3, EOF", n, err)
	}
	if n, err := o.ReadAt(make([]byte, 10), o.Size()+3); n != 0 || err != io.EOF {
		t.Errorf("past the end: got %d, %v, want 0, EOF", n, err)
	}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			p, off := make([]byte, 1000), 37_000*i
			if _, err := o.ReadAt(p, int64(off)); err != nil || !bytes.Equal(p, data[off:off+len(p)]) {
				t.Errorf("concurrent read at %d: wrong bytes, error %v", off, err)
			}
		})
	}
	wg.Wait()
}

func testInvalidNames(t *testing.T, s remote.Store) {
	for _, name := range []string{"", ".", "..", "/", "/a", "a/", "../a", "a/../b", "a//b", "./a", "a\xff"} {
		_, err := s.Create(t.Context(), name)
		assertIs(t, fmt.Sprintf("create %q", name), err, fs.ErrInvalid)
		_, err = s.Open(t.Context(), name)
		assertIs(t, fmt.Sprintf("open %q", name), err, fs.ErrInvalid)
		assertIs(t, fmt.Sprintf("remove %q", name), s.Remove(t.Context(), name), fs.ErrInvalid)
	}
	assertHolds(t, s, map[string]string{})
}

func testDeadContext(t *testing.T, s remote.Store) {
	Publish(t, s, "a", []byte("1"))
	Publish(t, s, "b", []byte("2"))
	ctx, cancel := context.WithCancel(t.Context())
	o, err := s.Open(ctx, "a")
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	_, err = o.ReadAt(make([]byte, 1), 0)
	assertIs(t, "read", err, context.Canceled)
	if err := o.Close(); err != nil {
		t.Error(err)
	}
	_, err = s.Create(ctx, "c")
	assertIs(t, "create", err, context.Canceled)
	_, err = s.Open(ctx, "a")
	assertIs(t, "open", err, context.Canceled)
	assertIs(t, "remove", s.Remove(ctx, "a"), context.Canceled)
	items := 0
	for _, err = range s.List(ctx, "") {
		items++
	}
	assertIs(t, "list", err, context.Canceled)
	if items != 1 {
		t.Errorf("list: got %d items, want the error alone", items)
	}
	assertHolds(t, s, map[string]string{"a": "1", "b": "2"})
}

func testCancelledUpload(t *testing.T, s remote.Store) {
	for _, end := range []string{"write", "commit"} {
		ctx, cancel := context.WithCancel(t.Context())
		u, err := s.Create(ctx, "a")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := u.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		cancel()
		if end == "write" {
			_, err = u.Write([]byte("y"))
		} else {
			err = u.Commit(remote.DigestOf([]byte("x")))
		}
		assertIs(t, end, err, context.Canceled)
		if err := u.Abort(); err != nil {
			t.Errorf("abort after a cancelled %s: %v", end, err)
		}
		assertHolds(t, s, map[string]string{})
	}
	Publish(t, s, "a", []byte("free"))
}
