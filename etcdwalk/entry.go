package etcdwalk

import (
	"bytes"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
)

// An Entry is one key and what etcd stores under it.
type Entry struct {
	Key, Value []byte
	// Record is the encoded mvccpb.KeyValue that Key and Value are part of, if
	// the source has it, so that it can be passed on untouched; nil otherwise.
	// Who changes any other field sets it to nil.
	Record []byte
	// CreateRevision, ModRevision and Version are etcd's. Version is 0 where
	// the source has none (API v2).
	CreateRevision, ModRevision, Version int64
	// Lease is the id of the lease the key is attached to; 0: none.
	Lease int64
}

// Size is the number of bytes of key and value.
func (e Entry) Size() int64 { return int64(len(e.Key) + len(e.Value)) }

// Clone returns a copy of e whose bytes outlive the step of the walk. The copy
// holds no Record.
func (e Entry) Clone() Entry {
	e.Key, e.Value, e.Record = bytes.Clone(e.Key), bytes.Clone(e.Value), nil
	return e
}

// The field numbers of mvccpb.KeyValue (etcd: api/mvccpb/kv.proto).
const (
	fieldKey protowire.Number = 1 + iota
	fieldCreateRevision
	fieldModRevision
	fieldVersion
	fieldValue
	fieldLease
)

// AppendRecord appends e to b, encoded as an mvccpb.KeyValue, and returns the
// longer slice. It uses e.Record where there is one.
func AppendRecord(b []byte, e Entry) []byte {
	if e.Record != nil {
		return append(b, e.Record...)
	}
	b = appendBytes(b, fieldKey, e.Key)
	b = appendInt(b, fieldCreateRevision, e.CreateRevision)
	b = appendInt(b, fieldModRevision, e.ModRevision)
	b = appendInt(b, fieldVersion, e.Version)
	b = appendBytes(b, fieldValue, e.Value)
	return appendInt(b, fieldLease, e.Lease)
}

// RecordSize is the length of what [AppendRecord] appends, in bytes.
func RecordSize(e Entry) int {
	if e.Record != nil {
		return len(e.Record)
	}
	return sizeBytes(fieldKey, e.Key) + sizeInt(fieldCreateRevision, e.CreateRevision) + sizeInt(fieldModRevision, e.ModRevision) +
		sizeInt(fieldVersion, e.Version) + sizeBytes(fieldValue, e.Value) + sizeInt(fieldLease, e.Lease)
}

func appendBytes(b []byte, field protowire.Number, v []byte) []byte {
	if len(v) == 0 {
		return b
	}
	return protowire.AppendBytes(protowire.AppendTag(b, field, protowire.BytesType), v)
}

func sizeBytes(field protowire.Number, v []byte) int {
	if len(v) == 0 {
		return 0
	}
	return protowire.SizeTag(field) + protowire.SizeBytes(len(v))
}

func sizeInt(field protowire.Number, v int64) int {
	if v == 0 {
		return 0
	}
	return protowire.SizeTag(field) + protowire.SizeVarint(uint64(v))
}

func appendInt(b []byte, field protowire.Number, v int64) []byte {
	if v == 0 {
		return b
	}
	return protowire.AppendVarint(protowire.AppendTag(b, field, protowire.VarintType), uint64(v))
}

// ParseRecord reads an encoded mvccpb.KeyValue. The entry it returns points
// into record. Fields that it does not know are passed over, as protobuf wants;
// a record that is not a protobuf message, or that holds a known field twice
// or with a wrong type, is an error.
func ParseRecord(record []byte) (Entry, error) {
	e := Entry{Record: record}
	var seen [fieldLease + 1]bool
	for rest := record; len(rest) > 0; {
		field, kind, n := protowire.ConsumeTag(rest)
		if n < 0 {
			return Entry{}, fmt.Errorf("read a record: %w", protowire.ParseError(n))
		}
		if !field.IsValid() {
			return Entry{}, fmt.Errorf("a record holds field %d, which cannot be", field)
		}
		rest = rest[n:]
		if n = protowire.ConsumeFieldValue(field, kind, rest); n < 0 {
			return Entry{}, fmt.Errorf("read field %d of a record: %w", field, protowire.ParseError(n))
		}
		if field <= fieldLease {
			if seen[field] {
				return Entry{}, fmt.Errorf("a record holds field %d twice", field)
			}
			seen[field] = true
			if err := e.set(field, kind, rest); err != nil {
				return Entry{}, err
			}
		}
		rest = rest[n:]
	}
	return e, nil
}

// set takes one known field, whose value is well-formed and starts b.
func (e *Entry) set(field protowire.Number, kind protowire.Type, b []byte) error {
	want := protowire.VarintType
	if field == fieldKey || field == fieldValue {
		want = protowire.BytesType
	}
	if kind != want {
		return fmt.Errorf("field %d of a record has wire type %d, want %d", field, kind, want)
	}
	if want == protowire.BytesType {
		v, _ := protowire.ConsumeBytes(b)
		if field == fieldKey {
			e.Key = v
		} else {
			e.Value = v
		}
		return nil
	}
	v, _ := protowire.ConsumeVarint(b)
	switch field {
	case fieldCreateRevision:
		e.CreateRevision = int64(v)
	case fieldModRevision:
		e.ModRevision = int64(v)
	case fieldVersion:
		e.Version = int64(v)
	case fieldLease:
		e.Lease = int64(v)
	}
	return nil
}
