package crypt

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"filippo.io/age"
	"pgregory.net/rapid"
)

// edges are lengths of plaintext around the edges of chunks.
func edges() []int {
	lengths := []int{0, 1, 2, 15, 16, 17, 1000}
	for chunks := 1; chunks <= 3; chunks++ {
		for d := -17; d <= 17; d++ {
			lengths = append(lengths, chunks*chunkSize+d)
		}
	}
	return lengths
}

func noise(n int) []byte {
	p := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(p) // never fails
	return p
}

func encrypt(t testing.TB, plain []byte, to ...Recipient) []byte {
	t.Helper()
	var buf bytes.Buffer
	w, err := Encrypt(&buf, to...)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(plain); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if got, want := int64(buf.Len()), w.Size(); got != want {
		t.Fatalf("got %d bytes of ciphertext, want the %d of Size", got, want)
	}
	return buf.Bytes()
}

// decrypt opens and reads all.
func decrypt(data []byte, from ...Identity) ([]byte, error) {
	r, n, err := Open(bytes.NewReader(data), int64(len(data)), from...)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(io.NewSectionReader(r, 0, n))
}

func TestRoundTripAtChunkEdges(t *testing.T) {
	key := generate(t, false)
	to, from := key.to(t), key.from(t)
	for _, n := range edges() {
		plain := noise(n)
		data := encrypt(t, plain, to)
		got, err := decrypt(data, from)
		if err != nil || !bytes.Equal(got, plain) {
			t.Errorf("%d bytes: got %d, error %v", n, len(got), err)
		}
		// What we write is what age reads, in one pass too.
		r, err := age.Decrypt(bytes.NewReader(data), from.key())
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, plain) {
			t.Errorf("%d bytes through age: got %d, error %v", n, len(got), err)
		}
	}
}

func TestRoundTripOfEachKind(t *testing.T) {
	plain := noise(3 * chunkSize / 2)
	one, other := generate(t, false), generate(t, false)
	pq, otherPQ := generate(t, true), generate(t, true)
	pass, err := PassphraseIdentity("secret", MaxWorkBatch)
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name string
		to   []Recipient
		from []Identity
	}{
		{"X25519", []Recipient{one.to(t)}, []Identity{one.from(t)}},
		{"one of two", []Recipient{other.to(t), one.to(t)}, []Identity{one.from(t)}},
		{"one of many identities", []Recipient{one.to(t)}, []Identity{pass, pq.from(t), other.from(t), one.from(t)}},
		{"post-quantum", []Recipient{otherPQ.to(t), pq.to(t)}, []Identity{pq.from(t)}},
		{"passphrase", []Recipient{passphraseRecipient(t, "secret")}, []Identity{one.from(t), pass}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := decrypt(encrypt(t, plain, tc.to...), tc.from...)
			if err != nil || !bytes.Equal(got, plain) {
				t.Errorf("got %d bytes, error %v", len(got), err)
			}
		})
	}
}

func TestAgeReadsAsManyRecipientsAsWeWrite(t *testing.T) {
	if testing.Short() {
		t.Skip("makes 1,024 keys")
	}
	keys := make([]pair, maxRecipients)
	to := make([]Recipient, len(keys))
	for i := range keys {
		keys[i] = generate(t, false)
		to[i] = keys[i].to(t)
	}
	if _, err := decrypt(encrypt(t, []byte("x"), to...), keys[len(keys)-1].from(t)); err != nil {
		t.Error(err)
	}
}

func TestSizeIsThatOfAnyPlaintextInAnyPieces(t *testing.T) {
	to := generate(t, false).to(t)
	rapid.Check(t, func(t *rapid.T) {
		pieces := rapid.SliceOfN(rapid.IntRange(0, chunkSize+20), 0, 6).Draw(t, "pieces")
		out := &counter{w: io.Discard}
		w, err := Encrypt(out, to)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range pieces {
			if _, err := w.Write(make([]byte, n)); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if got, want := out.n, w.Size(); got != want {
			t.Errorf("got %d bytes, want %d", got, want)
		}
	})
}

// noLastChunk is an age that forgets to write the last chunk.
type noLastChunk struct{ io.WriteCloser }

func (noLastChunk) Close() error { return nil }

func TestCloseFindsAMissingLastChunk(t *testing.T) {
	w, err := Encrypt(io.Discard, generate(t, false).to(t))
	if err != nil {
		t.Fatal(err)
	}
	w.age = noLastChunk{w.age}
	if _, err := w.Write(noise(chunkSize + 5)); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := w.Close(); !errors.Is(err, ErrDamaged) {
			t.Errorf("got %v, want ErrDamaged", err)
		}
	}
}

func TestCloseTwiceIsHarmless(t *testing.T) {
	var buf bytes.Buffer
	w, err := Encrypt(&buf, generate(t, false).to(t))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	}
	if got, want := int64(buf.Len()), w.Size(); got != want {
		t.Errorf("got %d bytes, want %d", got, want)
	}
	if _, err := w.Write([]byte("late")); err == nil {
		t.Error("a write after Close succeeded")
	}
}

// failing fails its nth write, or takes only a part of it and says nothing.
type failing struct {
	nth, writes, fired int
	quiet              bool
}

var errFull = errors.New("full")

func (f *failing) Write(p []byte) (int, error) {
	if f.writes++; f.writes != f.nth {
		return len(p), nil
	}
	f.fired++
	if f.quiet {
		return len(p) - 1, nil
	}
	return len(p) / 2, errFull
}

func TestEveryFailedWriteIsReported(t *testing.T) {
	to := generate(t, false).to(t)
	run := func(f *failing) error {
		w, err := Encrypt(f, to)
		if err != nil {
			return err
		}
		if _, err := w.Write(noise(2*chunkSize + 1)); err != nil {
			if w.Close() == nil {
				t.Error("Close forgot the error of Write")
			}
			return err
		}
		return w.Close()
	}
	clean := &failing{}
	if err := run(clean); err != nil || clean.writes < 4 {
		t.Fatalf("without a fault: %d writes, error %v", clean.writes, err)
	}
	for _, quiet := range []bool{false, true} {
		want := errFull
		if quiet {
			want = io.ErrShortWrite
		}
		for nth := 1; nth <= clean.writes; nth++ {
			f := &failing{nth: nth, quiet: quiet}
			if err := run(f); !errors.Is(err, want) {
				t.Errorf("write %d, quiet %v: got %v, want %v", nth, quiet, err, want)
			}
			if f.fired != 1 {
				t.Errorf("write %d: fault fired %d times, want 1", nth, f.fired)
			}
		}
	}
}

func Example() {
	identity, recipient, _ := Generate(false)
	to, _ := ParseRecipients(strings.NewReader(recipient), "recipients.txt")
	var file bytes.Buffer
	w, _ := Encrypt(&file, to...)
	_, _ = io.WriteString(w, "plaintext")
	fmt.Println(w.Close())

	from, _ := ParseIdentities(strings.NewReader(identity), "identity.txt")
	r, n, _ := Open(bytes.NewReader(file.Bytes()), int64(file.Len()), from...)
	plain := make([]byte, n)
	_, _ = r.ReadAt(plain, 0)
	fmt.Printf("%s\n", plain)
	// Output:
	// <nil>
	// plaintext
}
