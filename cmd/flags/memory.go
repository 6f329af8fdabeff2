package flags

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/pflag"

	"github.com/kubeferry/kubeferry/cmd/console"
	"github.com/kubeferry/kubeferry/remote"
	"github.com/kubeferry/kubeferry/remote/catalog"
	"github.com/kubeferry/kubeferry/remote/dir"
	"github.com/kubeferry/kubeferry/remote/s3"
)

// stateDir is where root's state is kept.
const stateDir = "/var/lib/kubeferry"

// stateFolder is where this user's state is kept, unless something says otherwise.
func (s *Settings) stateFolder() (string, error) {
	if os.Geteuid() == 0 {
		return stateDir, nil
	}
	state, _ := s.Getenv("XDG_STATE_HOME")
	if state == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", err
		}
		state = filepath.Join(home, ".local", "state")
	}
	return filepath.Join(state, "kubeferry"), nil
}

// remembering is the flag that says where this machine keeps what it knows of places.
type remembering struct {
	s   *Settings
	dir string
}

func (f *remembering) addFlags(set *pflag.FlagSet, s *Settings) {
	f.s = s
	group(set, titleS3, topicS3, func(own *pflag.FlagSet) {
		own.StringVar(&f.dir, "state-dir", "", "`FOLDER` of what this machine knows of S3 stores, so that prune finds out if a listing leaves an archive out (default "+stateDir+", for other users than root $XDG_STATE_HOME/kubeferry)")
	})
}

// of is what is known of a store; nil: of others than S3 it is not kept.
func (f *remembering) of(store remote.Store) *Memory {
	far, ok := store.(*s3.Store)
	if !ok {
		return nil
	}
	folder := f.dir
	if folder == "" {
		var err error
		if folder, err = f.s.stateFolder(); err != nil {
			return nil // this user has no place for it
		}
	}
	digest := sha256.Sum256([]byte(far.Place()))
	return &Memory{s: f.s, place: far.Place(), path: filepath.Join(folder, "places", hex.EncodeToString(digest[:8])+".json")}
}

// A Memory is a file with the names of the finished archives that this machine has stored
// or seen in one place. What is wrong with it is told with -v: no backup fails for want
// of it. Nil knows nothing.
type Memory struct {
	s           *Settings
	place, path string
}

// remembered is what is in the file.
type remembered struct {
	Place    string   `json:"place"`
	Archives []string `json:"archives"`
}

// Bounds of a memory: how many bytes are read, and how many archives a machine that never
// prunes remembers.
const (
	maxRemembered = 16 << 20
	mostStored    = 1000
)

// Recall tells their names.
func (m *Memory) Recall() []string {
	if m == nil {
		return nil
	}
	known, err := m.read()
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		m.s.Log().Warn("what this machine knows of the store cannot be read", "file", m.path, "why", err)
		return nil
	}
	return known
}

func (m *Memory) read() ([]string, error) {
	file, err := os.Open(m.path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // it was only read
	var all remembered
	if err := json.NewDecoder(io.LimitReader(file, maxRemembered)).Decode(&all); err != nil {
		return nil, err
	}
	if all.Place != m.place {
		return nil, errors.New("it is of another place")
	}
	return slices.DeleteFunc(all.Archives, func(name string) bool { return !catalog.IsArchive(name) }), nil
}

// Keep replaces them.
func (m *Memory) Keep(archives []string) {
	if m == nil {
		return
	}
	if err := m.write(archives); err != nil {
		m.s.Log().Warn("what this machine knows of the store cannot be kept", "file", m.path, "why", console.Cause(err))
	}
}

// write replaces the file as a whole, or not at all.
func (m *Memory) write(archives []string) (err error) {
	data, err := json.Marshal(remembered{m.place, archives})
	if err != nil {
		return err
	}
	folder := filepath.Dir(m.path)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	file, err := os.CreateTemp(folder, ".kubeferry-*.json") // 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(file.Name()))
		}
	}()
	_, err = file.Write(data)
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	return os.Rename(file.Name(), m.path)
}

// AddMemory adds the flag about what this machine knows of the place.
func (f *Stock) AddMemory(set *pflag.FlagSet, s *Settings) { f.remembering.addFlags(set, s) }

// OpenKnown is Open, with what this machine knows of the place.
func (f *Stock) OpenKnown(ctx context.Context, word string, options dir.Options) (remote.Store, *Memory, error) {
	store, err := f.Open(ctx, word, options)
	if err != nil {
		return nil, nil, err
	}
	return store, f.remembering.of(store), nil
}

// Remember notes that the archive of that name is in the place.
func (p Place) Remember(name string) {
	known := append(p.memory.Recall(), name)
	p.memory.Keep(known[max(0, len(known)-mostStored):])
}
