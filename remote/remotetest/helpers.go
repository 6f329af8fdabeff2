package remotetest

import (
	"errors"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubeferry/kubeferry/remote"
)

// Publish puts an object into the store, by its contract, or ends the test.
func Publish(t testing.TB, s remote.Store, name string, data []byte) {
	t.Helper()
	u := create(t, s, name, data)
	if err := u.Commit(remote.DigestOf(data)); err != nil {
		t.Fatal(err)
	}
}

func create(t testing.TB, s remote.Store, name string, data []byte) remote.Upload {
	t.Helper()
	u, err := s.Create(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := u.Write(data); n != len(data) || err != nil {
		t.Fatalf("write: got %d, %v, want %d", n, err, len(data))
	}
	return u
}

// Read returns an object's bytes, or ends the test.
func Read(t testing.TB, s remote.Store, name string) []byte {
	t.Helper()
	o, err := s.Open(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(io.NewSectionReader(o, 0, o.Size()))
	if err != nil {
		t.Fatal(err)
	}
	if err := o.Close(); err != nil {
		t.Fatal(err)
	}
	return data
}

// Names lists the names that begin with prefix, or ends the test.
func Names(t testing.TB, s remote.Store, prefix string) []string {
	t.Helper()
	var names []string
	for info, err := range s.List(t.Context(), prefix) {
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, info.Name)
	}
	return names
}

// assertHolds wants exactly these objects in the store.
func assertHolds(t *testing.T, s remote.Store, want map[string]string) {
	t.Helper()
	got := make(map[string]string)
	for _, name := range Names(t, s, "") {
		got[name] = string(Read(t, s, name))
	}
	if diff := cmp.Diff(got, want); diff != "" {
		t.Errorf("the store (-got +want):\n%s", diff)
	}
}

func assertIs(t *testing.T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: got error %v, want %v", what, err, want)
	}
}

func noise(n int) []byte {
	p := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{7}).Read(p) // never fails
	return p
}
