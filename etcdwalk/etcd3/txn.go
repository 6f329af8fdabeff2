package etcd3

import (
	"context"
	"errors"
	"math"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/kubeferry/kubeferry/etcdwalk"
)

// requestSize is the largest buffer for a request that is kept to be used again.
const requestSize = 2 * batchBytes

// send makes one transaction: all the writes if all the guards hold, otherwise a
// look at what is there. It is sent again only while it is certain that it was
// not taken; if it may have been, and no answer came, the error is a
// *lostAnswer.
func (t *Target) send(ctx context.Context, writes []etcdwalk.Write) (response *pb.TxnResponse, err error) {
	buffer, _ := t.requests.Get().(*[]byte)
	if buffer == nil {
		buffer = new([]byte)
	}
	*buffer = appendTxn((*buffer)[:0], writes)
	var lost *lostAnswer
	attempts := 0
	err = t.cluster.try(ctx, "send a transaction", func(attempt context.Context) error {
		attempts++
		var at peer.Peer
		response, err = t.txn(attempt, *buffer, &at)
		if err != nil && at.Addr != nil && !refused(err) {
			lost = &lostAnswer{err}
			return status.Error(codes.Unknown, "the answer was lost") // final
		}
		return err
	})
	if lost != nil {
		return nil, lost
	}
	// After a failed attempt gRPC may still be reading the request. (One that it
	// has repeated by itself it gave up before the server took any of it.)
	if err == nil && attempts == 1 && cap(*buffer) <= requestSize {
		t.requests.Put(buffer)
	}
	if err == nil {
		err = t.cluster.checkHeader(response.Header)
	}
	return response, err
}

// txn sends one encoded transaction, and tells at whom it was that took it.
func (t *Target) txn(ctx context.Context, request rawRequest, at *peer.Peer) (*pb.TxnResponse, error) {
	var answer rawAnswer
	// The answer is small, and must not be lost for its size.
	err := t.cluster.members.Invoke(ctx, pb.KV_Txn_FullMethodName, request, &answer,
		grpc.ForceCodecV2(raw()), grpc.Peer(at), grpc.MaxCallRecvMsgSize(math.MaxInt32))
	if err != nil {
		return nil, err
	}
	response, err := parseTxn(answer.message)
	if err != nil {
		return nil, status.Error(codes.Internal, err.Error())
	}
	return response, nil
}

// lostAnswer is the error of a transaction that may have taken effect.
type lostAnswer struct{ cause error }

func (l *lostAnswer) Error() string {
	return "the answer was lost: " + status.Convert(l.cause).Message()
}

func (l *lostAnswer) Unwrap() error { return l.cause }

// refused tells whether the server, with this error, says that it did nothing.
// Other errors, timeouts above all, say nothing of the kind: the write may
// be in the log already. "No space" is for noSpace to find out.
func refused(err error) bool {
	known := rpctypes.Error(err)
	if errors.Is(known, rpctypes.ErrNoLeader) || errors.Is(known, rpctypes.ErrTooManyRequests) || isDropped(err) || isLearner(err) {
		return true // not proposed
	}
	if isForeign(err) {
		return isTurnedAway(err)
	}
	switch status.Code(err) {
	case codes.InvalidArgument, codes.NotFound, codes.FailedPrecondition, codes.PermissionDenied,
		codes.Unauthenticated, codes.ResourceExhausted, codes.Unimplemented, codes.OutOfRange, codes.DataLoss:
		return true
	}
	return false
}
