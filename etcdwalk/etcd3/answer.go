package etcd3

import (
	"errors"
	"fmt"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/kubeferry/kubeferry/etcdwalk"
)

// A page is the keys of one answer, and what it says besides. Its entries point
// into the message and hold their records, so that nobody need encode again
// what the server has encoded.
type page struct {
	rawAnswer

	header  *pb.ResponseHeader // nil: the answer has none
	entries []etcdwalk.Entry
	more    bool
	count   int64 // of the keys in the range asked for; 0 in a stream
}

// The field numbers of RangeResponse, and of the RangeStreamResponse around it
// (etcd: api/etcdserverpb/rpc.proto).
const (
	fieldHeader protowire.Number = 1 + iota
	fieldKvs
	fieldMore
	fieldCount

	fieldRangeResponse protowire.Number = 1
)

// parse reads an encoded RangeResponse. It keeps message.
func (p *page) parse(message []byte) error {
	clear(p.entries) // what is not overwritten would keep old messages alive
	p.header, p.entries, p.more, p.count = nil, p.entries[:0], false, 0
	return eachField(message, func(field protowire.Number, kind protowire.Type, value []byte, number uint64) (err error) {
		switch {
		case field == fieldHeader && kind == protowire.BytesType && p.header == nil:
			p.header = &pb.ResponseHeader{}
			err = proto.Unmarshal(value, p.header)
		case field == fieldKvs && kind == protowire.BytesType:
			var e etcdwalk.Entry
			e, err = etcdwalk.ParseRecord(value)
			p.entries = append(p.entries, e)
		case field == fieldMore && kind == protowire.VarintType:
			p.more = number != 0
		case field == fieldCount && kind == protowire.VarintType:
			p.count = int64(number)
		case field <= fieldCount:
			err = fmt.Errorf("field %d comes twice, or with another wire type", field)
		}
		return err
	})
}

// parsePart reads an encoded RangeStreamResponse.
func (p *page) parsePart(message []byte) error {
	var inner []byte
	whole := false
	err := eachField(message, func(field protowire.Number, kind protowire.Type, value []byte, _ uint64) error {
		switch {
		case field != fieldRangeResponse:
			return nil
		case kind != protowire.BytesType, whole:
			return errors.New("a part of a stream is not one answer")
		}
		inner, whole = value, true
		return nil
	})
	if err != nil {
		return err
	}
	return p.parse(inner)
}

// eachField takes a message apart and tells of each field: its wire type, and its
// bytes or its number if it is of that type.
func eachField(message []byte, tell func(field protowire.Number, kind protowire.Type, value []byte, number uint64) error) error {
	for rest := message; len(rest) > 0; {
		field, kind, n := protowire.ConsumeTag(rest)
		if n < 0 {
			return protowire.ParseError(n)
		}
		if !field.IsValid() {
			return fmt.Errorf("field %d, which cannot be", field)
		}
		rest = rest[n:]
		var value []byte
		var number uint64
		switch kind {
		case protowire.BytesType:
			value, n = protowire.ConsumeBytes(rest)
		case protowire.VarintType:
			number, n = protowire.ConsumeVarint(rest)
		default:
			n = protowire.ConsumeFieldValue(field, kind, rest)
		}
		if n < 0 {
			return protowire.ParseError(n)
		}
		rest = rest[n:]
		if err := tell(field, kind, value, number); err != nil {
			return err
		}
	}
	return nil
}

// entryOf is an entry of a message that was decoded as a whole. It has no
// Record.
func entryOf(kv *mvccpb.KeyValue) etcdwalk.Entry {
	return etcdwalk.Entry{
		Key: kv.Key, Value: kv.Value,
		CreateRevision: kv.CreateRevision, ModRevision: kv.ModRevision, Version: kv.Version,
		Lease: kv.Lease,
	}
}
