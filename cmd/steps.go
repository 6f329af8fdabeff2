package cmd

import "time"

// steps tell scripts what the steps of a restore cost, as far as they were
// taken. Verify includes the opening of the archive.
type steps struct {
	Verify *step `json:"verify,omitempty"`
	Plan   *step `json:"plan,omitempty"`
	Apply  *step `json:"apply,omitempty"`
}

// A step is the time that one took, and how many bytes of the archive, as it
// lies in its store, were read for it.
type step struct {
	Seconds      float64 `json:"seconds"`
	ArchiveBytes int64   `json:"archive_bytes"`

	took time.Duration
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
