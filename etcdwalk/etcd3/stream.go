package etcd3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/kubeferry/kubeferry/etcdwalk"
)

// stream reads the range with the streaming range of servers from 3.7 on. If the
// server has no such call, or the stream breaks, for whatever reason, it
// returns false without an error: pages go on behind the last key received,
// and find out what was wrong.
func (s *scanner) stream(ctx context.Context) (whole bool, err error) {
	log := s.view.cluster.cfg.Log.With("range", describe(s.r))
	err = s.receive(ctx)
	if ctx.Err() != nil {
		return false, ctx.Err()
	}
	var broken *brokenStream
	switch {
	case err == nil:
		log.Info("read as a stream", "keys", s.read)
		return true, nil
	case !errors.As(err, &broken):
		return false, err
	case status.Code(broken.cause) == codes.Unimplemented:
		log.Info("the server has no streaming range, reading in pages")
	default:
		log.Info("the stream broke, going on in pages", "keys", s.read, "cause", broken)
		s.size.cut()
		s.limit = firstLimit / 4
	}
	return false, nil
}

// brokenStream is the end of a stream before its time.
type brokenStream struct{ cause error }

func (b *brokenStream) Error() string { return status.Convert(b.cause).Message() }

// errSilent: a stream has brought nothing for as long as a request may take.
var errSilent = errors.New("the stream is silent")

// receive takes a whole stream. A stream that makes no progress within the
// deadline for a command is cut.
func (s *scanner) receive(ctx context.Context) error {
	whole := ctx
	ctx, cut := context.WithCancelCause(clientv3.WithRequireLeader(ctx))
	defer cut(nil) // frees the stream
	timeout := s.view.cluster.cfg.CommandTimeout
	watchdog := time.AfterFunc(timeout, func() { cut(errSilent) })
	defer watchdog.Stop()

	messages, by, err := s.open(ctx)
	if err != nil {
		return &brokenStream{err}
	}
	for complete := false; ; {
		p := s.pages.free()
		watchdog.Reset(timeout)
		err := messages.RecvMsg(&p.rawAnswer)
		watchdog.Stop() // while the keys are used nobody waits for the server
		if errors.Is(err, io.EOF) && complete {
			return nil
		}
		if errors.Is(err, io.EOF) {
			return s.reading(fmt.Errorf("a stream ended without its last message%.0w", etcdwalk.ErrInvariant))
		}
		if err != nil {
			if errors.Is(context.Cause(ctx), errSilent) {
				err = status.FromContextError(context.DeadlineExceeded).Err()
			}
			s.view.cluster.members.learn(whole, by, err, timeout) // the pages go to another
			return &brokenStream{err}
		}
		if err := p.parsePart(p.message); err != nil {
			return s.reading(misread(err))
		}
		switch {
		case p.header != nil:
			if err := s.view.cluster.checkHeader(p.header); err != nil {
				return s.reading(err)
			}
			complete = true
		case len(p.entries) == 0: // it might go on like this for ever
			return s.reading(fmt.Errorf("a stream goes on without a key%.0w", etcdwalk.ErrInvariant))
		}
		if err := s.take(by.id, p.entries); err != nil {
			return err
		}
	}
}

// open asks for the range as a stream, and tells who gives it.
func (s *scanner) open(ctx context.Context) (grpc.ClientStream, *member, error) {
	messages, by, err := s.view.cluster.members.stream(ctx, &pb.KV_ServiceDesc.Streams[0],
		pb.KV_RangeStream_FullMethodName, grpc.ForceCodecV2(raw()), grpc.MaxCallRecvMsgSize(s.view.cluster.cfg.MaxRecvBytes))
	if err != nil {
		return nil, nil, err
	}
	key, end, _ := wire(s.r)
	if err := messages.SendMsg(&pb.RangeRequest{Key: key, RangeEnd: end, Revision: s.view.info.Revision}); err != nil {
		return nil, nil, err
	}
	return messages, by, messages.CloseSend()
}
