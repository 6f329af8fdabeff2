package journal

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"strconv"
	"syscall"
)

// The errors of a file, beside those of the system.
var (
	// ErrDamaged: it is not as it was written, or is no such file.
	ErrDamaged = errors.New("it is damaged")
	// ErrNoSpace: the disk that it is on is full.
	ErrNoSpace = errors.New("the disk is full")
)

const (
	format = "kubeferry plan 1"
	end    = "end"
	// maxLine is more than any line has: keys of etcd are in requests of a few MiB.
	maxLine = 64 << 20
)

// A File holds the lines of a plan. It is not for several goroutines at once.
type File struct {
	f       *os.File
	w       *bufio.Writer
	name    string
	reasons map[string]int
	lines   int64
	line    []byte // to be used again
}

// Temporary makes a file in a folder ("": the system's) that no name leads to, and that is
// gone once it is closed.
func Temporary(folder string) (*File, error) {
	f, err := os.CreateTemp(folder, "kubeferry-plan-*") // for its owner only
	if err != nil {
		return nil, fmt.Errorf("make a file for the plan: %w", classed(err))
	}
	if err := os.Remove(f.Name()); err != nil {
		return nil, errors.Join(fmt.Errorf("make a file for the plan: %w", err), f.Close())
	}
	return begin(f)
}

// Create makes a file at a path where none is, for its owner only.
func Create(path string) (*File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, fmt.Errorf("make a file for the plan: %w", classed(err))
	}
	return begin(f)
}

// Open opens a file to be read.
func Open(path string) (*File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open the file of a plan: %w", err)
	}
	return &File{f: f, name: path}, nil
}

func begin(f *os.File) (*File, error) {
	j := &File{f: f, w: bufio.NewWriterSize(f, 64<<10), name: f.Name()}
	if err := j.Begin(); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return j, nil
}

// Begin forgets all lines.
func (j *File) Begin() error {
	j.w.Reset(j.f)
	j.reasons, j.lines = map[string]int{}, 0
	_, err := j.f.Seek(0, io.SeekStart)
	if err = errors.Join(err, j.f.Truncate(0)); err != nil {
		return j.failed("begin", err)
	}
	_, err = j.w.WriteString(format + "\n")
	return j.failed("begin", err)
}

// Add appends a line.
func (j *File) Add(l Line) error {
	j.lines++
	j.line = l.append(j.line[:0], j.reasons)
	_, err := j.w.Write(j.line)
	return j.failed("write", err)
}

// End ends the plan: no line is added after that.
func (j *File) End() error {
	_, err := fmt.Fprintf(j.w, "%s\t%d\n", end, j.lines)
	if err == nil {
		err = j.w.Flush()
	}
	return j.failed("write", err)
}

// Lines reads all lines of a plan that has ended, from the first. A line is valid until the
// next. What is wrong with the file is an [ErrDamaged] that names the line.
func (j *File) Lines() iter.Seq2[Line, error] {
	return func(yield func(Line, error) bool) {
		var reasons []string
		n, in := int64(0), bufio.NewScanner(io.NewSectionReader(j.f, 0, 1<<62))
		in.Buffer(make([]byte, 0, 64<<10), maxLine)
		wrong := func(what error) {
			yield(Line{}, j.failed(fmt.Sprintf("read line %d of", n+1), fmt.Errorf("%w%.0w", what, ErrDamaged)))
		}
		if !in.Scan() || in.Text() != format {
			yield(Line{}, j.failed("read", errors.Join(in.Err(), fmt.Errorf("it does not begin with %q%.0w", format, ErrDamaged))))
			return
		}
		for in.Scan() {
			if told, is := bytes.CutPrefix(in.Bytes(), []byte(end+"\t")); is {
				if string(told) != strconv.FormatInt(n, 10) {
					wrong(fmt.Errorf("it tells of %s lines, and there are %d", told, n))
				}
				return
			}
			var line Line
			var err error
			if line, reasons, err = parse(in.Bytes(), reasons); err != nil {
				wrong(err)
				return
			}
			if n++; !yield(line, nil) {
				return
			}
		}
		wrong(errors.Join(in.Err(), errors.New("the end is missing")))
	}
}

// Size is how many bytes the file has.
func (j *File) Size() (int64, error) {
	info, err := j.f.Stat()
	if err != nil {
		return 0, j.failed("look at", err)
	}
	return info.Size(), nil
}

// Close lets go of the file.
func (j *File) Close() error { return j.failed("close", j.f.Close()) }

func (j *File) failed(doing string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s the file of the plan (%s): %w", doing, j.name, classed(err))
}

// classed gives the error of a full disk its class.
func classed(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return fmt.Errorf("%w%.0w", err, ErrNoSpace)
	}
	return err
}
