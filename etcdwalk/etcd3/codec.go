package etcd3

import (
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

// A rawAnswer holds the last message that came for it, in one piece.
type rawAnswer struct{ buffer mem.Buffer }

// bytes are the message. They are valid until free is called, or the answer is
// received into again.
func (a *rawAnswer) bytes() []byte {
	if a.buffer == nil {
		return nil
	}
	return a.buffer.ReadOnlyData()
}

// free gives the buffer back to be used again. Without it the garbage collector
// takes it.
func (a *rawAnswer) free() {
	if a.buffer != nil {
		a.buffer.Free()
		a.buffer = nil
	}
}

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
	answer.free()
	answer.buffer = data.MaterializeToBuffer(mem.DefaultBufferPool())
	return nil
}
