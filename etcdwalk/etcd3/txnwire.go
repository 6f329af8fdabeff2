package etcd3

import (
	"errors"
	"fmt"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/kubeferry/kubeferry/etcdwalk"
)

// The field numbers of the messages of a transaction (etcd:
// api/etcdserverpb/rpc.proto).
const (
	txnCompare protowire.Number = 1 // TxnRequest
	txnSuccess protowire.Number = 2
	txnFailure protowire.Number = 3

	compareTarget protowire.Number = 2 // Compare; its result is EQUAL if it is left out
	compareKey    protowire.Number = 3
	compareMod    protowire.Number = 6

	opRange  protowire.Number = 1 // RequestOp
	opPut    protowire.Number = 2
	opDelete protowire.Number = 3

	rangeKey      protowire.Number = 1 // RangeRequest
	rangeKeysOnly protowire.Number = 8

	deleteKey protowire.Number = 1 // DeleteRangeRequest; without its end, of one key

	putKey   protowire.Number = 1 // PutRequest
	putValue protowire.Number = 2
	putLease protowire.Number = 3

	answerHeader    protowire.Number = 1 // TxnResponse
	answerSucceeded protowire.Number = 2
)

// appendTxn appends an encoded TxnRequest: all the writes if all the guards hold,
// otherwise a look at the head of each key. It saves building the message of
// five parts per write that protobuf would encode.
func appendTxn(b []byte, writes []etcdwalk.Write) []byte {
	for _, w := range writes {
		b = appendCompare(b, w)
	}
	for _, w := range writes {
		if w.Delete {
			b = appendDelete(b, w.Key)
		} else {
			b = appendPut(b, w)
		}
	}
	for _, w := range writes {
		b = appendGet(b, w.Key)
	}
	return b
}

// appendCompare appends the guard of w. The revision is one of several fields
// of which one must be there: it is written even if it is 0.
func appendCompare(b []byte, w etcdwalk.Write) []byte {
	size := sizeInt(compareTarget, uint64(pb.Compare_MOD)) + sizeBytes(compareKey, w.Key) + sizeInt(compareMod, uint64(w.Seen))
	b = appendLength(b, txnCompare, size)
	b = appendInt(b, compareTarget, uint64(pb.Compare_MOD))
	b = appendBytes(b, compareKey, w.Key)
	return appendInt(b, compareMod, uint64(w.Seen))
}

func appendPut(b []byte, w etcdwalk.Write) []byte {
	size := sizeBytes(putKey, w.Key) + sizeBytes(putValue, w.Value) + sizeInt(putLease, uint64(w.Lease))
	b = appendLength(b, txnSuccess, protowire.SizeTag(opPut)+protowire.SizeBytes(size))
	b = appendLength(b, opPut, size)
	b = appendBytes(b, putKey, w.Key)
	b = appendBytes(b, putValue, w.Value)
	return appendInt(b, putLease, uint64(w.Lease))
}

func appendDelete(b, key []byte) []byte {
	size := sizeBytes(deleteKey, key)
	b = appendLength(b, txnSuccess, protowire.SizeTag(opDelete)+protowire.SizeBytes(size))
	b = appendLength(b, opDelete, size)
	return appendBytes(b, deleteKey, key)
}

func appendGet(b, key []byte) []byte {
	size := sizeBytes(rangeKey, key) + sizeInt(rangeKeysOnly, 1)
	b = appendLength(b, txnFailure, protowire.SizeTag(opRange)+protowire.SizeBytes(size))
	b = appendLength(b, opRange, size)
	b = appendBytes(b, rangeKey, key)
	return appendInt(b, rangeKeysOnly, 1)
}

// appendLength begins a message of size bytes.
func appendLength(b []byte, field protowire.Number, size int) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, field, protowire.BytesType), uint64(size))
}

func appendBytes(b []byte, field protowire.Number, v []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, field, protowire.BytesType), v)
}

func appendInt(b []byte, field protowire.Number, v uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, field, protowire.VarintType), v)
}

func sizeBytes(field protowire.Number, v []byte) int {
	return protowire.SizeTag(field) + protowire.SizeBytes(len(v))
}

func sizeInt(field protowire.Number, v uint64) int {
	return protowire.SizeTag(field) + protowire.SizeVarint(v)
}

// parseTxn reads an encoded TxnResponse: if the transaction succeeded only what
// is needed then, the header, and everything otherwise.
func parseTxn(b []byte) (*pb.TxnResponse, error) {
	response := &pb.TxnResponse{}
	err := eachField(b, func(field protowire.Number, kind protowire.Type, value []byte, number uint64) error {
		switch {
		case field == answerHeader && kind == protowire.BytesType:
			if response.Header == nil {
				response.Header = &pb.ResponseHeader{}
			}
			if (proto.UnmarshalOptions{Merge: true}).Unmarshal(value, response.Header) != nil {
				return errors.New("its header is malformed")
			}
		case field == answerSucceeded && kind == protowire.VarintType:
			response.Succeeded = protowire.DecodeBool(number)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the answer to a transaction: %w", err)
	}
	if response.Succeeded {
		return response, nil
	}
	if err := proto.Unmarshal(b, response); err != nil {
		return nil, errors.New("read the answer to a transaction: it is malformed")
	}
	return response, nil
}
