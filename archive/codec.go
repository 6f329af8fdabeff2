package archive

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/klauspost/compress/zstd"
)

// A packer compresses segments. It can be used by several goroutines, of which
// as many work at a time as it has workers.
type packer struct {
	compress func(src, dst []byte) []byte
	unpacker *unpacker
	// checks are what segments are unpacked into to compare: one for each
	// worker, who has to hold one to work.
	checks chan []byte
}

func newPacker(workers int) (*packer, error) {
	enc, err := zstd.NewWriter(nil,
		zstd.WithEncoderLevel(zstd.SpeedDefault),
		zstd.WithWindowSize(segmentSize),
		zstd.WithEncoderCRC(true),
		zstd.WithEncoderConcurrency(workers),
		zstd.WithLowerEncoderMem(true)) // a history of one window, which is all that a segment needs
	if err != nil {
		return nil, fmt.Errorf("start zstd: %w", err)
	}
	unpacker, err := newUnpacker(workers)
	if err != nil {
		return nil, err
	}
	p := &packer{compress: enc.EncodeAll, unpacker: unpacker, checks: make(chan []byte, workers)}
	for range workers {
		p.checks <- nil
	}
	return p, nil
}

// pack appends raw, compressed, to dst. It unpacks what it made and compares
// (FAULTS.md AR3): compressors have written wrong bytes before.
func (p *packer) pack(raw, dst []byte) ([]byte, error) {
	check := <-p.checks
	defer func() { p.checks <- shrink(check) }()
	packed := p.compress(raw, dst)
	var err error
	if check, err = p.unpacker.unpack(packed[len(dst):], len(raw), check); err != nil {
		return nil, damaged("self-check: the compressor made bytes that cannot be unpacked: %w", err)
	}
	if !bytes.Equal(check, raw) {
		return nil, damaged("self-check: the compressor made wrong bytes")
	}
	return packed, nil
}

// An unpacker decompresses segments. It can be used by several goroutines, of
// which as many work at a time as it has workers.
type unpacker struct{ dec *zstd.Decoder }

func newUnpacker(workers int) (*unpacker, error) {
	dec, err := zstd.NewReader(nil,
		zstd.WithDecoderMaxWindow(maxWindow),
		zstd.WithDecoderMaxMemory(maxSegment),
		zstd.WithDecodeAllCapLimit(true),
		zstd.WithDecoderConcurrency(workers))
	if err != nil {
		return nil, fmt.Errorf("start zstd: %w", err)
	}
	return &unpacker{dec: dec}, nil
}

// unpack decompresses packed, which must be one frame of the format's kind
// that holds size bytes. The result lies in buf, which grows where it has to.
func (u *unpacker) unpack(packed []byte, size int, buf []byte) ([]byte, error) {
	if err := checkFrame(packed, size); err != nil {
		return buf, err
	}
	buf = fit(buf, size)
	raw, err := u.dec.DecodeAll(packed, buf[:0:size])
	if err != nil {
		return buf, fmt.Errorf("zstd: %w", err)
	}
	if len(raw) != size {
		return buf, fmt.Errorf("unpacks to %d bytes instead of %d", len(raw), size)
	}
	return buf[:size], nil // which is raw, with the room behind it
}

// unpackWhole decompresses a frame that says itself how large its content is.
func (u *unpacker) unpackWhole(packed []byte, limit uint64) ([]byte, error) {
	var h zstd.Header
	if err := h.Decode(packed); err != nil {
		return nil, fmt.Errorf("zstd frame: %w", err)
	}
	if !h.HasFCS || h.FrameContentSize > limit {
		return nil, fmt.Errorf("zstd: the frame is of %d bytes, or does not say: %d are allowed", h.FrameContentSize, limit)
	}
	return u.unpack(packed, int(h.FrameContentSize), nil)
}

// checkFrame holds a zstd frame against the format before anything is
// allocated for it: exactly one frame, with a checksum and the right size, no
// dictionary, a small window, and blocks that can hold that many bytes.
func checkFrame(packed []byte, size int) error {
	var h zstd.Header
	if err := h.Decode(packed); err != nil {
		return fmt.Errorf("zstd frame: %w", err)
	}
	switch {
	case h.Skippable:
		return errors.New("zstd: a skippable frame")
	case h.DictionaryID != 0:
		return errors.New("zstd: the frame needs a dictionary")
	case !h.HasCheckSum:
		return errors.New("zstd: the frame has no checksum")
	case !h.HasFCS && size >= 256, h.HasFCS && h.FrameContentSize != uint64(size): // zstd may leave out a small size
		return fmt.Errorf("zstd: the frame is not of the %d bytes that are declared", size)
	case !h.SingleSegment && h.WindowSize > maxWindow:
		return fmt.Errorf("zstd: the window of %d bytes is too large", h.WindowSize)
	case h.SingleSegment && size > maxWindow:
		return fmt.Errorf("zstd: a single segment of %d bytes is too large", size)
	}
	return checkBlocks(packed[h.HeaderSize:], size)
}

const (
	blockHeader  = 3
	maxBlock     = 128 << 10
	frameTrailer = 4 // the checksum

	blockRLE        = 1
	blockCompressed = 2
)

// checkBlocks walks the blocks of a zstd frame to its end, which must be the
// end of b.
func checkBlocks(b []byte, size int) error {
	for room, last := 0, false; !last; {
		if len(b) < blockHeader {
			return errors.New("zstd: the frame is cut")
		}
		header := int(b[0]) | int(b[1])<<8 | int(b[2])<<16
		last = header&1 == 1
		kind, n := header>>1&3, header>>3
		if n > maxBlock || kind > blockCompressed || (n == 0 && !last) {
			return errors.New("zstd: a block that the format does not know")
		}
		stored := n
		switch kind {
		case blockRLE:
			stored, room = 1, room+n
		case blockCompressed:
			room += maxBlock
		default:
			room += n
		}
		b = b[blockHeader:]
		if len(b) < stored {
			return errors.New("zstd: the frame is cut")
		}
		if b = b[stored:]; last && room < size {
			return fmt.Errorf("zstd: the blocks cannot hold the %d bytes that are declared", size)
		}
	}
	if len(b) != frameTrailer {
		return fmt.Errorf("zstd: %d bytes behind the last block", len(b))
	}
	return nil
}

func hexSHA256(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// describe is what the ZIP structures say of a file with that name and content.
func describe(name string, content []byte) zipFile {
	return zipFile{name: name, size: uint32(len(content)), crc: crc32.ChecksumIEEE(content)}
}
