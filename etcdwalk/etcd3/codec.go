package etcd3

import (
	"slices"

	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
)

// A rawCodec passes messages through gRPC as the bytes that they are on the
// wire: requests of type rawRequest, answers of type *rawAnswer. All other
// messages it leaves to protobuf.
type rawCodec struct{ protobuf encoding.CodecV2 }

// raw returns the codec. The server sees no difference: its name is protobuf's.
func raw() encoding.CodecV2 { return rawCodec{encoding.GetCodecV2(proto.Name)} }

var _ encoding.CodecV2 = rawCodec{}

// A rawRequest is an encoded message. gRPC may still read it after the call
// has returned with an error: it is not to be used again.
type rawRequest []byte

// A rawAnswer holds the last message that came for it, in one piece. The bytes
// are overwritten by the next one that it is given for.
type rawAnswer struct{ message []byte }

// largeAnswer is what a rawAnswer may keep to be used again, in bytes: a little
// more than pages are made to be.
const largeAnswer = 2 << 20

// Name implements encoding.CodecV2.
func (c rawCodec) Name() string { return c.protobuf.Name() }

// Marshal implements encoding.CodecV2.
func (c rawCodec) Marshal(v any) (mem.BufferSlice, error) {
	if request, ok := v.(rawRequest); ok {
		return mem.BufferSlice{mem.SliceBuffer(request)}, nil
	}
	return c.protobuf.Marshal(v)
}

// Unmarshal implements encoding.CodecV2.
func (c rawCodec) Unmarshal(data mem.BufferSlice, v any) error {
	answer, ok := v.(*rawAnswer)
	if !ok {
		return c.protobuf.Unmarshal(data, v)
	}
	if cap(answer.message) > largeAnswer {
		answer.message = nil
	}
	answer.message = slices.Grow(answer.message[:0], data.Len())[:data.Len()]
	data.CopyTo(answer.message)
	return nil
}
