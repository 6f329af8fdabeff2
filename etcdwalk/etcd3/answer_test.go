package etcd3

import (
	"bytes"
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"google.golang.org/protobuf/proto"
)

// answers are what a server may say.
func answers() []*pb.RangeResponse {
	pods := []*mvccpb.KeyValue{
		{Key: []byte("/registry/pods/a/b"), Value: []byte("k8s\x00"), CreateRevision: 3, ModRevision: 1 << 40, Version: 7, Lease: -1},
		{Key: []byte("/registry/pods/a/c"), ModRevision: 4},
	}
	return []*pb.RangeResponse{
		{},
		{Header: &pb.ResponseHeader{ClusterId: 5, Revision: 6}, Kvs: pods, More: true, Count: 99},
		{Kvs: pods},
		{Header: &pb.ResponseHeader{}, Count: 1},
	}
}

// sameAnswer holds a page against the message that it was read from.
func sameAnswer(t *testing.T, p *page, want *pb.RangeResponse) {
	t.Helper()
	if (p.header == nil) != (want.Header == nil) || p.header != nil && !proto.Equal(p.header, want.Header) || p.more != want.More || p.count != want.Count {
		t.Errorf("got header %v, more %v, count %d; want %v", p.header, p.more, p.count, want)
	}
	if len(p.entries) != len(want.Kvs) {
		t.Fatalf("%d entries, want %d", len(p.entries), len(want.Kvs))
	}
	for i, e := range p.entries {
		plain := entryOf(want.Kvs[i])
		if !bytes.Equal(e.Key, plain.Key) || !bytes.Equal(e.Value, plain.Value) || e.Lease != plain.Lease ||
			e.CreateRevision != plain.CreateRevision || e.ModRevision != plain.ModRevision || e.Version != plain.Version {
			t.Errorf("entry %d is %+v, want %+v", i, e, plain)
		}
		var kv mvccpb.KeyValue
		if err := proto.Unmarshal(e.Record, &kv); err != nil || !proto.Equal(&kv, want.Kvs[i]) {
			t.Errorf("record %d is %v, %v", i, &kv, err)
		}
	}
}

func encoded(t testing.TB, m proto.Message) []byte {
	t.Helper()
	b, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestPagesAreReadAsProtobufReadsThem(t *testing.T) {
	var p page // one for all: nothing of the last answer may stay
	for _, want := range answers() {
		if err := p.parse(encoded(t, want)); err != nil {
			t.Fatal(err)
		}
		sameAnswer(t, &p, want)
		if err := p.parsePart(encoded(t, &pb.RangeStreamResponse{RangeResponse: want})); err != nil {
			t.Fatal(err)
		}
		sameAnswer(t, &p, want)
	}
	if err := p.parsePart(nil); err != nil || len(p.entries) != 0 || p.header != nil {
		t.Errorf("an empty part of a stream: got %d entries, %v", len(p.entries), err)
	}
}

// Entries of a long page, behind those of a short one, kept its message
// in memory.
func TestAPageLetsGoOfTheOneBefore(t *testing.T) {
	var p page
	for _, want := range []*pb.RangeResponse{answers()[2], {Kvs: answers()[2].Kvs[:1]}} {
		if err := p.parse(encoded(t, want)); err != nil {
			t.Fatal(err)
		}
	}
	if tail := p.entries[:2][1]; tail.Key != nil || tail.Record != nil {
		t.Errorf("behind the page there is still %q", tail.Key)
	}
}

func TestWhatIsNoAnswerIsRefused(t *testing.T) {
	whole := encoded(t, answers()[1])
	part := encoded(t, &pb.RangeStreamResponse{RangeResponse: answers()[1]})
	for name, tt := range map[string]struct {
		parse   func(*page, []byte) error
		message []byte
	}{
		"a cut page":             {(*page).parse, whole[:len(whole)-1]},
		"a key of another type":  {(*page).parse, []byte{2 << 3, 1}},
		"a more of four bytes":   {(*page).parse, []byte{3<<3 | 5, 0, 0, 0, 0}},
		"a count of bytes":       {(*page).parse, []byte{4<<3 | 2, 0}},
		"a record that is none":  {(*page).parse, []byte{2<<3 | 2, 1, 0xff}},
		"a field that cannot be": {(*page).parse, []byte("\xd8\xd8\xd8\xd80\xd8\xd80")},
		"two headers":            {(*page).parse, []byte{1<<3 | 2, 0, 1<<3 | 2, 0}},
		"no message at all":      {(*page).parse, []byte{0xff}},
		"a cut part":             {(*page).parsePart, part[:len(part)-1]},
		"a part with two":        {(*page).parsePart, append(bytes.Clone(part), part...)},
		"a part that is none":    {(*page).parsePart, []byte{1 << 3, 1}},
	} {
		if err := tt.parse(new(page), tt.message); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
}

// FuzzPage: whatever bytes a server sends, what is taken is what protobuf reads.
// It takes less than protobuf, which merges what comes twice.
func FuzzPage(f *testing.F) {
	for _, a := range answers() {
		f.Add(encoded(f, a))
		f.Add(encoded(f, &pb.RangeStreamResponse{RangeResponse: a}))
	}
	f.Fuzz(func(t *testing.T, message []byte) {
		var p page
		if err := p.parsePart(message); err == nil {
			var want pb.RangeStreamResponse
			if err := proto.Unmarshal(message, &want); err != nil {
				t.Fatalf("protobuf does not take it: %v", err)
			}
		}
		if err := p.parse(message); err != nil {
			return
		}
		var want pb.RangeResponse
		if err := proto.Unmarshal(message, &want); err != nil {
			t.Fatalf("protobuf does not take it: %v", err)
		}
		want.ProtoReflect().SetUnknown(nil)
		sameAnswer(t, &p, &want)
	})
}
