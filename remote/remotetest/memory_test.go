package remotetest_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubeferry/kubeferry/remote"
	"github.com/kubeferry/kubeferry/remote/remotetest"
)

func TestMemory(t *testing.T) {
	remotetest.Run(t, func(*testing.T) remote.Store { return &remotetest.Memory{} })
}

// use does one of each operation and returns the first error.
func use(t *testing.T, s remote.Store) error {
	u, err := s.Create(t.Context(), "a")
	if err != nil {
		return err
	}
	_, errWrite := u.Write([]byte("x"))
	if err := errors.Join(errWrite, u.Commit(remote.DigestOf([]byte("x")))); err != nil {
		return errors.Join(err, u.Abort())
	}
	for _, err := range s.List(t.Context(), "") {
		if err != nil {
			return err
		}
	}
	o, err := s.Open(t.Context(), "a")
	if err != nil {
		return err
	}
	if _, err := o.ReadAt(make([]byte, 1), 0); err != nil {
		return err
	}
	return errors.Join(o.Close(), s.Remove(t.Context(), "a"))
}

func TestMemoryAsksForFaults(t *testing.T) {
	injected := errors.New("injected")
	ops := []string{"create", "write", "commit", "list", "open", "read", "remove"}
	var asked []string
	m := &remotetest.Memory{Fault: func(op, _ string) error {
		if !slices.Contains(asked, op) {
			asked = append(asked, op)
		}
		return nil
	}}
	if err := use(t, m); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(asked, ops); diff != "" {
		t.Errorf("asked (-got +want):\n%s", diff)
	}
	for _, op := range ops {
		fired := 0
		m := &remotetest.Memory{Fault: func(o, _ string) error {
			if o != op {
				return nil
			}
			fired++
			return injected
		}}
		if err := use(t, m); !errors.Is(err, injected) || fired == 0 {
			t.Errorf("%s: got %v after %d faults, want the injected one", op, err, fired)
		}
		if _, published := m.Get("a"); published && slices.Contains(ops[:3], op) {
			t.Errorf("%s: published in spite of the fault", op)
		}
	}
}

func TestMemoryPutReplaces(t *testing.T) {
	var m remotetest.Memory
	m.Put("a", []byte("1"))
	m.Put("a", []byte("2"))
	got, ok := m.Get("a")
	if string(got) != "2" || !ok {
		t.Errorf("got %q, %v", got, ok)
	}
	if _, ok := m.Get("b"); ok {
		t.Error("found what is not there")
	}
}
