package archive

import (
	"encoding/binary"
	"strings"
	"testing"

	"github.com/cespare/xxhash/v2"

	"github.com/kubeferry/kubeferry/etcdwalk"
)

// The SHA-256 of a segment is of its frame. In the first two tests zstd unpacks
// the frame, and all other sums fit.

func TestAFrameOfOtherBytesIsRefusedEvenWithTheRightContent(t *testing.T) { // A03, M03
	raw := rawSegment(small()[:3]...)
	frame := func(window byte) []byte {
		return zstdFrame{
			window: window, size: uint64(len(raw)), blocks: block(true, 0, len(raw), raw...),
			checksum: binary.LittleEndian.AppendUint32(nil, uint32(xxhash.Sum64(raw))),
		}.bytes()
	}
	for _, window := range []byte{10 << 3, 11 << 3} {
		c := takeApart(t, build(t, small()...))
		c.frames[0] = frame(window)
		if err := readWhole(c.bytes(t)); err != nil {
			t.Fatalf("a frame that is told of: %v", err)
		}
		c.inZip = func(z *rawZip) { z.files[firstSegment].packed = frame(window ^ 1<<3) }
		wantDamage(t, c.bytes(t), "data/000001.pb: packed, its SHA-256 is")
	}
}

func TestARightFrameInTheWrongPlaceIsRefused(t *testing.T) { // A03, M03
	// Two segments whose sizes are alike, packed and unpacked.
	twins := []etcdwalk.Entry{
		{Key: []byte("/registry/cats/shop/a"), Value: []byte("tabby"), ModRevision: 2},
		{Key: []byte("/registry/dogs/shop/a"), Value: []byte("beagl"), ModRevision: 3},
	}
	c := takeApart(t, build(t, twins...))
	if err := readWhole(c.bytes(t)); err != nil {
		t.Fatalf("each in its place: %v", err)
	}
	c.inZip = func(z *rawZip) { // each with its own CRC-32
		a, b := &z.files[firstSegment], &z.files[secondSegment]
		if len(a.packed) != len(b.packed) || a.size != b.size {
			t.Fatal("the test wants two segments of the same sizes")
		}
		a.packed, b.packed, a.crc, b.crc = b.packed, a.packed, b.crc, a.crc
	}
	wantDamage(t, c.bytes(t), "data/000001.pb: packed, its SHA-256 is")
}

func TestAFrameThatIsNotToldOfNeverReachesTheDecoder(t *testing.T) { // A16
	c := takeApart(t, build(t, small()...))
	c.inZip = func(z *rawZip) {
		packed := z.files[firstSegment].packed
		z.files[firstSegment].packed = []byte(strings.Repeat("x", len(packed)))
	}
	wantDamage(t, c.bytes(t), "packed, its SHA-256 is")
}
