package cmd

import "time"

// steps tell scripts what the steps of a restore cost, as far as they were
// taken. Verify includes the opening of the archive. Signs is what of the watch for signs of
// API servers nothing else was done in.
type steps struct {
	Verify *step `json:"verify,omitempty"`
	Plan   *step `json:"plan,omitempty"`
	Signs  *step `json:"signs,omitempty"`
	Apply  *step `json:"apply,omitempty"`
	// Back and Watch are the looks at what was written: they are no part of Apply.
	Back  *step `json:"read_back,omitempty"`
	Watch *step `json:"watch,omitempty"`
}

// A step is the time that one took, and how many bytes of the archive, as it
// lies in its store, were read for it.
type step struct {
	Seconds      float64 `json:"seconds"`
	ArchiveBytes int64   `json:"archive_bytes"`

	took time.Duration
}

// split takes the time that was only waited out of a step; nil: none was.
func (s *step) split(waited time.Duration) (own, waiting *step) {
	if waited <= 0 {
		return s, nil
	}
	took := max(0, s.took-waited)
	return &step{Seconds: took.Seconds(), ArchiveBytes: s.ArchiveBytes, took: took}, &step{Seconds: waited.Seconds(), took: waited}
}

// A stopwatch tells what passes between one lap and the next.
type stopwatch struct {
	now  func() time.Time
	read func() int64 // how many bytes have been read so far

	begun  time.Time
	before int64
}

func (w *stopwatch) lap() *step {
	now, read := w.now(), w.read()
	took := now.Sub(w.begun)
	lap := &step{Seconds: took.Seconds(), ArchiveBytes: read - w.before, took: took}
	w.begun, w.before = now, read
	return lap
}

// without does something that is nobody's step.
func (w *stopwatch) without(do func() error) error {
	stopped := w.now()
	defer func() { w.begun = w.begun.Add(w.now().Sub(stopped)) }()
	return do()
}
