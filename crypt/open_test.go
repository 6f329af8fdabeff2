package crypt

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"filippo.io/age"
)

// assertRefused wants an error of the two classes of bad files, and no panic.
func assertRefused(t testing.TB, what string, data []byte, from ...Identity) {
	t.Helper()
	_, err := decrypt(data, from...)
	if !errors.Is(err, ErrNoMatch) && !errors.Is(err, ErrDamaged) {
		t.Errorf("%s: got %v, want ErrNoMatch or ErrDamaged", what, err)
	}
}

// headerSize is the length of what precedes the payload.
func headerSize(t testing.TB, data []byte) int {
	t.Helper()
	mac := bytes.Index(data, []byte("\n--- "))
	if mac < 0 {
		t.Fatal("no header")
	}
	return mac + 1 + bytes.IndexByte(data[mac+1:], '\n') + 1 + 16
}

func TestEveryFlippedBitIsFound(t *testing.T) {
	key := generate(t, false)
	data, from := encrypt(t, noise(300), key.to(t)), key.from(t)
	for i := range data {
		for bit := range 8 {
			data[i] ^= 1 << bit
			assertRefused(t, fmt.Sprintf("byte %d bit %d", i, bit), data, from)
			data[i] ^= 1 << bit
		}
	}
	if _, err := decrypt(data, from); err != nil {
		t.Errorf("unharmed: %v", err)
	}
}

func TestEveryFlippedBitOf24KiBIsFound(t *testing.T) {
	if os.Getenv("KUBEFERRY_LONG") == "" {
		t.Skip("long: run make test-long")
	}
	key := generate(t, true)
	data, from := encrypt(t, noise(22<<10), key.to(t)), key.from(t)
	for i := range data {
		for bit := range 8 {
			data[i] ^= 1 << bit
			assertRefused(t, fmt.Sprintf("byte %d bit %d", i, bit), data, from)
			data[i] ^= 1 << bit
		}
	}
}

func TestEveryFlippedByteOfAStanzaOfEachKindIsFound(t *testing.T) {
	pq := generate(t, true)
	pass, err := PassphraseIdentity("secret", 6)
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name string
		to   Recipient
		from Identity
	}{{"post-quantum", pq.to(t), pq.from(t)}, {"passphrase", passphraseRecipient(t, "secret"), pass}} {
		t.Run(tc.name, func(t *testing.T) {
			data := encrypt(t, []byte("plaintext"), tc.to)
			for i := range data {
				data[i] ^= 0x01
				assertRefused(t, fmt.Sprintf("byte %d", i), data, tc.from)
				data[i] ^= 0x01
			}
		})
	}
}

func TestEveryCutIsFound(t *testing.T) {
	key := generate(t, false)
	from := key.from(t)
	small := encrypt(t, noise(500), key.to(t))
	for n := range small {
		_, err := decrypt(small[:n], from)
		if !errors.Is(err, ErrDamaged) {
			t.Errorf("cut to %d of %d bytes: got %v, want ErrDamaged", n, len(small), err)
		}
	}
	large := encrypt(t, noise(3*chunkSize), key.to(t))
	header := headerSize(t, large)
	for chunk := range 4 {
		for d := -17; d <= 17; d++ {
			n := header + chunk*(chunkSize+tagSize) + d
			if n < 0 || n >= len(large) {
				continue
			}
			if _, err := decrypt(large[:n], from); !errors.Is(err, ErrDamaged) {
				t.Errorf("cut to %d of %d bytes: got %v, want ErrDamaged", n, len(large), err)
			}
		}
	}
}

func TestAppendedAndPrependedBytesAreFound(t *testing.T) {
	key := generate(t, false)
	from := key.from(t)
	for _, n := range []int{0, 1, chunkSize - 1, chunkSize, chunkSize + 1, 2 * chunkSize} {
		data := encrypt(t, noise(n), key.to(t))
		for _, more := range [][]byte{{0}, noise(15), noise(16), noise(17), noise(chunkSize), noise(chunkSize + tagSize), data} {
			assertRefused(t, fmt.Sprintf("%d bytes after %d", len(more), n), slices.Concat(data, more), from)
			if _, err := decrypt(slices.Concat([]byte("x"), more, data), from); !errors.Is(err, ErrNotEncrypted) {
				t.Errorf("junk in front: got %v, want ErrNotEncrypted", err)
			}
		}
	}
}

func TestChunksOutOfPlaceAreFound(t *testing.T) {
	key := generate(t, false)
	from := key.from(t)
	for _, n := range []int{3 * chunkSize, 3*chunkSize + 100} {
		data := encrypt(t, noise(n), key.to(t))
		size := headerSize(t, data)
		header, chunks := data[:size], slices.Collect(slices.Chunk(data[size:], chunkSize+tagSize))
		last := len(chunks) - 1
		for name, order := range map[string][]int{
			"swapped": {1, 0, 2}, "doubled": {0, 0, 1, 2}, "dropped": {0, 2},
			"first dropped": {1, 2}, "last dropped": {0, 1}, "last first": {2, 0, 1}, "last twice": {0, 1, 2, last},
		} {
			if n%chunkSize != 0 { // there is a short one behind the three
				order = append(slices.Clone(order), last)
			}
			forged := slices.Clone(header)
			for _, i := range order {
				forged = append(forged, chunks[i]...)
			}
			if _, err := decrypt(forged, from); !errors.Is(err, ErrDamaged) {
				t.Errorf("%s of %d bytes: got %v, want ErrDamaged", name, n, err)
			}
		}
	}
}

// stranger is a recipient of a type that nobody knows.
type stranger struct{}

func (stranger) Wrap([]byte) ([]*age.Stanza, error) {
	return []*age.Stanza{{Type: "future", Args: []string{"a", "b"}, Body: []byte("body")}}, nil
}

func TestUnknownStanzasAreSkipped(t *testing.T) {
	key, other := generate(t, false), generate(t, false)
	var buf bytes.Buffer
	w, err := age.Encrypt(&buf, stranger{}, key.to(t).key(), stranger{})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := decrypt(buf.Bytes(), key.from(t)); err != nil {
		t.Errorf("with its key: %v", err)
	}
	if _, err := decrypt(buf.Bytes(), other.from(t)); !errors.Is(err, ErrNoMatch) {
		t.Errorf("with another key: got %v, want ErrNoMatch", err)
	}
}

func TestWrongKeysDoNotMatch(t *testing.T) {
	key, other, pq := generate(t, false), generate(t, false), generate(t, true)
	wrong, err := PassphraseIdentity("wrong", MaxWorkBatch)
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name string
		to   Recipient
		from []Identity
		text string
	}{
		{"another key", key.to(t), []Identity{other.from(t), pq.from(t)}, "none of the given identities"},
		{"no key", key.to(t), nil, "no identity"},
		{"a passphrase for a key", key.to(t), []Identity{wrong}, "none of the given identities"},
		{"another post-quantum key", pq.to(t), []Identity{generate(t, true).from(t)}, "none of the given identities"},
		{"another passphrase", passphraseRecipient(t, "right"), []Identity{wrong}, "encrypted with a passphrase"},
		{"a key for a passphrase", passphraseRecipient(t, "right"), []Identity{key.from(t)}, "encrypted with a passphrase"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := decrypt(encrypt(t, nil, tc.to), tc.from...)
			if !errors.Is(err, ErrNoMatch) || errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), tc.text) {
				t.Errorf("got %v, want ErrNoMatch with %q", err, tc.text)
			}
		})
	}
}

func TestTooMuchWorkIsRefusedAtOnce(t *testing.T) {
	id, err := PassphraseIdentity("secret", MaxWorkBatch)
	if err != nil {
		t.Fatal(err)
	}
	data := encrypt(t, nil, passphraseRecipient(t, "secret"))
	for _, work := range []string{"21", "22", "23", "30", "63", "999999999"} {
		forged := bytes.Replace(data, []byte(" 5\n"), []byte(" "+work+"\n"), 1)
		if bytes.Equal(forged, data) {
			t.Fatal("the work factor is not where this test looks for it")
		}
		start := time.Now()
		_, err := decrypt(forged, id)
		if !errors.Is(err, ErrNoMatch) || !strings.Contains(err.Error(), "costs too much work") {
			t.Errorf("factor %s: got %v, want ErrNoMatch that names the work", work, err)
		}
		if took := time.Since(start); took > time.Second {
			t.Errorf("factor %s: refused after %v", work, took)
		}
	}
}

func TestWhatIsNoAgeFileIsNamed(t *testing.T) {
	key := generate(t, false)
	data := string(encrypt(t, []byte("x"), key.to(t)))
	var utf16 strings.Builder
	utf16.WriteString("\xff\xfe")
	for _, c := range []byte(data) {
		utf16.Write([]byte{c, 0})
	}
	for _, tc := range []struct {
		name, data string
		encrypted  bool
		want       error
		text       string
	}{
		{"empty", "", false, ErrNotEncrypted, "it is empty"},
		{"one byte", "P", false, ErrNotEncrypted, "1 bytes"},
		{"a ZIP", "PK\x03\x04" + strings.Repeat("x", 100), false, ErrNotEncrypted, "not an age file"},
		{"an HTML page", "<!DOCTYPE html>\n<title>404", false, ErrNotEncrypted, "not an age file"},
		{"an identity", key.identity, false, ErrNotEncrypted, "not an age file"},
		{"cut in the first line", data[:9], true, ErrDamaged, "cut in its first line"},
		{"cut after the first line", intro, true, ErrDamaged, "cut or changed"},
		{"another version", "age-encryption.org/v2\n", true, ErrDamaged, "unknown version"},
		{"CRLF", strings.ReplaceAll(data, "\n", "\r\n"), true, ErrDamaged, "CRLF"},
		{"UTF-16", utf16.String(), true, ErrDamaged, "UTF-16"},
		{"armour", armourLine + "\nYWdl\n", true, ErrDamaged, "armoured"},
		{"a header that never ends", intro + "-> X25519 " + strings.Repeat("x", 3<<20), true, ErrDamaged, "cut or changed"},
		{"a huge line in the header", intro + strings.Repeat("x", 1<<20) + "\n", true, ErrDamaged, "cut or changed"},
		{"a whole one", data, true, nil, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := Encrypted(strings.NewReader(tc.data), int64(len(tc.data)))
			if got != tc.encrypted || err != nil {
				t.Errorf("Encrypted: got %v, %v, want %v", got, err, tc.encrypted)
			}
			_, err = decrypt([]byte(tc.data), key.from(t))
			if !errors.Is(err, tc.want) || (tc.want != nil && !errors.Is(err, ErrDamaged)) {
				t.Fatalf("got %v, want %v", err, tc.want)
			}
			if tc.want == nil {
				return
			}
			if !strings.Contains(err.Error(), tc.text) || len(err.Error()) > 300 {
				t.Errorf("got error of %d bytes %.300q, want a short one with %q", len(err.Error()), err, tc.text)
			}
			assertQuotesNothing(t, err, key.identity)
		})
	}
}

func TestReadAtBehavesLikeAReaderAt(t *testing.T) {
	key := generate(t, false)
	plain := noise(2*chunkSize + 10)
	data := encrypt(t, plain, key.to(t))
	r, n, err := Open(bytes.NewReader(data), int64(len(data)), key.from(t))
	if err != nil || n != int64(len(plain)) {
		t.Fatalf("got length %d, error %v", n, err)
	}
	for _, tc := range []struct{ off, length, want int }{
		{0, 0, 0}, {0, 1, 1}, {chunkSize - 1, 2, 2}, {5, 2 * chunkSize, 2 * chunkSize}, {0, len(plain), len(plain)},
		{len(plain) - 3, 10, 3}, {len(plain), 1, 0}, {len(plain) + 1, 1, 0}, {1 << 40, 1, 0},
	} {
		p := make([]byte, tc.length)
		got, err := r.ReadAt(p, int64(tc.off))
		if got != tc.want || (got < tc.length) != errors.Is(err, io.EOF) && !(tc.off+got == len(plain)) {
			t.Errorf("ReadAt(%d bytes, %d): got %d, %v, want %d", tc.length, tc.off, got, err, tc.want)
		}
		if got > 0 && !bytes.Equal(p[:got], plain[tc.off:tc.off+got]) {
			t.Errorf("ReadAt(%d bytes, %d): wrong bytes", tc.length, tc.off)
		}
	}
	if _, err := r.ReadAt(make([]byte, 1), -1); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("negative offset: got %v, want an error", err)
	}
}

// A counter of reads: age reads the ciphertext chunk by chunk.
type readCounter struct {
	io.ReaderAt
	reads int
}

func (c *readCounter) ReadAt(p []byte, off int64) (int, error) {
	c.reads++
	return c.ReaderAt.ReadAt(p, off)
}

// Who reads forwards, in pieces of whatever size, has each chunk decrypted once.
func TestReadingForwardsReadsEachChunkOnce(t *testing.T) {
	const chunks = 9
	key := generate(t, false)
	plain := noise(chunks*chunkSize - 10)
	data := encrypt(t, plain, key.to(t))
	for _, piece := range []int{100, 4096, chunkSize - 7, chunkSize, 3*chunkSize + 5} {
		c := &readCounter{ReaderAt: bytes.NewReader(data)}
		r, n, err := Open(c, int64(len(data)), key.from(t))
		if err != nil {
			t.Fatal(err)
		}
		c.reads = 0
		p := make([]byte, piece)
		for off := int64(0); off < n; off += int64(piece) {
			got, err := r.ReadAt(p, off)
			if err != nil && !errors.Is(err, io.EOF) || !bytes.Equal(p[:got], plain[off:off+int64(got)]) {
				t.Fatalf("pieces of %d bytes: at %d got %d bytes with error %v, or wrong ones", piece, off, got, err)
			}
		}
		if c.reads != chunks {
			t.Errorf("pieces of %d bytes: %d reads, want one for each of %d chunks", piece, c.reads, chunks)
		}
	}
}

func TestReadsMayBeConcurrent(t *testing.T) {
	key := generate(t, false)
	plain := noise(4*chunkSize + 100)
	data := encrypt(t, plain, key.to(t))
	r, _, err := Open(bytes.NewReader(data), int64(len(data)), key.from(t))
	if err != nil {
		t.Fatal(err)
	}
	var wait sync.WaitGroup
	for seed := range uint64(4) {
		wait.Go(func() {
			random := rand.New(rand.NewPCG(seed, 0))
			for range 100 {
				off := random.IntN(len(plain))
				p := make([]byte, random.IntN(min(len(plain)-off, 2*chunkSize)))
				if n, err := r.ReadAt(p, int64(off)); n != len(p) || err != nil && !errors.Is(err, io.EOF) || !bytes.Equal(p, plain[off:off+n]) {
					t.Errorf("%d bytes at %d: got %d bytes with error %v, or wrong ones", len(p), off, n, err)
				}
			}
		})
	}
	wait.Wait()
}

func TestLateDamageIsDamage(t *testing.T) {
	key := generate(t, false)
	data := encrypt(t, noise(3*chunkSize), key.to(t))
	r, _, err := Open(bytes.NewReader(data), int64(len(data)), key.from(t))
	if err != nil {
		t.Fatal(err)
	}
	data[headerSize(t, data)+chunkSize+tagSize+7] ^= 1 // in the second chunk
	p := make([]byte, 10)
	if _, err := r.ReadAt(p, 0); err != nil {
		t.Errorf("first chunk: %v", err)
	}
	if _, err := r.ReadAt(p, chunkSize); !errors.Is(err, ErrDamaged) {
		t.Errorf("second chunk: got %v, want ErrDamaged", err)
	}
}

// broken fails its nth read with err.
type broken struct {
	r                 io.ReaderAt
	nth, reads, fired int
	err               error
}

func (b *broken) ReadAt(p []byte, off int64) (int, error) {
	if b.reads++; b.reads == b.nth {
		b.fired++
		return 0, b.err
	}
	return b.r.ReadAt(p, off)
}

// TestReadFaultsKeepTheirClass fails each read in turn: a disk's error comes
// through and is no damage, an end that comes too early is damage.
func TestReadFaultsKeepTheirClass(t *testing.T) {
	key := generate(t, false)
	data := encrypt(t, noise(3*chunkSize), key.to(t))
	run := func(b *broken) error {
		b.r = bytes.NewReader(data)
		r, n, err := Open(b, int64(len(data)), key.from(t))
		if err != nil {
			return err
		}
		_, err = io.ReadAll(io.NewSectionReader(r, 0, n))
		return err
	}
	clean := &broken{}
	if err := run(clean); err != nil || clean.reads < 5 {
		t.Fatalf("without a fault: %d reads, error %v", clean.reads, err)
	}
	disk := errors.New("disk on fire")
	for _, tc := range []struct {
		fault   error
		damaged bool
	}{{disk, false}, {fmt.Errorf("get: %w", io.EOF), false}, {io.ErrUnexpectedEOF, false}, {io.EOF, true}} {
		for nth := 1; nth <= clean.reads; nth++ {
			b := &broken{nth: nth, err: tc.fault}
			err := run(b)
			if err == nil || errors.Is(err, ErrNoMatch) || errors.Is(err, ErrDamaged) != tc.damaged {
				t.Errorf("read %d, %q: got %v, want damage: %v", nth, tc.fault, err, tc.damaged)
			}
			if !tc.damaged && !errors.Is(err, tc.fault) {
				t.Errorf("read %d: got %v, want it to wrap %q", nth, err, tc.fault)
			}
			if b.fired != 1 {
				t.Errorf("read %d: fault fired %d times, want 1", nth, b.fired)
			}
		}
	}
	if _, err := Encrypted(&broken{r: bytes.NewReader(data), nth: 1, err: disk}, 100); !errors.Is(err, disk) {
		t.Errorf("Encrypted: got %v, want %v", err, disk)
	}
}

// expecting notes what it is told, and whether each read of a chunk was told of.
type expecting struct {
	io.ReaderAt

	size      int64
	off, n    int64
	told, bad int
}

func (e *expecting) Expect(off, n int64) {
	e.off, e.n, e.told = off, n, e.told+1
	if off < 0 || n < 1 || off+n > e.size+chunkSize+tagSize {
		e.bad++
	}
}

func (e *expecting) ReadAt(p []byte, off int64) (int, error) {
	if e.told > 0 && (off < e.off || off+int64(len(p)) > e.off+e.n) {
		e.bad++
	}
	return e.ReaderAt.ReadAt(p, off)
}

// TestReadsAreToldOfBeforehand: a read of several chunks tells where they are, so that a
// store can get them at once.
func TestReadsAreToldOfBeforehand(t *testing.T) {
	p := generate(t, false)
	data := encrypt(t, bytes.Repeat([]byte("0123456789abcdef"), 40_000), p.to(t)) // 640,000 bytes, ten chunks
	from := &expecting{ReaderAt: bytes.NewReader(data), size: int64(len(data))}
	r, size, err := Open(from, int64(len(data)), p.from(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, read := range []struct{ off, n int64 }{{0, 70_000}, {65_536, 131_072}, {1, 300_000}, {639_000, 1000}, {500_000, 140_000}, {123_456, 200_001}, {0, size}} {
		from.told, from.bad = 0, 0
		if _, err := r.ReadAt(make([]byte, read.n), read.off); err != nil && !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
		if (from.told == 1) != (read.n > chunkSize) || from.bad > 0 {
			t.Errorf("a read of %d bytes at %d was told of %d times, %d of its own reads were elsewhere", read.n, read.off, from.told, from.bad)
		}
	}
}
