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
	return eachField(message, func(field protowire.Number, value []byte, number uint64) (err error) {
		switch {
		case field == fieldHeader && value != nil:
			p.header = &pb.ResponseHeader{}
			err = proto.Unmarshal(value, p.header)
		case field == fieldKvs && value != nil:
			var e etcdwalk.Entry
			e, err = etcdwalk.ParseRecord(value)
			p.entries = append(p.entries, e)
		case field == fieldMore && value == nil:
			p.more = number != 0
		case field == fieldCount && value == nil:
			p.count = int64(number)
		case field <= fieldCount:
			err = fmt.Errorf("field %d has another wire type", field)
		}
		return err
	})
}

// parsePart reads an encoded RangeStreamResponse.
func (p *page) parsePart(message []byte) error {
	var inner []byte
	err := eachField(message, func(field protowire.Number, value []byte, _ uint64) error {
		switch {
		case field != fieldRangeResponse:
			return nil
		case value == nil, inner != nil:
			return errors.New("a part of a stream is not one answer")
		}
		inner = value
		return nil
	})
	if err != nil {
		return err
	}
	return p.parse(inner)
}

// eachField takes a message apart and tells of each field: its bytes, never nil,
// if it is of that wire type, or else its number. Fields of other wire types
// have the number 0.
func eachField(message []byte, tell func(field protowire.Number, value []byte, number uint64) error) error {
	for rest := message; len(rest) > 0; {
		field, kind, n := protowire.ConsumeTag(rest)
		if n < 0 {
			return protowire.ParseError(n)
		}
		rest = rest[n:]
		var value []byte
		var number uint64
		switch kind {
		case protowire.BytesType:
			if value, n = protowire.ConsumeBytes(rest); n >= 0 && value == nil {
				value = []byte{}
			}
		case protowire.VarintType:
			number, n = protowire.ConsumeVarint(rest)
		default:
			n = protowire.ConsumeFieldValue(field, kind, rest)
		}
		if n < 0 {
			return protowire.ParseError(n)
		}
		rest = rest[n:]
		if err := tell(field, value, number); err != nil {
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
