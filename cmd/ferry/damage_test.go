package ferry_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"testing"

	"github.com/kubeferry/kubeferry/archive"
	"github.com/kubeferry/kubeferry/cmd/ferry"
	"github.com/kubeferry/kubeferry/crypt"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
	"github.com/kubeferry/kubeferry/etcdwalk/walktest"
	"github.com/kubeferry/kubeferry/remote/remotetest"
)

// A patient is a small encrypted archive to be damaged, and a target that must
// not hear of it.
type patient struct {
	whole  []byte
	keys   ferry.Keys
	target *walktest.Target
	store  remotetest.Memory
}

const sick = "sick.zip.age"

func newPatient(t *testing.T, n int) *patient {
	t.Helper()
	recipient, keys := newKeys(t)
	p := &patient{keys: keys, target: walktest.NewTarget()}
	b := backup(walktest.NewView(objects(n)...), &p.store, recipient)
	b.Pipe = true // what is damaged must be found without its help
	done, err := b.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	p.whole, _ = p.store.Get(done.Receipt.Name)
	return p
}

// restore goes the way of the command: nothing is planned before all is
// verified.
func (p *patient) restore(t *testing.T, data []byte) error {
	t.Helper()
	p.store.Put(sick, data)
	a, err := ferry.Open(t.Context(), &p.store, sick, p.keys)
	if err != nil {
		return err
	}
	defer a.Close()
	if _, err := a.Verify(t.Context(), nil, nil); err != nil {
		return err
	}
	r := ferry.Restore{Source: a, Cluster: p.target.View(), Target: p.target, Scenario: kube.ScenarioNew}
	planned, err := r.Plan(t.Context())
	if err != nil {
		return err
	}
	_, err = r.Apply(t.Context(), planned)
	return err
}

// refused fails the test unless the damage was found, and named, before the
// target was asked anything.
func (p *patient) refused(t *testing.T, what string, data []byte) {
	t.Helper()
	err := p.restore(t, data)
	if !errors.Is(err, crypt.ErrNoMatch) && !errors.Is(err, crypt.ErrDamaged) && !errors.Is(err, archive.ErrDamaged) {
		t.Errorf("%s: got %v, want an error of the archive", what, err)
	}
	if calls := p.target.Calls(); calls != (walktest.Calls{}) {
		t.Fatalf("%s: the target was asked: %+v", what, calls)
	}
}

func TestEveryFlippedByteIsFoundBeforeTheTargetIsAsked(t *testing.T) {
	p := newPatient(t, 3)
	bits := 1
	if os.Getenv("KUBEFERRY_LONG") != "" {
		bits = 8
	}
	for i := range p.whole {
		for bit := range bits {
			data := bytes.Clone(p.whole)
			data[i] ^= 1 << ((i + bit) % 8)
			p.refused(t, fmt.Sprintf("byte %d of %d, bit %d", i, len(data), (i+bit)%8), data)
		}
	}
	p.cured(t)
}

func TestEveryCutIsFoundBeforeTheTargetIsAsked(t *testing.T) {
	p := newPatient(t, 3)
	for i := range p.whole {
		p.refused(t, fmt.Sprintf("cut to %d of %d bytes", i, len(p.whole)), p.whole[:i])
	}
	p.cured(t)
}

func TestWhatIsAddedIsFoundBeforeTheTargetIsAsked(t *testing.T) {
	p := newPatient(t, 3)
	other := newPatient(t, 3)
	for name, data := range map[string][]byte{
		"a byte appended":    append(bytes.Clone(p.whole), 0),
		"a newline appended": append(bytes.Clone(p.whole), '\n'),
		"doubled":            append(bytes.Clone(p.whole), p.whole...),
		"another joined":     append(bytes.Clone(p.whole), other.whole...),
		"junk in front":      append([]byte("junk"), p.whole...),
		"for somebody else":  other.whole,
	} {
		p.refused(t, name, data)
	}
	p.cured(t)
}

// cured makes sure that it was the damage that was refused.
func (p *patient) cured(t *testing.T) {
	t.Helper()
	if err := p.restore(t, p.whole); err != nil {
		t.Errorf("the archive as it was: %v", err)
	}
	const tried = 2 // one of each kind, which could not come true
	if got, want := p.target.Calls().Writes, len(objects(3))+tried; got != want {
		t.Errorf("%d writes, want %d", got, want)
	}
}
