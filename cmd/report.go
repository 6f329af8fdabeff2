package cmd

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/kubeferry/kubeferry/cmd/console"
	"github.com/kubeferry/kubeferry/etcdwalk/replay"
	"github.com/kubeferry/kubeferry/remote"
)

// A report is the file that --report names: one line for each key. Without a
// name it takes everything and keeps nothing. Until it is begun again it tells
// of a plan.
type report struct {
	file    *os.File
	w       *bufio.Writer
	applied bool
}

// openReport makes the file. It holds the names of objects, so it is for its
// owner only; one that is there already is somebody's.
func openReport(path string) (*report, error) {
	if path == "" {
		return &report{}, nil
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, fmt.Errorf("make the report: %w", err)
	}
	return &report{file: f, w: bufio.NewWriter(f)}, nil
}

// line is one outcome. Key is readable; Bytes has the key itself where it
// cannot be shown as text. Planned says that the outcome would have been that,
// and that nothing was written.
type line struct {
	Key      string      `json:"key"`
	Bytes    []byte      `json:"key_bytes,omitempty"`
	Outcome  replay.Fate `json:"outcome"`
	Planned  bool        `json:"planned,omitempty"`
	Reason   string      `json:"reason,omitempty"`
	Revision int64       `json:"revision,omitempty"`
}

func newLine(told replay.Line) line {
	l := line{Key: string(told.Key), Outcome: told.Fate, Reason: told.Reason, Revision: told.Revision}
	if console.Printable(l.Key) != l.Key {
		l.Bytes = told.Key
	}
	return l
}

func (r *report) add(told replay.Line) error {
	if r.file == nil {
		return nil
	}
	l := newLine(told)
	l.Planned = !r.applied
	b, err := json.Marshal(l)
	if err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	if _, err := r.w.Write(append(b, '\n')); err != nil {
		return fmt.Errorf("write the report: %w", crowded(err))
	}
	return nil
}

// crowded gives an error of a full disk its class. Other errors of the report's file are
// not those of a store of archives.
func crowded(err error) error {
	if classed := remote.System(err); errors.Is(classed, remote.ErrNoSpace) {
		return classed
	}
	return err
}

// restart forgets the plan: from now on it is told what was done.
func (r *report) restart() error {
	r.applied = true
	if r.file == nil {
		return nil
	}
	r.w.Reset(r.file)
	_, err := r.file.Seek(0, io.SeekStart)
	if err := errors.Join(err, r.file.Truncate(0)); err != nil {
		return fmt.Errorf("begin the report again: %w", err)
	}
	return nil
}

func (r *report) close() error {
	if r.file == nil {
		return nil
	}
	if err := errors.Join(r.w.Flush(), r.file.Sync(), r.file.Close()); err != nil {
		return fmt.Errorf("finish the report: %w", crowded(err))
	}
	return nil
}
