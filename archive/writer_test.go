package archive

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubeferry/kubeferry/etcdwalk"
)

func newTestWriter(t *testing.T, w io.Writer) *Writer {
	t.Helper()
	out, err := NewWriter(w, testHeader(), testClass)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestWriterRefusesWhatItsSourceMustNotDo(t *testing.T) {
	sound := etcdwalk.Entry{Key: []byte("k"), Value: []byte("v"), ModRevision: 7, CreateRevision: 6, Version: 2, Lease: 5}
	with := func(change func(e *etcdwalk.Entry)) []etcdwalk.Entry {
		e := sound
		e.Record = etcdwalk.AppendRecord(nil, sound)
		change(&e)
		return []etcdwalk.Entry{e}
	}
	for _, test := range []struct {
		name    string
		entries []etcdwalk.Entry
		says    string
	}{
		{"no key", []etcdwalk.Entry{{Value: []byte("v")}}, "without a key"},
		{"a key twice", []etcdwalk.Entry{{Key: []byte("a")}, {Key: []byte("a")}}, `key "a" came after key "a"`},
		{"a key that goes back", []etcdwalk.Entry{{Key: []byte("b")}, {Key: []byte("a")}}, `key "a" came after key "b"`},
		{"a record of another key", with(func(e *etcdwalk.Entry) { e.Key = []byte("l") }), "says something else"},
		{"a record of another value", with(func(e *etcdwalk.Entry) { e.Value = []byte("w") }), "says something else"},
		{"a record of another revision", with(func(e *etcdwalk.Entry) { e.ModRevision++ }), "says something else"},
		{"a record of another creation", with(func(e *etcdwalk.Entry) { e.CreateRevision++ }), "says something else"},
		{"a record of another version", with(func(e *etcdwalk.Entry) { e.Version++ }), "says something else"},
		{"a record of another lease", with(func(e *etcdwalk.Entry) { e.Lease++ }), "says something else"},
		{"a record that is cut", with(func(e *etcdwalk.Entry) { e.Record = e.Record[:len(e.Record)-1] }), `key "k"`},
		{"an empty record", with(func(e *etcdwalk.Entry) { e.Record = []byte{} }), "says something else"},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newTestWriter(t, io.Discard)
			var err error
			for _, e := range test.entries {
				err = w.Put(t.Context(), e)
			}
			if !errors.Is(err, etcdwalk.ErrInvariant) || !strings.Contains(err.Error(), test.says) {
				t.Fatalf("got error %v, want %v that says %q", err, etcdwalk.ErrInvariant, test.says)
			}
			if again := w.Put(t.Context(), etcdwalk.Entry{Key: []byte("z")}); !errors.Is(again, err) {
				t.Errorf("the next Put: got error %v, want %v again", again, err)
			}
			if _, again := w.Close(Ending{}); !errors.Is(again, err) {
				t.Errorf("Close: got error %v, want %v again", again, err)
			}
		})
	}
}

func TestWriterRefusesWhatTheFormatCannotHold(t *testing.T) {
	t.Run("a record above the limit", func(t *testing.T) {
		err := newTestWriter(t, io.Discard).Put(t.Context(), etcdwalk.Entry{Key: []byte("k"), Value: make([]byte, maxSegment)})
		wantSays(t, err, "the format allows 268435456")
		if !errors.Is(err, ErrLimit) {
			t.Errorf("got %v, want %v", err, ErrLimit)
		}
	})
	t.Run("a key outside of its kind", func(t *testing.T) {
		w, err := NewWriter(io.Discard, testHeader(), func([]byte) etcdwalk.Class {
			return etcdwalk.Class{Kind: "pods", Range: etcdwalk.Prefix("/registry/pods/")}
		})
		if err != nil {
			t.Fatal(err)
		}
		wantSays(t, w.Put(t.Context(), etcdwalk.Entry{Key: []byte("k")}), "not in the range of its kind pods")
	})
	t.Run("a header without a source", func(t *testing.T) {
		h := testHeader()
		h.Sources = nil
		_, err := NewWriter(io.Discard, h, nil)
		wantSays(t, err, "0 sources")
	})
	t.Run("an odd archive id", func(t *testing.T) {
		h := testHeader()
		h.ArchiveID = "x"
		_, err := NewWriter(io.Discard, h, nil)
		wantSays(t, err, "archive id")
	})
	t.Run("a huge header", func(t *testing.T) {
		h := testHeader()
		h.Host = strings.Repeat("h", maxHeader)
		_, err := NewWriter(io.Discard, h, nil)
		wantSays(t, err, "the format allows 1048576")
	})
	t.Run("a lease that nothing is known of", func(t *testing.T) {
		w := newTestWriter(t, io.Discard)
		if err := w.Put(t.Context(), etcdwalk.Entry{Key: []byte("k"), Lease: 0xabc}); err != nil {
			t.Fatal(err)
		}
		_, err := w.Close(Ending{TakenAt: testTime})
		wantSays(t, err, "nothing is known of lease abc")
	})
	t.Run("a lease told of twice", func(t *testing.T) {
		lease := etcdwalk.Lease{ID: 1, State: etcdwalk.LeaseLive}
		_, err := newTestWriter(t, io.Discard).Close(Ending{TakenAt: testTime, Leases: []etcdwalk.Lease{lease, lease}})
		wantSays(t, err, "stands twice")
	})
}

func wantSays(t *testing.T, err error, says string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), says) {
		t.Errorf("got error %v, want one that says %q", err, says)
	}
}

func TestPutAfterCloseFails(t *testing.T) {
	w := newTestWriter(t, io.Discard)
	first, err := w.Close(Ending{})
	if err != nil {
		t.Fatal(err)
	}
	second, err := w.Close(Ending{})
	if diff := cmp.Diff(first, second); diff != "" || err != nil {
		t.Errorf("closing twice: error %v, manifests differ:\n%s", err, diff)
	}
	if err := w.Put(t.Context(), etcdwalk.Entry{Key: []byte("k")}); !errors.Is(err, errClosed) {
		t.Errorf("got error %v, want %v", err, errClosed)
	}
}

func TestACancelledWalkWritesNoMoreSegments(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	w := newTestWriter(t, io.Discard)
	var err error
	for _, e := range small() {
		err = w.Put(ctx, e)
	}
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got error %v, want %v", err, context.Canceled)
	}
}

func TestWithoutCloseThereIsNoArchive(t *testing.T) {
	var out bytes.Buffer
	w := newTestWriter(t, &out)
	for _, e := range small() {
		if err := w.Put(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	if err := readWhole(out.Bytes()); !errors.Is(err, ErrDamaged) {
		t.Errorf("got error %v, want %v", err, ErrDamaged)
	}
}

// A failingWriter fails at one write, with an error or by writing less.
type failingWriter struct {
	at, writes, fired int
	err               error
}

func (w *failingWriter) Write(p []byte) (int, error) {
	if w.writes++; w.writes != w.at {
		return len(p), nil // also later: the error must stick by itself
	}
	w.fired++
	return len(p) - 1, w.err
}

func writeSmall(ctx context.Context, out io.Writer) (*Writer, error) {
	w, err := NewWriter(out, testHeader(), testClass)
	if err != nil {
		return nil, err
	}
	for _, e := range small() {
		if err := w.Put(ctx, e); err != nil {
			return w, err
		}
	}
	_, err = w.Close(testEnding(w))
	return w, err
}

func TestAFailingMediumFailsTheArchive(t *testing.T) {
	full := errors.New("disk full")
	for _, test := range []struct {
		name      string
		err, want error
	}{{"error", full, full}, {"short write", nil, io.ErrShortWrite}} {
		t.Run(test.name, func(t *testing.T) {
			fired := 0
			for at := 1; ; at++ {
				out := &failingWriter{at: at, err: test.err}
				w, err := writeSmall(t.Context(), out)
				if fired += out.fired; out.fired == 0 {
					if err != nil {
						t.Errorf("without a fault: %v", err)
					}
					break
				}
				if !errors.Is(err, test.want) {
					t.Errorf("write %d failing: got error %v, want %v", at, err, test.want)
				}
				if w == nil {
					continue
				}
				if _, again := w.Close(testEnding(w)); !errors.Is(again, test.want) {
					t.Errorf("write %d failing: closing again got error %v, want %v", at, again, test.want)
				}
			}
			if fired < 9 {
				t.Errorf("%d faults fired, want one for each of 8 files and one for the directory", fired)
			}
		})
	}
}

// zoo_badzstd: the compressor writes wrong bytes (FAULTS.md 5, AR3).
func TestZooBadZstd(t *testing.T) {
	for name, spoil := range map[string]func(frame []byte) []byte{
		"a flipped byte": func(frame []byte) []byte { frame[len(frame)/2] ^= 1; return frame },
		"a wrong checksum and content of the right size": func([]byte) []byte {
			p, err := newPacker(1)
			if err != nil {
				t.Fatal(err)
			}
			return p.compress(bytes.Repeat([]byte{'x'}, len(rawSegment(small()[:3]...))), nil)
		},
		"a cut frame": func(frame []byte) []byte { return frame[:len(frame)-1] },
		"nothing":     func([]byte) []byte { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			w := newTestWriter(t, &out)
			sound, fired := w.packer.compress, 0
			w.packer.compress = func(src, dst []byte) []byte {
				fired++
				return append(dst, spoil(sound(src, nil))...)
			}
			before := out.Len()
			for _, e := range small()[:3] {
				if err := w.Put(t.Context(), e); err != nil {
					t.Fatal(err)
				}
			}
			_, err := w.Close(testEnding(w))
			if !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "self-check") {
				t.Errorf("got error %v, want the self-check's", err)
			}
			if fired != 1 || out.Len() != before {
				t.Errorf("the fault fired %d times, %d bytes went out behind it", fired, out.Len()-before)
			}
		})
	}
}

// A flipper stands between the ZIP library and the self-check, and spoils one
// byte.
type flipper struct {
	w        io.Writer
	at, seen int
	fired    int
}

func (f *flipper) Write(p []byte) (int, error) {
	if i := f.at - f.seen; i >= 0 && i < len(p) {
		p = bytes.Clone(p)
		p[i] ^= 0x20
		f.fired++
	}
	f.seen += len(p)
	return f.w.Write(p)
}

// writeZIP writes an archive's files, with one byte spoilt on the way.
func writeZIP(out io.Writer, at int) (fired int, err error) {
	z := newZipWriter(out)
	f := &flipper{w: z.out, at: at}
	z.zip = zip.NewWriter(f)
	for i := range filesFixed + 2 {
		content := bytes.Repeat([]byte{byte('a' + i)}, 20)
		if err := z.add(describe(fileName(i, filesFixed+2), content), content); err != nil {
			return f.fired, err
		}
	}
	return f.fired, z.close()
}

func TestWrongBytesInTheZIPAreCaughtBeforeTheyGoOut(t *testing.T) { // AR3
	var sound bytes.Buffer
	if _, err := writeZIP(&sound, -1); err != nil {
		t.Fatal(err)
	}
	for at := range sound.Len() {
		var out bytes.Buffer
		fired, err := writeZIP(&out, at)
		if fired != 1 {
			t.Fatalf("byte %d: the fault fired %d times, want once", at, fired)
		}
		if !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "self-check") {
			t.Errorf("byte %d spoilt: got error %v, want the self-check's", at, err)
		}
		if !bytes.HasPrefix(sound.Bytes()[:at], out.Bytes()) {
			t.Errorf("byte %d spoilt: it went out", at)
		}
	}
}

func TestMissingAndSurplusBytesInTheZIPAreCaught(t *testing.T) { // AR3
	c := &comparer{w: io.Discard}
	c.expect([]byte("ab"))
	if _, err := c.Write([]byte("a")); err != nil {
		t.Fatal(err)
	}
	wantSays(t, c.satisfied(), "bytes are missing")
	_, err := c.Write([]byte("bc"))
	wantSays(t, err, "wrong bytes")
}
