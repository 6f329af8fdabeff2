package etcd3

import (
	"bytes"
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/kubeferry/kubeferry/etcdwalk"
)

// txnMessage is the transaction as protobuf would have it built.
func txnMessage(writes []etcdwalk.Write) *pb.TxnRequest {
	request := &pb.TxnRequest{}
	for _, w := range writes {
		request.Compare = append(request.Compare, &pb.Compare{
			Key: w.Key, Target: pb.Compare_MOD, Result: pb.Compare_EQUAL,
			TargetUnion: &pb.Compare_ModRevision{ModRevision: w.Seen},
		})
		op := &pb.RequestOp{Request: &pb.RequestOp_RequestPut{RequestPut: &pb.PutRequest{Key: w.Key, Value: w.Value, Lease: w.Lease}}}
		if w.Delete {
			op = &pb.RequestOp{Request: &pb.RequestOp_RequestDeleteRange{RequestDeleteRange: &pb.DeleteRangeRequest{Key: w.Key}}}
		}
		request.Success = append(request.Success, op)
		request.Failure = append(request.Failure, get(w.Key, true))
	}
	return request
}

// What is encoded by hand means what protobuf encodes.
func TestTxnMeansTheMessage(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		writes := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) etcdwalk.Write {
			return etcdwalk.Write{
				Key:    rapid.SliceOfN(rapid.Byte(), 0, 200).Draw(t, "key"),
				Value:  bytes.Repeat([]byte("v"), rapid.SampledFrom([]int{0, 1, 127, 128, 16383, 16384, 70000}).Draw(t, "size")),
				Lease:  rapid.OneOf(rapid.Just(int64(0)), rapid.Int64()).Draw(t, "lease"),
				Seen:   rapid.OneOf(rapid.Just(int64(0)), rapid.Int64()).Draw(t, "seen"),
				Delete: rapid.Bool().Draw(t, "delete"),
			}
		}), 0, 10).Draw(t, "writes")
		got := &pb.TxnRequest{}
		if err := proto.Unmarshal(appendTxn(nil, writes), got); err != nil {
			t.Fatalf("it is no message: %v", err)
		}
		if want := txnMessage(writes); !proto.Equal(got, want) {
			t.Fatalf("got %v, want %v", got, want)
		}
	})
}

func TestTxnIsAppended(t *testing.T) {
	writes := []etcdwalk.Write{{Key: []byte("k"), Value: []byte("v"), Seen: 3}}
	got := appendTxn([]byte("before"), writes)
	if want := append([]byte("before"), appendTxn(nil, writes)...); !bytes.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// txnAnswers are as etcd gives them.
func txnAnswers() []*pb.TxnResponse {
	header := &pb.ResponseHeader{ClusterId: 1 << 63, MemberId: 2, Revision: 1 << 40, RaftTerm: 3}
	put := &pb.ResponseOp{Response: &pb.ResponseOp_ResponsePut{ResponsePut: &pb.PutResponse{Header: &pb.ResponseHeader{Revision: 9}}}}
	found := &pb.ResponseOp{Response: &pb.ResponseOp_ResponseRange{ResponseRange: &pb.RangeResponse{
		Kvs: []*mvccpb.KeyValue{{Key: []byte("k"), ModRevision: 7}}, Count: 1,
	}}}
	return []*pb.TxnResponse{
		{},
		{Header: header},
		{Header: header, Succeeded: true},
		{Header: header, Succeeded: true, Responses: []*pb.ResponseOp{put, put}},
		{Header: header, Responses: []*pb.ResponseOp{found, {}}},
	}
}

func encodedTxn(t testing.TB, m *pb.TxnResponse) []byte {
	t.Helper()
	b, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestParseTxn(t *testing.T) {
	for _, want := range txnAnswers() {
		got, err := parseTxn(encodedTxn(t, want))
		if err != nil {
			t.Errorf("%v: %v", want, err)
			continue
		}
		if want.Succeeded {
			want.Responses = nil // nobody needs them
		}
		if !proto.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	}
}

// Whatever a server answers: what protobuf understands is understood the same,
// and nothing panics. Of a success the parts that nobody needs may be malformed.
func FuzzParseTxn(f *testing.F) {
	for _, a := range txnAnswers() {
		f.Add(encodedTxn(f, a))
	}
	f.Add([]byte{0x10})                                           // a field without its value
	f.Add([]byte{0x12, 0x01, 0x01})                               // succeeded, of a wrong type
	f.Add([]byte{0x0a, 0x02, 0x08, 0x01, 0x0a, 0x02, 0x18, 0x05}) // a header in two parts
	f.Add([]byte{0x10, 0x01, 0x10, 0x00})                         // succeeded, and then not
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := parseTxn(b)
		want := &pb.TxnResponse{}
		if fails := proto.Unmarshal(b, want); fails != nil {
			if err == nil && !got.Succeeded {
				t.Errorf("%x was taken, and protobuf says %v", b, fails)
			}
			return
		}
		if err != nil {
			t.Fatalf("%x: %v, and protobuf takes it", b, err)
		}
		if got.Succeeded != want.Succeeded || !proto.Equal(knownHeader(got.Header), knownHeader(want.Header)) || (got.Header == nil) != (want.Header == nil) {
			t.Errorf("%x: got %v, want %v", b, got, want)
		}
		if !want.Succeeded && !proto.Equal(got, want) {
			t.Errorf("%x: got %v, want %v", b, got, want)
		}
	})
}

// knownHeader is a header without fields that nobody knows.
func knownHeader(h *pb.ResponseHeader) *pb.ResponseHeader {
	return &pb.ResponseHeader{ClusterId: h.GetClusterId(), MemberId: h.GetMemberId(), Revision: h.GetRevision(), RaftTerm: h.GetRaftTerm()}
}
