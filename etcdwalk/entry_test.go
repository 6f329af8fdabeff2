package etcdwalk_test

import (
	"bytes"
	"testing"

	"go.etcd.io/etcd/api/v3/mvccpb"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/kubeferry/kubeferry/etcdwalk"
)

var drawEntry = rapid.Custom(func(t *rapid.T) etcdwalk.Entry {
	number := rapid.OneOf(rapid.Just(int64(0)), rapid.Int64())
	return etcdwalk.Entry{
		Key:            rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(t, "key"),
		Value:          rapid.SliceOfN(rapid.Byte(), 0, 400).Draw(t, "value"),
		CreateRevision: number.Draw(t, "create revision"),
		ModRevision:    number.Draw(t, "mod revision"),
		Version:        number.Draw(t, "version"),
		Lease:          number.Draw(t, "lease"),
	}
})

func equal(a, b etcdwalk.Entry) bool {
	return bytes.Equal(a.Key, b.Key) && bytes.Equal(a.Value, b.Value) && a.CreateRevision == b.CreateRevision &&
		a.ModRevision == b.ModRevision && a.Version == b.Version && a.Lease == b.Lease
}

// fromEtcd reads a record with etcd's own code.
func fromEtcd(record []byte) (etcdwalk.Entry, error) {
	var kv mvccpb.KeyValue
	err := proto.Unmarshal(record, &kv)
	return etcdwalk.Entry{Key: kv.Key, Value: kv.Value, CreateRevision: kv.CreateRevision,
		ModRevision: kv.ModRevision, Version: kv.Version, Lease: kv.Lease}, err
}

func TestARecordIsWhatEtcdWrites(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := drawEntry.Draw(t, "entry")
		before := rapid.SliceOf(rapid.Byte()).Draw(t, "bytes before")
		got := etcdwalk.AppendRecord(bytes.Clone(before), e)
		if !bytes.HasPrefix(got, before) {
			t.Fatalf("AppendRecord changed what was there")
		}
		if size := etcdwalk.RecordSize(e); size != len(got)-len(before) {
			t.Fatalf("RecordSize is %d, and %d bytes were appended", size, len(got)-len(before))
		}
		record := got[len(before):]
		want, err := proto.MarshalOptions{Deterministic: true}.Marshal(&mvccpb.KeyValue{Key: e.Key, Value: e.Value,
			CreateRevision: e.CreateRevision, ModRevision: e.ModRevision, Version: e.Version, Lease: e.Lease})
		if err != nil || !bytes.Equal(record, want) {
			t.Fatalf("record %x, etcd writes %x (%v)", record, want, err)
		}
		back, err := etcdwalk.ParseRecord(record)
		if err != nil || !equal(back, e) || !bytes.Equal(back.Record, record) {
			t.Fatalf("it comes back as %+v, %v", back, err)
		}
	})
}

func TestARecordIsPassedOnUntouched(t *testing.T) {
	record := etcdwalk.AppendRecord(nil, etcdwalk.Entry{Key: []byte("k"), Value: []byte("v"), Lease: 7})
	record = append(record, 0x78, 1) // field 15, which nobody knows yet
	e, err := etcdwalk.ParseRecord(record)
	if err != nil || string(e.Key) != "k" || e.Lease != 7 {
		t.Fatalf("ParseRecord = %+v, %v", e, err)
	}
	if size := etcdwalk.RecordSize(e); size != len(record) {
		t.Errorf("RecordSize is %d of a record of %d bytes", size, len(record))
	}
	if got := etcdwalk.AppendRecord(nil, e); !bytes.Equal(got, record) {
		t.Errorf("record %x came out as %x", record, got)
	}
	if got := etcdwalk.AppendRecord(nil, e.Clone()); bytes.Equal(got, record) {
		t.Error("a clone kept the record, whose bytes belong to the walk")
	}
}

func TestAClonesBytesAreItsOwn(t *testing.T) {
	e := etcdwalk.Entry{Key: []byte("key"), Value: []byte("value"), CreateRevision: 1, ModRevision: 2, Version: 3, Lease: 4}
	c := e.Clone()
	if !equal(c, e) || c.Size() != 8 {
		t.Fatalf("the clone is %+v of size %d", c, c.Size())
	}
	e.Key[0], e.Value[0] = 'X', 'X'
	if string(c.Key) != "key" || string(c.Value) != "value" {
		t.Errorf("the clone changed with its origin: %+v", c)
	}
}

func TestABrokenRecordIsAnError(t *testing.T) {
	for name, record := range map[string][]byte{
		"a tag that is cut":           {0x80},
		"field number 0":              {0x00, 0x00},
		"a field number beyond 2^29":  {0xd5, 0xd5, 0xd5, 0xd5, 0x30, '0', '0', '0', '0'},
		"a length beyond the end":     {0x0a, 0x05, 'k'},
		"a number that is cut":        {0x10, 0x80},
		"a number of eleven bytes":    append([]byte{0x10}, bytes.Repeat([]byte{0xff}, 11)...),
		"a key that is a number":      {0x08, 0x01},
		"a value that is a number":    {0x28, 0x01},
		"a lease that is bytes":       {0x32, 0x01, 'l'},
		"a revision of fixed width":   {0x11, 0, 0, 0, 0, 0, 0, 0, 0},
		"a key that comes twice":      {0x0a, 0x01, 'k', 0x0a, 0x01, 'k'},
		"a revision that comes twice": {0x10, 0x01, 0x10, 0x01},
		"an end of a group":           {0x7c},
	} {
		if e, err := etcdwalk.ParseRecord(record); err == nil {
			t.Errorf("%s: ParseRecord(%x) = %+v, want an error", name, record, e)
		}
	}
}

// What is accepted etcd's own code reads alike, and comes back when it is
// written anew.
func FuzzParseRecord(f *testing.F) {
	whole := etcdwalk.AppendRecord(nil, etcdwalk.Entry{Key: []byte("/registry/pods/shop/web"), Value: []byte("k8s\x00\n"),
		CreateRevision: 12, ModRevision: 1 << 40, Version: 3, Lease: -1})
	for _, seed := range [][]byte{{}, whole, whole[:len(whole)-1], append(whole[:len(whole):len(whole)], 0x78, 1), {0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f}, {0xd5, 0xd5, 0xd5, 0xd5, 0x30, '0', '0', '0', '0'}} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, record []byte) {
		e, err := etcdwalk.ParseRecord(record)
		if err != nil {
			return
		}
		theirs, err := fromEtcd(record)
		if err != nil || !equal(e, theirs) {
			t.Fatalf("%x is %+v, etcd reads %+v (%v)", record, e, theirs, err)
		}
		back, err := etcdwalk.ParseRecord(etcdwalk.AppendRecord(nil, e.Clone()))
		if err != nil || !equal(back, e) {
			t.Fatalf("%x comes back as %+v (%v), want %+v", record, back, err, e)
		}
	})
}
