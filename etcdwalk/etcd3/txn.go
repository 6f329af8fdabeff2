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

	"github.com/kubeferry/kubeferry/etcdwalk/replay"
)

// send makes one transaction: all the puts if all the guards hold, otherwise a
// look at what is there. It is sent again only while it is certain that it was
// not taken; if it may have been, and no answer came, the error is a
// *lostAnswer.
func (c *Cluster) send(ctx context.Context, writes []replay.Write) (response *pb.TxnResponse, err error) {
	request := &pb.TxnRequest{}
	for _, w := range writes {
		request.Compare = append(request.Compare, &pb.Compare{
			Key: w.Key, Target: pb.Compare_MOD, Result: pb.Compare_EQUAL,
			TargetUnion: &pb.Compare_ModRevision{ModRevision: w.Seen},
		})
		request.Success = append(request.Success, &pb.RequestOp{Request: &pb.RequestOp_RequestPut{
			RequestPut: &pb.PutRequest{Key: w.Key, Value: w.Value, Lease: w.Lease},
		}})
		request.Failure = append(request.Failure, get(w.Key, true))
	}
	var lost *lostAnswer
	err = c.try(ctx, "sending a transaction", func(attempt context.Context) error {
		var at peer.Peer
		// The answer is small, and must not be lost for its size.
		response, err = c.kv.Txn(attempt, request, grpc.Peer(&at), grpc.MaxCallRecvMsgSize(math.MaxInt32))
		if err != nil && at.Addr != nil && !refused(err) {
			lost = &lostAnswer{err}
			return status.Error(codes.Unknown, "the answer was lost") // final
		}
		return err
	})
	if lost != nil {
		return nil, lost
	}
	if err == nil {
		err = c.checkHeader(response.Header)
	}
	return response, err
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
	if errors.Is(known, rpctypes.ErrNoLeader) || errors.Is(known, rpctypes.ErrTooManyRequests) || isDropped(err) {
		return true // not proposed
	}
	switch status.Code(err) {
	case codes.InvalidArgument, codes.NotFound, codes.FailedPrecondition, codes.PermissionDenied,
		codes.Unauthenticated, codes.ResourceExhausted, codes.Unimplemented, codes.OutOfRange, codes.DataLoss:
		return true
	}
	return false
}
