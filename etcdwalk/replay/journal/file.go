package journal

import (
	"bufio"
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"iter"
	"os"
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
	format = "kubeferry plan 1\t"
	end    = "end\t"
	// maxLine is more than any line has: keys of etcd are in requests of a few MiB.
	maxLine = 64 << 20
)

// A File holds the lines of a plan. It is not for several goroutines at once.
type File struct {
	f    *os.File
	w    *bufio.Writer
	name string

	key     []byte // of the seal
	seal    hash.Hash
	reasons map[string]int
	lines   int64
	line    []byte // to be used again
}

// Temporary makes a file in a folder ("": the system's) that no name leads to, and that is
// gone once it is closed. [File.Begin] begins it.
func Temporary(folder string) (*File, error) {
	f, err := os.CreateTemp(folder, "kubeferry-plan-*") // for its owner only
	if err != nil {
		return nil, fmt.Errorf("make a file for the plan: %w", classed(err))
	}
	if err := os.Remove(f.Name()); err != nil {
		return nil, errors.Join(fmt.Errorf("make a file for the plan: %w", err), f.Close())
	}
	return made(f), nil
}

// Copy makes a file in a folder ("": the system's) that no name leads to, with what is read of
// a file that was written, to be read; errors call it by its name.
func Copy(folder, name string, from io.Reader) (*File, error) {
	j, err := Temporary(folder)
	if err != nil {
		return nil, err
	}
	if _, err := io.Copy(j.f, from); err != nil {
		return nil, errors.Join(j.failed("copy", err), j.f.Close())
	}
	j.name = name // no longer that of the copy, which nobody can look at
	return j, nil
}

// CopyTo writes the file of a plan that has ended.
func (j *File) CopyTo(w io.Writer) error {
	_, err := io.Copy(w, io.NewSectionReader(j.f, 0, 1<<62))
	return j.failed("copy", err)
}

func made(f *os.File) *File {
	return &File{f: f, w: bufio.NewWriterSize(f, 64<<10), name: f.Name()}
}

// Begin forgets all lines, and writes the header, a text of one line that means something to
// the caller. The key seals the file: without it nobody can alter it unnoticed.
func (j *File) Begin(header, key []byte) error {
	if bytes.ContainsAny(header, "\r\n") {
		return j.failed("begin", errors.New("the header has several lines"))
	}
	j.w.Reset(j.f)
	j.key, j.seal, j.reasons, j.lines = key, hmac.New(sha256.New, key), map[string]int{}, 0
	_, err := j.f.Seek(0, io.SeekStart)
	if err = errors.Join(err, j.f.Truncate(0)); err != nil {
		return j.failed("begin", err)
	}
	j.line = append(append(append(j.line[:0], format...), header...), '\n')
	return j.write()
}

// Add appends a line.
func (j *File) Add(l Line) error {
	j.lines++
	j.line = l.append(j.line[:0], j.reasons)
	return j.write()
}

// write writes the line.
func (j *File) write() error {
	j.seal.Write(j.line)
	_, err := j.w.Write(j.line)
	return j.failed("write", err)
}

// End ends the plan: no line is added after that.
func (j *File) End() error {
	last := fmt.Sprintf("%s%d\t", end, j.lines)
	j.seal.Write([]byte(last))
	_, err := j.w.WriteString(last + digits.EncodeToString(j.seal.Sum(nil)) + "\n")
	if err == nil {
		err = j.w.Flush()
	}
	return j.failed("write", err)
}

// Header reads the header of a file that was opened.
func (j *File) Header() ([]byte, error) {
	in := j.scanner()
	in.Scan()
	header, is := bytes.CutPrefix(in.Bytes(), []byte(format))
	if !is {
		return nil, j.failed("read", errors.Join(in.Err(), fmt.Errorf("it does not begin as the file of a plan does%.0w", ErrDamaged)))
	}
	return bytes.Clone(header), nil
}

// Unseal gives a file that was opened the key of its seal.
func (j *File) Unseal(key []byte) { j.key = key }

func (j *File) scanner() *bufio.Scanner {
	in := bufio.NewScanner(io.NewSectionReader(j.f, 0, 1<<62))
	in.Buffer(make([]byte, 0, 64<<10), maxLine)
	in.Split(lines)
	return in
}

// lines splits a text into lines. What is not ended by a line feed is none.
func lines(data []byte, atEOF bool) (advance int, line []byte, err error) {
	if i := bytes.IndexByte(data, '\n'); i >= 0 {
		return i + 1, data[:i], nil
	}
	return 0, nil, nil
}

// Lines reads all lines of a plan that has ended, from the first. A line is valid until the
// next. What is wrong with the file is an [ErrDamaged] that names the line; that it was
// altered may turn out only at its end.
func (j *File) Lines() iter.Seq2[Line, error] {
	return func(yield func(Line, error) bool) {
		n, in, seal := int64(0), j.scanner(), hmac.New(sha256.New, j.key)
		wrong := func(what error) {
			yield(Line{}, j.failed(fmt.Sprintf("read line %d of", n+2), fmt.Errorf("%w%.0w", what, ErrDamaged)))
		}
		if _, err := j.Header(); err != nil {
			yield(Line{}, err)
			return
		}
		in.Scan()
		seal.Write(append(in.Bytes(), '\n'))
		var reasons []string
		for in.Scan() {
			if bytes.HasPrefix(in.Bytes(), []byte(end)) {
				last := fmt.Sprintf("%s%d\t", end, n)
				seal.Write([]byte(last))
				if want := last + digits.EncodeToString(seal.Sum(nil)); in.Text() != want || in.Scan() {
					wrong(errors.New("the end does not fit the lines before it: the file was altered"))
				}
				return
			}
			seal.Write(append(in.Bytes(), '\n'))
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
